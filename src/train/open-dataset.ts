/** @file The rows that a model is trained or evaluated on, opened: what they must fit, and what is learned from them. */
import { columnOf } from '../data/columns.js'
import { datasetOf, type Dataset, type DatasetOptions } from '../data/dataset.js'
import { causalLmEncoding } from '../data/encoding.js'
import type { Example } from '../data/examples.js'
import { OpenedRows, openRowData, type OpenDataOptions } from '../data/open-data.js'
import type { RowData } from '../data/row-data.js'
import type { GivenReading } from '../data/row-reading.js'
import type { Row } from '../data/rows.js'
import type { TaskEncodingOptions } from '../data/task-encoding.js'
import { splitRows } from '../data/split.js'
import { InvalidOptionError } from '../errors.js'
import type { Model } from '../model/model.js'
import type { Objective } from './objective.js'
import { objectiveFor, rowsTell, type TwoPasses } from './objectives/index.js'

import type { ObjectiveOptions } from './objectives/options.js'

/** Rows as they were given, or open already: what can be read only once is opened only once. */
type Given = RowData | OpenedRows

/** Opens rows for a model; those that are open already stay as they are. */
export const openModelRows = async (model: Model, data: Given, options: OpenDataOptions = {}): Promise<OpenedRows> =>
  data instanceof OpenedRows ? data : openRowData(model.environment, data, options)

/** What says which rows are trained on. */
interface SplitRows extends Partial<GivenReading> {
  readonly valSplit?: number | undefined
  readonly valSplitBy?: string | undefined
  readonly seed?: number | undefined
}

/**
 * The rows to train on and those to evaluate on: given, found in the same folder, or set aside.
 * @throws InvalidOptionError if rows to evaluate on lie beside and are to be set aside as well
 */
export async function openTrainAndEvalRows(
  model: Model,
  { data, evalData, ...split }: SplitRows & { readonly data: Given; readonly evalData?: RowData | undefined },
): Promise<{ readonly train: OpenedRows; readonly evaluation: OpenedRows | undefined }> {
  const { columns, header, valSplit, valSplitBy, seed = 0 } = split
  // The column to split by may be renamed, and so be gone from the rows that the model reads.
  const rows = await openModelRows(model, data, { header })
  if (valSplit !== undefined) {
    if (rows.beside.length > 0)
      throw new InvalidOptionError(
        `valSplit (--val-split) sets rows aside to evaluate on, but there are some already: ${rows.beside.join(', ')}; leave it out, or name the file to train on as data (--data) in place of its folder`,
      )
    const by = valSplitBy === undefined ? undefined : columnOf(valSplitBy, columns)
    const parts = await splitRows(rows.sources, { share: valSplit, seed, by })
    return {
      train: await new OpenedRows(parts.train).renamed(columns),
      evaluation: await new OpenedRows(parts.evaluation).renamed(columns),
    }
  }
  const given = evalData ?? (rows.beside.length > 0 ? rows.beside : undefined)
  return {
    train: await rows.renamed(columns),
    evaluation:
      given === undefined ? undefined : await openModelRows(model, given, { name: 'evalData', part: 'valid', columns, header }),
  }
}

/**
 * The rows that are evaluated or predicted: all of them, or those that a run has set aside.
 * @throws InvalidOptionError if rows to evaluate on lie beside and some were to be set aside as well
 */
export async function openEvaluatedRows(model: Model, data: RowData, split: SplitRows): Promise<OpenedRows> {
  const { valSplit, columns, header } = split
  if (valSplit === undefined) return openModelRows(model, data, { part: 'test', columns, header })
  return (await openTrainAndEvalRows(model, { ...split, data })).evaluation!
}

/** The rows to train on alone. */
export async function openTrainRows(model: Model, data: RowData, split: SplitRows): Promise<OpenedRows> {
  const { valSplit, columns, header } = split
  if (valSplit !== undefined) return (await openTrainAndEvalRows(model, { ...split, data })).train
  return openModelRows(model, data, { columns, header })
}

/** The objective of a model for some rows: their first one tells what the task leaves open. */
export async function chooseObjective(model: Model, data: Given, options: ObjectiveOptions & TwoPasses): Promise<Objective> {
  return objectiveFor(model, options, rowsTell(model) ? await firstRow(await openModelRows(model, data)) : undefined)
}

const firstRow = async ({ sources }: OpenedRows): Promise<Row | undefined> => sources.find(({ length }) => length > 0)?.row(0)

type ModelDataOptions = { [K in 'maxLength' | 'unlabelled' | 'listeners']?: DatasetOptions[K] | undefined }

/** What the rows of a model must fit: its tokenizer, its vocabulary, its positions. */
export async function rowOptions(model: Model, { maxLength }: Pick<ModelDataOptions, 'maxLength'>): Promise<TaskEncodingOptions> {
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
export async function openModelDataset(model: Model, data: Given, options: ModelDataOptions = {}): Promise<Dataset<Example>> {
  return datasetOf(await openModelRows(model, data), causalLmEncoding(await rowOptions(model, options)), {
    ...emptyRowOptions(options),
    cacheFolder: model.environment.cacheFolder,
  })
}

/** Opens rows for a model and what it is trained to do. */
export async function openTaskDataset(
  model: Model,
  objective: Objective,
  data: Given,
  options: ModelDataOptions = {},
): Promise<Dataset> {
  const encoding = objective.encoding(await rowOptions(model, options))
  const { cacheFolder } = model.environment
  return datasetOf(await openModelRows(model, data), encoding, { ...emptyRowOptions(options), cacheFolder })
}
