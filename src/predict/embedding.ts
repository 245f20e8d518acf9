/** @file Vectors of texts, made as in training and evaluation. */
import { encodeText, readTexts } from '../data/text-fields.js'
import { scalarLabel, PROMPT_LENGTH, promptLength, tokenFields, type TaskEncodingOptions } from '../data/task-encoding.js'
import { checkExampleOptions } from '../data/examples.js'
import { paddingToken } from '../data/encoding.js'
import { GraphBuilder } from '../graph/builder.js'
import { embeddings } from '../losses/embedding.js'
import type { Model } from '../model/model.js'
import { withMaxLength, type EmbeddingSettings } from '../train/objectives/embedding-settings.js'
import { pooledMask } from '../train/objectives/similarity.js'
import type { ModelGraph } from '../models/architecture.js'
import type { BuildOptions } from '../models/build-options.js'
import type { EmbeddingPrediction, SimilarityPrediction } from './prediction.js'
import type { RowReader } from './reader.js'

/** Norms below it are taken for it, as PyTorch's `cosine_similarity` does. */
const EPSILON = 1e-8

/** The model's graph with the vectors of its rows as its output, [batch, width]. */
function embeddingGraph(model: Model, options: BuildOptions, settings: EmbeddingSettings): ModelGraph {
  const built = model.build(options)
  const graph = built.graph.clone()
  const { pooling, layers } = settings
  const attentionMask = pooledMask(graph, settings)
  const vectors = embeddings(new GraphBuilder(graph), { states: graph.outputs[0]!, attentionMask, pooling, layers })
  graph.outputs = [vectors]
  graph.prune()
  return { ...built, graph }
}

/** @param vectors makes what is told of a row from its one vector or its two */
function reader<P>(
  settings: EmbeddingSettings,
  given: TaskEncodingOptions,
  read: (vectors: readonly Float32Array[]) => P,
): RowReader<P> {
  const options = withMaxLength(settings, given)
  checkExampleOptions(options)
  const pad = paddingToken(options)
  const { prompts, excludePrompt } = settings
  const lengths = excludePrompt ? prompts.map((text) => scalarLabel(promptLength(text, options))) : []
  return {
    name: `embed ${JSON.stringify([settings.pooling, settings.layers.length, excludePrompt])}`,
    build: (model, how) => embeddingGraph(model, how, settings),
    encode(row) {
      const tokens = readTexts(row).map((text, i) => encodeText(row, prompts[i]! + text, options))
      return {
        rows: tokens.map((of, i) => ({ ...tokenFields(of, pad), ...(excludePrompt && { [PROMPT_LENGTH]: lengths[i]! }) })),
        truncated: tokens.some(({ truncated }) => truncated),
        read,
      }
    },
  }
}

/** The vector of each row's text. */
export const vectorReader = (settings: EmbeddingSettings, options: TaskEncodingOptions): RowReader<Float32Array> =>
  // A copy: the row's part of a batch would keep all of it in memory.
  reader(settings, options, ([vector]) => vector!.slice())

/** The vector of a text, or the cosine of two. */
export const embeddingReader = (
  settings: EmbeddingSettings,
  options: TaskEncodingOptions,
): RowReader<EmbeddingPrediction | SimilarityPrediction> =>
  reader(settings, options, ([first, second]) =>
    second === undefined ? { embedding: Array.from(first!) } : { similarity: cosine(first!, second) },
  )

function cosine(a: Float32Array, b: Float32Array): number {
  const norm = (vector: Float32Array): number => Math.max(EPSILON, Math.hypot(...vector))
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0) / (norm(a) * norm(b))
}
