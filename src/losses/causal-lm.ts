/** @file Cross-entropy of a causal language model, in chunks, on labelled positions alone. */
import type { Graph } from '../graph/graph.js'
import type { Value } from '../graph/types.js'
import { attachLoss } from './attach.js'
import { labelledPositions, labelLogProbabilities, type HeadOptions } from './label-log-probabilities.js'

export { IGNORED_LABEL } from './label-log-probabilities.js'

export interface CausalLmLossOptions extends HeadOptions {
  /** ε in [0, 1): share of each label that is spread over the whole vocabulary (Szegedy et al., 2016); 0 by default. */
  readonly labelSmoothing?: number
}

export interface CausalLmLoss {
  /** The given graph with input `labels` int64 [batch, sequence] and without the whole logits. */
  readonly graph: Graph
  /** Sum over the positions whose next label is not -100, a scalar. */
  readonly loss: Value
}

/**
 * Sum of −log softmax(logits)[next label], see {@link labelLogProbabilities}; with ε of `labelSmoothing`
 * (1 − ε)·−log p[label] + ε·mean of −log p over the vocabulary, as torch's `cross_entropy`. Labels are shifted here, as
 * transformers does.
 */
export function causalLmLoss(graph: Graph, options: CausalLmLossOptions): CausalLmLoss {
  const built = attachLoss(graph, (b, result) => {
    const labelled = labelledPositions(b, result.addInput('labels', 'int64', ['batch', 'sequence']))
    const sums = labelLogProbabilities(b, labelled, options, options.labelSmoothing).map((picked) => b.neg(b.sumAll(picked)))
    return sums.reduce((a, c) => b.add(a, c))
  })
  built.graph.outputs = [built.loss]
  built.graph.prune()
  return built
}
