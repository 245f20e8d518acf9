/** @file Language models: the next token. */
import { causalLmEncoding } from '../../data/encoding.js'
import { causalLmLoss } from '../../losses/causal-lm.js'
import type { Objective } from '../objective.js'

/** Bytes of one [rows, vocabulary] array that a chunk of the loss may hold. */
const LOSS_CHUNK_BYTES = 64 * 2 ** 20

/** In how many chunks the loss is computed for at most `rows` labelled positions. */
export const lossChunks = (rows: number, vocabulary: number): number =>
  Math.max(1, Math.ceil((rows * vocabulary * 4) / LOSS_CHUNK_BYTES))

/** Cross-entropy of the next token over labelled positions. */
export const causalLmObjective: Objective = {
  name: 'causal-lm',
  divisible: true,
  causal: true,
  encoding: causalLmEncoding,
  attach({ graph, hidden, positions, vocabularySize }) {
    const chunks = lossChunks(positions, vocabularySize)
    return { ...causalLmLoss(graph, { hidden, logits: graph.outputs[0]!, chunks }), outputs: [] }
  },
  scores: () => ({ add: () => undefined, result: () => ({}) }),
}
