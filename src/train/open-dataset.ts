/** @file The rows that a model is trained or evaluated on, opened: what they must fit, and what is learned from them. */
import { openDataset, openEncodedDataset, type Dataset, type DatasetOptions } from '../data/dataset.js'
import type { Example } from '../data/examples.js'
import { openRows } from '../data/open-rows.js'
import type { Row } from '../data/rows.js'
import type { Model } from '../model/model.js'
import type { Objective } from './objective.js'
import { objectiveFor } from './objectives/index.js'
import type { ObjectiveOptions } from './objectives/options.js'

const pathsOf = (data: string | readonly string[]): readonly string[] => (typeof data === 'string' ? [data] : data)

/** The objective of a model for some rows: their first one tells what the task leaves open. */
export async function chooseObjective(
  model: Model,
  data: string | readonly string[],
  options: ObjectiveOptions,
): Promise<Objective> {
  const open = model.task.name === 'sequence-classification' || model.task.name === 'feature-extraction'
  return objectiveFor(model, options, open ? await firstRow(model, pathsOf(data)) : undefined)
}

async function firstRow(model: Model, paths: readonly string[]): Promise<Row | undefined> {
  for (const path of paths) {
    const source = await openRows(model.environment.files, path)
    if (source.length > 0) return source.row(0)
  }
  return undefined
}

type ModelDataOptions = { [K in 'maxLength' | 'unlabelled' | 'listeners']?: DatasetOptions[K] | undefined }

/** What the rows of a model must fit: its tokenizer, its vocabulary, its positions. */
async function rowOptions(model: Model, { maxLength }: ModelDataOptions) {
  const tokenizer = await model.tokenizer()
  return {
    ...(tokenizer !== undefined && { tokenizer }),
    ...(maxLength !== undefined && { maxLength }),
    ...(model.padTokenId !== undefined && { padTokenId: model.padTokenId }),
    vocabularySize: model.vocabularySize,
    maxPositions: model.maxPositions,
    inputs: model.inputs,
  }
}

const emptyRowOptions = ({ unlabelled, listeners }: ModelDataOptions) => ({
  ...(unlabelled !== undefined && { unlabelled }),
  ...(listeners !== undefined && { listeners }),
})

/** Opens rows of text for a language model. */
export async function openModelDataset(
  model: Model,
  data: string | readonly string[],
  options: ModelDataOptions = {},
): Promise<Dataset<Example>> {
  const all = { ...(await rowOptions(model, options)), ...emptyRowOptions(options) }
  return openDataset(model.environment.files, pathsOf(data), all)
}

/** Opens rows for a model and what it is trained to do. */
export async function openTaskDataset(
  model: Model,
  objective: Objective,
  data: string | readonly string[],
  options: ModelDataOptions = {},
): Promise<Dataset> {
  const encoding = objective.encoding(await rowOptions(model, options))
  const { files, cacheFolder } = model.environment
  return openEncodedDataset(files, pathsOf(data), encoding, { ...emptyRowOptions(options), cacheFolder })
}
