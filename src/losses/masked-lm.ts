/** @file Cross-entropy of a masked language model, in chunks, at the masked positions alone. */
import type { Graph } from '../graph/graph.js'
import { attachLoss, type SummedLoss } from './attach.js'
import { labelLogProbabilities, labelledHere, type HeadOptions } from './label-log-probabilities.js'

/**
 * Sum of −log softmax(logits)[label] over the labels that are not -100, each at its own position (Devlin et al., 2018,
 * section 3.1), see {@link labelLogProbabilities}.
 *
 * Adds the input `labels` int64 [batch, sequence].
 */
export function maskedLmLoss(graph: Graph, options: HeadOptions): SummedLoss {
  const built = attachLoss(graph, (b, result) => {
    const labelled = labelledHere(b, result.addInput('labels', 'int64', ['batch', 'sequence']))
    const sums = labelLogProbabilities(b, labelled, options).map((picked) => b.neg(b.sumAll(picked)))
    return sums.reduce((a, c) => b.add(a, c))
  })
  built.graph.outputs = [built.loss]
  built.graph.prune()
  return built
}
