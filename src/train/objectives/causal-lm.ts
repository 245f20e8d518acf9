/** @file Language models: the next token. */
import { causalLmEncoding } from '../../data/encoding.js'
import { causalLmLoss } from '../../losses/causal-lm.js'
import type { Objective } from '../objective.js'

/** In how many chunks the loss is computed for at most `rows` labelled positions. */
export const lossChunks = (rows: number, vocabulary: number, chunkBytes: number): number =>
  Math.max(1, Math.ceil((rows * vocabulary * 4) / chunkBytes))

/**
 * Cross-entropy of the next token over labelled positions.
 * @param labelSmoothing of what is trained by; evaluations are without it, so that their perplexity is one
 */
export const causalLm = (labelSmoothing = 0): Objective => ({
  name: 'causal-lm',
  ...(labelSmoothing > 0 && { settings: { labelSmoothing } }),
  divisible: true,
  causal: true,
  perplexity: true,
  encoding: causalLmEncoding,
  attach({ graph, hidden, positions, vocabularySize, chunkBytes, training }) {
    const chunks = lossChunks(positions, vocabularySize, chunkBytes)
    const smoothing = training ? labelSmoothing : 0
    return {
      ...causalLmLoss(graph, { hidden, logits: graph.outputs[0]!, chunks, labelSmoothing: smoothing }),
      outputs: [],
    }
  },
  scores: () => ({ add: () => undefined, result: () => ({}) }),
})
