/** @file Embeddings of texts, learned from pairs. */
import { readNumber } from '../../data/labels.js'
import { floatLabels, pairEncoding } from '../../data/task-encoding.js'
import { InvalidModelError } from '../../errors.js'
import { contrastiveLoss, cosineScoreLoss, type Pooling } from '../../losses/similarity.js'
import type { Objective } from '../objective.js'
import { similarityScores } from './scores.js'

/** `cosine`: the cosine of a pair shall be its score; `contrastive`: nearer to its own second text than to any other's. */
export type SimilarityLossName = 'cosine' | 'contrastive'

/** Pairs of texts by the cosine of their pooled states. Their rows belong together, so a batch is one run. */
export const similarity = (loss: SimilarityLossName, pooling: Pooling): Objective => ({
  name: `${loss}, ${pooling} pooling`,
  divisible: false,
  causal: false,
  encoding: (options) =>
    pairEncoding(options, (row) => ({
      fields: loss === 'cosine' ? { score: { ...floatLabels([readNumber(row, scoreField(row.value))]), shape: [] } } : {},
      tokens: 1,
    })),
  attach({ graph }) {
    const attentionMask = graph.inputs.find(({ name }) => name === 'attention_mask')
    if (attentionMask === undefined)
      throw new InvalidModelError('embeddings need a model with the inputs "input_ids" and "attention_mask"')
    const output = { states: graph.outputs[0]!, attentionMask, pooling }
    const built = loss === 'cosine' ? cosineScoreLoss(graph, output) : contrastiveLoss(graph, output)
    return { graph: built.graph, loss: built.loss, outputs: [built.cosines] }
  },
  scores: similarityScores,
})

/** The name under which a pair brings its score. */
export const scoreField = (value: Readonly<Record<string, unknown>>): string =>
  ['score', 'label', 'labels'].find((name) => value[name] !== undefined && value[name] !== null) ?? 'score'
