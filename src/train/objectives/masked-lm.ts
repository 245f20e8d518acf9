/** @file Masked language models: the tokens that were hidden. */
import { maskedLmEncoding } from '../../data/masked-lm.js'
import { maskedLmLoss } from '../../losses/masked-lm.js'
import type { Objective } from '../objective.js'
import { lossChunks } from './causal-lm.js'
import { noScores } from './scores.js'

/** Share of the tokens that is hidden unless it is said, as in BERT. */
export const MLM_PROBABILITY = 0.15

/** Cross-entropy of the hidden tokens. @param probability chance of each token to be hidden */
export const maskedLm = (probability: number): Objective => ({
  name: `mlm, probability ${probability}`,
  settings: { objective: 'mlm', mlmProbability: probability },
  divisible: true,
  causal: false,
  perplexity: true,
  encoding: (options) => maskedLmEncoding(options, probability),
  attach({ graph, hidden, positions, vocabularySize, chunkBytes }) {
    // Rarely are more than twice as many hidden as on average; rows that bring their labels may have any number.
    const usual = Math.ceil(positions * Math.min(1, 2 * probability))
    const chunks = lossChunks(usual, vocabularySize, chunkBytes)
    return { ...maskedLmLoss(graph, { hidden, logits: graph.outputs[0]!, chunks }), outputs: [] }
  },
  scores: noScores,
})
