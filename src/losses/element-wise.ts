/** @file Losses of one number per output: several labels at once, and regression. */
import { ShapeError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { formatShape, type Value } from '../graph/types.js'
import { attachLoss, type SummedLoss } from './attach.js'

/** The loss of every element; sum over rows of the mean over a row's elements. Adds the input `labels` float32. */
function rowMeans(graph: Graph, logits: Value, loss: (b: GraphBuilder, x: Value, labels: Value) => Value): SummedLoss {
  const { shape, name } = logits
  if (shape === undefined || shape.length < 2)
    throw new ShapeError(`the output "${name}" must be [batch, numbers], it is ${formatShape(shape)}`)
  return attachLoss(graph, (b, result) => {
    const labels = result.addInput('labels', 'float32', shape)
    const elements = loss(b, b.cast(logits, 'float32'), labels)
    return b.sumAll(
      b.reduceMean(
        elements,
        shape.slice(1).map((_, i) => i + 1),
      ),
    )
  })
}

/**
 * Binary cross-entropy of independent labels: softplus(x) − x·y, which is −y·log σ(x) − (1 − y)·log(1 − σ(x)) without
 * its overflow. Mean over a row's labels, summed over rows: PyTorch's `BCEWithLogitsLoss` times the rows.
 * @param logits [batch, labels]; adds the input `labels` float32 of the same shape
 */
export const binaryCrossEntropy = (graph: Graph, logits: Value): SummedLoss =>
  rowMeans(graph, logits, (b, x, y) => b.sub(b.emit('Softplus', [x]), b.mul(x, y)))

/**
 * (x − y)², mean over a row's numbers, summed over rows: PyTorch's `MSELoss` times the rows.
 * @param output [batch, numbers]; adds the input `labels` float32 of the same shape
 */
export const squaredError = (graph: Graph, output: Value): SummedLoss =>
  rowMeans(graph, output, (b, x, y) => {
    const difference = b.sub(x, y)
    return b.mul(difference, difference)
  })
