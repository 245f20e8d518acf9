/** @file Cross-entropy of classes: sequences, tokens or images, whatever the rows of the logits stand for. */
import { ShapeError } from '../errors.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { productOfDims } from '../graph/shapes.js'
import { formatShape, int, type Value } from '../graph/types.js'
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
  const shape = logits.shape
  if (shape === undefined || shape.length === 0)
    throw new ShapeError(`the logits "${logits.name}" must be [.., classes], they are ${formatShape(shape)}`)
  const loss = b.scope('loss', () => {
    const rows = shape.slice(0, -1)
    const labels = result.addInput(result.uniqueName('labels'), 'int64', rows)
    const flat = b.reshape(b.cast(logits, 'float32'), [productOfDims(rows), shape.at(-1)!])
    const targets = b.reshape(labels, [productOfDims(rows), 1])
    const counts = b.not(b.equal(targets, IGNORED_LABEL))
    const picked = b.emit('GatherElements', [b.emit('LogSoftmax', [flat], { axis: int(-1) }), b.where(counts, targets, 0)], {
      axis: int(1),
    })
    return b.neg(b.div(b.sumAll(b.where(counts, picked, 0)), b.sumAll(b.cast(counts, 'float32'))))
  })
  result.outputs = [...result.outputs, loss]
  return { graph: result, loss }
}
