/** @file Texts to vectors. */
import type { Adapter } from '../adapter/adapter.js'
import { modelOf, servingOf, type AdapterSet } from '../adapter/adapter-set.js'
import type { Serving } from '../adapters/serving/serving.js'
import { InvalidOptionError } from '../errors.js'
import type { Model } from '../model/model.js'
import { embeddingSettings } from '../train/objectives/embedding-settings.js'
import { rowOptions } from '../train/open-dataset.js'
import { resolveOptions, type Resolved } from '../util/option-table.js'
import { snapshot } from '../util/snapshot.js'
import { vectorReader } from './embedding.js'
import { checkInputs, rowsOf } from './inputs.js'
import { embedOptionTable, type EmbedOptions } from './options.js'
import { collected } from './predict.js'
import { answerRows } from './run.js'
import { checkArgument } from '../util/arguments.js'
import { subjectArgument } from '../adapter/subject-arguments.js'

/**
 * The vectors of texts, as the model's folder says that they are made: pooling, prompt, layers behind the pooling. Of a list all
 * at once; of an async iterable each in its turn, with a few batches in memory.
 * @returns for each text its vector, [width]; of length 1 where the model normalizes
 * @throws InvalidOptionError if the model is for something else, or a prompt is not known; InvalidDataError for a text that
 * cannot be tokenised
 * @example
 * const [query, ...documents] = await embed(adapter, ['where is the key', 'the key is under the mat', 'it rains'])
 */
export function embed(
  subject: Model | Adapter | AdapterSet,
  texts: readonly string[],
  options?: EmbedOptions,
): Promise<Float32Array[]>
export function embed(
  subject: Model | Adapter | AdapterSet,
  texts: AsyncIterable<string>,
  options?: EmbedOptions,
): AsyncGenerator<Float32Array>
export function embed(
  subject: Model | Adapter | AdapterSet,
  texts: readonly string[] | AsyncIterable<string>,
  given: EmbedOptions = {},
): Promise<Float32Array[]> | AsyncGenerator<Float32Array> {
  const start = (): AsyncGenerator<Float32Array> => {
    checkArgument(subject, subjectArgument, 'embed')
    checkInputs(texts, 'embed')
    const options = resolveOptions(embedOptionTable, given, 'embed')
    const model = modelOf(subject)
    if (model.task.name !== 'feature-extraction')
      throw new InvalidOptionError(
        `embed is for embedding models, but ${model.path} is for ${model.task.name}; open it with { task: 'feature-extraction' }`,
      )
    const list = Array.isArray(texts) ? snapshot(texts as readonly string[]) : (texts as AsyncIterable<string>)
    return vectors(model, servingOf(subject), list, options)
  }
  return Array.isArray(texts) ? collected(start) : start()
}

async function* vectors(
  model: Model,
  serving: Serving,
  texts: readonly string[] | AsyncIterable<string>,
  options: Resolved<EmbedOptions, typeof embedOptionTable>,
): AsyncGenerator<Float32Array> {
  const reader = vectorReader(embeddingSettings(model, options), await rowOptions(model, options))
  for await (const { prediction } of answerRows(model, serving, reader, rowsOf(texts), options)) yield prediction
}
