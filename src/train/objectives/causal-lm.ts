/** @file Language models: the next token. */
import { causalLmEncoding } from '../../data/encoding.js'
import { causalLmLoss } from '../../losses/causal-lm.js'
import type { Objective } from '../objective.js'

/** In how many chunks the loss is computed for at most `rows` labelled positions. */
export const lossChunks = (rows: number, vocabulary: number, chunkBytes: number): number =>
  Math.max(1, Math.ceil((rows * vocabulary * 4) / chunkBytes))

/** Cross-entropy of the next token over labelled positions. */
export const causalLmObjective: Objective = {
  name: 'causal-lm',
  divisible: true,
  causal: true,
  encoding: causalLmEncoding,
  attach({ graph, hidden, positions, vocabularySize, chunkBytes }) {
    const chunks = lossChunks(positions, vocabularySize, chunkBytes)
    return { ...causalLmLoss(graph, { hidden, logits: graph.outputs[0]!, chunks }), outputs: [] }
  },
  scores: () => ({ add: () => undefined, result: () => ({}) }),
}
