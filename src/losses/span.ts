/** @file Loss of extractive question answering: where an answer begins and ends. */
import { ShapeError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { formatShape, int, type Value } from '../graph/types.js'
import { attachLoss, type SummedLoss } from './attach.js'

/** Large enough that no probability is left. */
const MASKED = -1e30

/**
 * Half of the cross-entropies of the first and of the last position over the positions of a row, summed over rows, as
 * transformers' `ForQuestionAnsweringLoss`: positions below 0 are clamped to 0, and those behind the row do not count.
 *
 * Unlike there, padding behind a row gets no probability, so that the loss does not depend on what a row is batched with.
 * Adds the inputs `start_positions`, `end_positions` and `row_lengths`, int64 [batch].
 * @param logits [batch, sequence, 2]
 */
export function spanLoss(graph: Graph, logits: Value): SummedLoss {
  const { shape, name } = logits
  if (shape?.length !== 3 || shape[2] !== 2)
    throw new ShapeError(`the logits "${name}" must be [batch, sequence, 2], they are ${formatShape(shape)}`)
  const [batch, sequence] = shape as [number | string, number | string]
  return attachLoss(graph, (b, result) => {
    const [first, last, lengths] = (['start_positions', 'end_positions', 'row_lengths'] as const).map((input) =>
      b.unsqueeze(result.addInput(input, 'int64', [batch]), [1]),
    ) as [Value, Value, Value]
    const end = b.squeeze(b.dim(sequence), [0])
    const range = b.emit('Range', [b.scalar(0, 'int64'), end, b.scalar(1, 'int64')], {}, { shapes: [[sequence]] })
    const inside = b.less(b.unsqueeze(range, [0]), lengths) // [batch, sequence]
    const sums = b.split(b.cast(logits, 'float32'), [1, 1], 2).map((scores, i) => {
      const masked = b.where(inside, b.reshape(scores, [batch, sequence]), MASKED)
      return pickedSum(b, masked, i === 0 ? first : last, lengths)
    })
    return b.mul(b.add(sums[0]!, sums[1]!), -0.5)
  })
}

/** Sum of the log-probabilities of the positions that lie within their row. */
function pickedSum(b: GraphBuilder, scores: Value, positions: Value, lengths: Value): Value {
  const counts = b.less(positions, lengths)
  const index = b.where(counts, b.max(positions, 0), 0)
  const picked = b.emit('GatherElements', [b.emit('LogSoftmax', [scores], { axis: int(-1) }), index], { axis: int(1) })
  return b.sumAll(b.where(counts, picked, 0))
}
