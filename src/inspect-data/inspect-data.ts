/** @file What a run would learn from rows, told without a model's weights: {@link inspectRowData}. */
import { labelsOfRows } from '../data/collect-labels.js'
import { checkPacking, datasetOf, type BatchOptions, type Dataset } from '../data/dataset.js'
import type { OpenedRows } from '../data/open-data.js'
import { longestRow } from '../data/examples.js'
import type { RowData } from '../data/row-data.js'
import { InvalidDataError } from '../errors.js'
import { FolderModel } from '../model/folder-model.js'
import type { Model } from '../model/model.js'
import type { Objective } from '../train/objective.js'
import { objectiveFor, rowsTell } from '../train/objectives/index.js'
import { openModelRows, openTrainAndEvalRows, rowOptions } from '../train/open-dataset.js'
import { checkRowOptions } from '../train/option-table.js'
import { RowNotes } from '../train/row-notes.js'
import { queryBlocks } from '../train/step-graph.js'
import { positionsPerSubBatch } from '../train/sub-batches.js'
import { TurnEnds } from '../train/turn-ends.js'
import { UnpairedNotes } from '../train/unpaired-notes.js'
import { resolveOptions, type Resolved } from '../util/option-table.js'
import type { CheckingEvent } from '../train/events.js'
import type { DataInspection, EpochCost, Overlap, RowPair } from './data-inspection.js'
import { epochCost } from './epoch-cost.js'
import { pairOf, readRows, type ReadingOptions, type ReadRows, type Told } from './inspect-rows.js'
import { dataInspectionTable, type DataInspectionOptions } from './options.js'

/** Rows that are asked what is learned from all of them, where the first ones do not tell. */
const MOST_ASKED = 100
/** Between two words about the reading, and two occasions for others to run. */
const REPORT_MS = 200
/** Rows of an overlap that are told. */
const MOST_PLACES = 20

type Options = Resolved<DataInspectionOptions, typeof dataInspectionTable>

/**
 * Reads every row as a run would, and says what would be learned.
 * @throws InvalidDataError if the data cannot be opened, or no row tells what is learned
 * @throws InvalidOptionError for options that contradict each other or the model
 */
export async function inspectRowData(given: Model, data: RowData, asked: DataInspectionOptions): Promise<DataInspection> {
  const options = resolveOptions(dataInspectionTable, asked, 'inspectData')
  checkRowOptions(options)
  const rows = await openModelRows(given, data, { header: options.header })
  const model = await withCollectedLabels(given, rows, options)
  const opened = await openTrainAndEvalRows(model, { ...options, data: rows })
  const objective = await objectiveOf(model, opened.train, options)
  const tokenizer = await model.tokenizer()
  const limits = await rowOptions(model, options)
  const encoding = objective.encoding(limits)
  // Whatever the model has, a row as it is: only lengths are taken from it.
  const uncut = objective.encoding({ ...limits, maxLength: Number.MAX_SAFE_INTEGER, maxPositions: 0, vocabularySize: Infinity })
  const { batchSize, gradAccum, shuffle, seed, groupByLength, packing } = options
  const batches: BatchOptions = { batchSize, shuffle, seed, bucket: groupByLength, packing }
  checkPacking(encoding, batches)
  const reading: ReadingOptions = { objective, task: model.task, tokenizer, encoding, uncut, shown: options.rows, batches }
  const read = (rows: OpenedRows, name: CheckingEvent['data'], told?: Told): Promise<Part> =>
    readPart(model, rows, name, { options, reading, told })

  const train = await read(opened.train, 'data')
  const evaluation = opened.evaluation && (await readEvaluation(opened.evaluation, read, train))

  const longest = longestRow(limits)
  const isPair = train.rows.costs.texts !== undefined
  const cost = (epoch: number, changed: Partial<BatchOptions> = {}): EpochCost =>
    epochCost(train.rows.costs, epoch, {
      batches: { ...batches, ...changed },
      gradAccum,
      capacity: encoding.capacity,
      group: isPair && objective.causal ? 2 : 1,
      subBatch: objective.divisible ? positionsPerSubBatch(model.environment.runtime.device) : undefined,
      minimum: objective.causal && Number.isFinite(longest) ? queryBlocks(longest) : 1,
    })
  const first = cost(0)
  return {
    objective: objective.name,
    maxLength: Number.isFinite(longest) && longest > 0 ? longest : null,
    batchSize,
    gradAccum,
    data: train.rows.found,
    epoch: first,
    secondEpoch: cost(1),
    batching: {
      plain: groupByLength || packing ? cost(0, { bucket: false, packing: false }) : first,
      groupByLength: groupByLength ? first : cost(0, { bucket: true, packing: false }),
      ...((encoding.capacity ?? 0) > 0 && { packing: packing ? first : cost(0, { bucket: false, packing: true }) }),
    },
    ...(evaluation !== undefined && { evalData: evaluation }),
  }
}

