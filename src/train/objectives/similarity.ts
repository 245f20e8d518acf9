/** @file Embeddings of texts, learned from pairs. */
import { findScoreField, readNumber } from '../../data/labels.js'
import { floatLabels, pairEncoding, PROMPT_LENGTH } from '../../data/task-encoding.js'
import { InvalidModelError } from '../../errors.js'
import { GraphBuilder } from '../../graph/builder.js'
import type { Graph } from '../../graph/graph.js'
import type { Value } from '../../graph/types.js'
import { contrastiveLoss, cosineScoreLoss, type SimilarityLossName } from '../../losses/similarity.js'
import type { Objective } from '../objective.js'
import { withMaxLength, type EmbeddingSettings } from './embedding-settings.js'
import { noScores, similarityScores } from './scores.js'

/** Pairs of texts by the cosine of their pooled states. Their rows belong together, so a batch is one run. */
export const similarity = (loss: SimilarityLossName, settings: EmbeddingSettings): Objective => ({
  name: `${loss}, ${settings.pooling.join(' and ')} pooling${promptsOf(settings)}`,
  divisible: false,
  causal: false,
  encoding: (options) =>
    pairEncoding(
      withMaxLength(settings, options),
      (row) => ({
        fields:
          loss === 'cosine' ? { score: { ...floatLabels([readNumber(row, findScoreField(row) ?? 'score')]), shape: [] } } : {},
        tokens: 1,
      }),
      settings,
    ),
  attach({ graph: given }) {
    const graph = given.clone()
    const pooled = pooledMask(graph, settings)
    const { pooling, layers } = settings
    const output = { states: graph.outputs[0]!, attentionMask: pooled, pooling, layers }
    const built = loss === 'cosine' ? cosineScoreLoss(graph, output) : contrastiveLoss(graph, output)
    return { graph: built.graph, loss: built.loss, outputs: [built.cosines] }
  },
  scores: loss === 'cosine' ? similarityScores : noScores,
})

const promptsOf = ({ prompts }: EmbeddingSettings): string =>
  prompts.every((text) => text === '') ? '' : `, prompts ${JSON.stringify(prompts)}`

/**
 * The mask of the positions that are pooled, int64 [batch, sequence].
 * @throws InvalidModelError for a graph that reads no tokens and mask
 */
export function pooledMask(graph: Graph, { excludePrompt }: EmbeddingSettings): Value {
  const attentionMask = graph.inputs.find(({ name }) => name === 'attention_mask')
  if (attentionMask === undefined)
    throw new InvalidModelError('embeddings need a model with the inputs "input_ids" and "attention_mask"')
  return excludePrompt ? withoutPrompt(graph, attentionMask) : attentionMask
}

/** The mask without the tokens of each row's prompt: 0 before position `prompt_length`. */
function withoutPrompt(graph: Graph, attentionMask: Value): Value {
  const b = new GraphBuilder(graph)
  const [batch, sequence] = attentionMask.shape!
  const lengths = b.unsqueeze(graph.addInput(PROMPT_LENGTH, 'int64', [batch!]), [1])
  const ends = [b.scalar(0, 'int64'), b.squeeze(b.dim(sequence!), [0]), b.scalar(1, 'int64')]
  const places = b.emit('Range', ends, {}, { shapes: [[sequence!]] })
  return b.where(b.less(places, lengths), b.scalar(0, 'int64'), attentionMask)
}
