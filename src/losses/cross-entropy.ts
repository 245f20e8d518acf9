/** @file Cross-entropy of classes: sequences, tokens or images, whatever the rows of the logits stand for. */
import { ShapeError } from '../errors.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { productOfDims } from '../graph/shapes.js'
import { formatShape, int, type Shape, type Value } from '../graph/types.js'
import { attachLoss, type SummedLoss } from './attach.js'
import { IGNORED_LABEL } from './causal-lm.js'

export interface CrossEntropyLoss {
  /** The given graph with input `labels`. */
  readonly graph: Graph
  /** Mean over the labels that are not -100, a scalar. */
  readonly loss: Value
}

/**
 * Mean of −log softmax(logits)[label], as PyTorch's `CrossEntropyLoss`.
 * Adds the input `labels` int64, of the shape of the logits without their last dimension; -100 does not count.
 * @param logits [.., classes]
 * @throws ShapeError if the logits are a scalar or of unknown rank
 */
export function crossEntropyLoss(graph: Graph, logits: Value): CrossEntropyLoss {
  const result = graph.clone()
  const b = new GraphBuilder(result)
  const rows = rowsOf(logits)
  const loss = b.scope('loss', () => {
    const labels = result.addInput(result.uniqueName('labels'), 'int64', rows)
    const { sum, counts } = pickedSum(b, logits, labels, rows)
    return b.neg(b.div(sum, b.sumAll(b.cast(counts, 'float32'))))
  })
  result.outputs = [...result.outputs, loss]
  return { graph: result, loss }
}

/**
 * Sum of −log softmax(logits)[label] over the labels that are not -100.
 * Adds the input `labels` int64, of the shape of the logits without their last dimension.
 * @param logits [.., classes]
 * @throws ShapeError if the logits are a scalar or of unknown rank
 */
export function summedCrossEntropy(graph: Graph, logits: Value): SummedLoss {
  const rows = rowsOf(logits)
  return attachLoss(graph, (b, result) => b.neg(pickedSum(b, logits, result.addInput('labels', 'int64', rows), rows).sum))
}

function rowsOf({ name, shape }: Value): Shape {
  if (shape === undefined || shape.length === 0)
    throw new ShapeError(`the logits "${name}" must be [.., classes], they are ${formatShape(shape)}`)
  return shape.slice(0, -1)
}

/** Sum of the log-probabilities of the labels that count, and which those are, [rows, 1]. */
function pickedSum(b: GraphBuilder, logits: Value, labels: Value, rows: Shape): { sum: Value; counts: Value } {
  const flat = b.reshape(b.cast(logits, 'float32'), [productOfDims(rows), logits.shape!.at(-1)!])
  const targets = b.reshape(labels, [productOfDims(rows), 1])
  const counts = b.not(b.equal(targets, IGNORED_LABEL))
  const picked = b.emit('GatherElements', [b.emit('LogSoftmax', [flat], { axis: int(-1) }), b.where(counts, targets, 0)], {
    axis: int(1),
  })
  return { sum: b.sumAll(b.where(counts, picked, 0)), counts }
}