interface Part {
  readonly dataset: Dataset
  readonly rows: ReadRows
}

interface PartOptions {
  readonly options: Options
  readonly reading: ReadingOptions
  readonly told: Told | undefined
}

async function readPart(
  model: Model,
  opened: OpenedRows,
  name: CheckingEvent['data'],
  { options, reading, told }: PartOptions,
): Promise<Part> {
  const { maxLength, unlabelled, onChecking } = options
  const notes = new RowNotes({ maxLength, maxPositions: model.maxPositions, valSplitBy: options.valSplitBy })
  const turnEnds = new TurnEnds()
  const { cacheFolder, now } = model.environment
  const unpaired = new UnpairedNotes()
  const listeners = name === 'data' ? [notes, turnEnds, unpaired] : [notes]
  const dataset: Dataset = datasetOf(opened, reading.encoding, { unlabelled, listeners, cacheFolder })
  let reported = now()
  const progress = async (rows: number): Promise<void> => {
    if (now() - reported < REPORT_MS) return
    reported = now()
    onChecking?.({ event: 'checking', data: name, rows, of: dataset.length })
    await new Promise<void>((go) => setTimeout(go, 0))
  }
  const warnings = (): readonly string[] => [
    ...notes.take(),
    ...turnEnds.messages,
    ...unpaired.take(reading.objective, dataset.length % options.batchSize),
  ]
  return { dataset, rows: await readRows(dataset, reading, progress, warnings, told) }
}

/** Reads the rows to evaluate on, and looks for each among those that are trained on. */
async function readEvaluation(
  opened: OpenedRows,
  read: (rows: OpenedRows, name: CheckingEvent['data'], told?: Told) => Promise<Part>,
  train: Part,
): Promise<NonNullable<DataInspection['evalData']>> {
  let [rows, inputs] = [0, 0]
  const found: (readonly [row: number, first: number])[] = []
  const told: Told = (index, whole, input) => {
    const same = train.rows.contents.find(whole)
    const sameInput = input && train.rows.inputs.find(input)
    if (same !== undefined) rows++
    if (sameInput !== undefined) inputs++
    const first = same ?? sameInput
    if (first !== undefined && found.length < MOST_PLACES) found.push([index, first])
  }
  const part = await read(opened, 'evalData', told)
  const first: RowPair[] = found.map(([row, like]) => pairOf(part.dataset, row, like, train.dataset))
  const alsoTrainedOn: Overlap = { rows, inputs, first }
  return { ...part.rows.found, alsoTrainedOn }
}

/** A folder's model with the labels that the data has, where a fresh head is asked for and nothing says its labels. */
async function withCollectedLabels(model: Model, rows: OpenedRows, { columns }: Options): Promise<Model> {
  if (!(model instanceof FolderModel) || model.head?.open !== true) return model
  const found = await labelsOfRows((await rows.renamed(columns)).sources, model.task.name)
  return model.withHead({ ...found, ...model.head.options })
}

/** What is learned, told by the first row that tells it: a bad one is no reason to say nothing of the others. */
async function objectiveOf(model: Model, rows: OpenedRows, options: Options): Promise<Objective> {
  if (!rowsTell(model)) return objectiveFor(model, options, undefined)
  let failure: InvalidDataError | undefined
  let asked = 0
  for (const source of rows.sources)
    for (let index = 0; index < source.length && asked < MOST_ASKED; index++, asked++)
      try {
        return objectiveFor(model, options, await source.row(index))
      } catch (error) {
        if (!(error instanceof InvalidDataError)) throw error
        failure ??= error
      }
  throw failure!
}
