/** @file R-Drop (Liang et al., 2021): two passes over each row, with dropout of their own, shall say the same. */
import type { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { int, type Value } from '../graph/types.js'
import { attachLoss, type SummedLoss } from './attach.js'
import { IGNORED_LABEL } from './causal-lm.js'
import { summedCrossEntropy } from './cross-entropy.js'

/** Name of half the rows of a batch. */
const PAIRS = 'pairs'

/**
 * The cross-entropy of both passes and how far each is from their middle, summed over pairs of rows:
 * CE(l₁) + CE(l₂) + ½·w·(KL(m‖l₁) + KL(m‖l₂))/classes, where m = softmax((l₁ + l₂)/2). The divergence is divided by the classes
 * as PyTorch's `kl_div` with `reduction="mean"` does, which microsoft/LoRA takes; the middle is what it compares with.
 *
 * Adds the input `labels` int64 [batch], of which the two rows of a pair have the same; -100 does not count.
 * @param logits [batch, classes], the rows of a pair one behind the other
 * @param weight w, above 0
 */
export function rDropLoss(graph: Graph, logits: Value, weight: number): SummedLoss {
  const classes = logits.shape!.at(-1) as number
  const crossEntropy = summedCrossEntropy(graph, logits)
  return attachLoss(crossEntropy.graph, (b, result) => {
    const pairs = b.emit('Reshape', [b.cast(logits, 'float32'), b.int64s([-1, 2, classes])], {}, { shapes: [[PAIRS, 2, classes]] }) // prettier-ignore
    const middle = logSoftmax(b, b.reduceMean(pairs, [1], true))
    const divergence = b.reduceSum(b.mul(b.exp(middle), b.sub(middle, logSoftmax(b, pairs))), [2], false)
    const labels = b.emit('Reshape', [result.value('labels'), b.int64s([-1, 2])], {}, { shapes: [[PAIRS, 2]] })
    const counted = b.where(b.not(b.equal(labels, IGNORED_LABEL)), divergence, 0)
    return b.add(crossEntropy.loss, b.mul(b.sumAll(counted), (0.5 * weight) / classes))
  })
}

const logSoftmax = (b: GraphBuilder, x: Value): Value => b.emit('LogSoftmax', [x], { axis: int(-1) })
