/** @file The data of a run: what it is opened as, how it is cut, and what is read of it before the first step. */
import type { BatchOptions, Dataset, RowListener } from '../data/dataset.js'
import type { OpenedRows } from '../data/open-data.js'
import { InvalidOptionError } from '../errors.js'
import type { DataToCheck } from './check-data.js'
import { chooseObjective, openTaskDataset, openTrainAndEvalRows } from './open-dataset.js'
import type { Objective } from './objective.js'
import { trainOptionTable, type ResolvedTrainOptions } from './option-table.js'
import { withPreset } from './presets.js'
import type { Trainee } from './trainee.js'

export const batchOptions = (o: ResolvedTrainOptions): BatchOptions => ({
  batchSize: o.batchSize * o.communicator.size,
  shuffle: o.shuffle,
  seed: o.seed,
  bucket: o.groupByLength,
  packing: o.packing,
})

/** How far the data goes: batches of an epoch, and of the whole run (`end` is Infinity if the number of steps decides). */
export interface Extent {
  readonly perEpoch: number
  readonly end: number
  readonly totalSteps: number
  readonly totalMicroBatches: number
}

export async function extentOf(dataset: Dataset, options: ResolvedTrainOptions): Promise<Extent> {
  const perEpoch = await dataset.batchesPerEpoch(batchOptions(options))
  const { steps, gradAccum } = options
  if (steps !== undefined) return { perEpoch, end: Infinity, totalSteps: steps, totalMicroBatches: steps * gradAccum }
  // 0.1 of 30 batches are 3, not the 4 that rounding up 3.0000000000000004 gives.
  const end = Math.max(1, Math.ceil(perEpoch * options.epochs - 1e-9))
  return { perEpoch, end, totalSteps: Math.ceil(end / gradAccum), totalMicroBatches: end }
}

/** Who is told of a run's rows. */
interface DataListeners {
  readonly data: readonly RowListener[]
  readonly evalData: readonly RowListener[]
}

/**
 * What the rows are for, and where they are.
 * @throws InvalidOptionError if there are no rows to evaluate on and an option needs them
 */
export async function openData(
  trainee: Trainee,
  options: ResolvedTrainOptions,
  listeners: DataListeners = { data: [], evalData: [] },
): Promise<OpenedData> {
  const { model } = trainee
  const { maxLength, unlabelled } = options
  checkPassesDiffer(trainee, options)
  const { train, evaluation } = await openTrainAndEvalRows(model, options)
  if (evaluation === undefined) checkNeedsNoEvaluation(options)
  const objective = await chooseObjective(model, train, options)
  const open = (rows: OpenedRows, listeners: readonly RowListener[]): Promise<Dataset> =>
    openTaskDataset(model, objective, rows, { maxLength, unlabelled, listeners })
  const dataset = await open(train, listeners.data)
  const evalDataset = evaluation && (await open(evaluation, listeners.evalData))
  return { objective, dataset, evalDataset, options: evaluation === undefined ? options : withFoundRows(options, train.beside) }
}

/** @throws InvalidOptionError if two passes over a row would be the same, and nothing could be learned of their difference */
function checkPassesDiffer({ config }: Trainee, { rDrop, cutoff, modelDropout }: ResolvedTrainOptions): void {
  if (rDrop === undefined || cutoff !== undefined || modelDropout || (config?.loraDropout ?? 0) > 0) return
  throw new InvalidOptionError(
    'rDrop (--r-drop) compares two passes over a row, which are the same without dropout: turn on modelDropout (--model-dropout), ' +
      'give the adapter a dropout (--dropout), or cut off tokens of one pass with cutoff (--cutoff)',
  )
}

/** The data of a run, open. */
interface OpenedData {
  readonly objective: Objective
  readonly dataset: Dataset
  readonly evalDataset: Dataset | undefined
  /** Those of the run, with what a preset sets of runs that evaluate. */
  readonly options: ResolvedTrainOptions
}

/** Rows to evaluate on may lie beside those to train on: a preset learns of them when the data is open. */
function withFoundRows(options: ResolvedTrainOptions, beside: readonly string[]): ResolvedTrainOptions {
  if (beside.length === 0 || options.evalData !== undefined) return options
  const { evalData: _, ...settled } = withPreset({ ...options, evalData: beside })
  return settled
}

/** Whether there are rows to evaluate on shows when the data is open: they may lie in its folder. */
function checkNeedsNoEvaluation(options: ResolvedTrainOptions): void {
  const { earlyStopping, keepBest, evalAtStart, metricForBest, greaterIsBetter, evalEvery, evalBatchSize, batchSize } = options
  const asked = {
    evalEvery: evalEvery !== undefined,
    evalBatchSize: evalBatchSize !== batchSize,
    earlyStopping: earlyStopping !== undefined,
    keepBest: keepBest === true,
    evalAtStart,
    metricForBest: metricForBest !== trainOptionTable.metricForBest.default,
    greaterIsBetter: greaterIsBetter !== undefined,
  }
  const needs = Object.entries(asked).find(([, isAsked]) => isAsked)?.[0]
  if (needs === undefined) return
  throw new InvalidOptionError(`${needs} needs evalData (--eval-data) or valSplit (--val-split): rows to evaluate on`)
}

/** What is read of the rows before the first step. */
export function dataToCheck(options: ResolvedTrainOptions, dataset: Dataset, evalDataset: Dataset | undefined): DataToCheck[] {
  const batches = batchOptions(options)
  const perEpoch = Math.ceil(dataset.length / batches.batchSize)
  const evalBatches = { batchSize: options.evalBatchSize * options.communicator.size }
  return [
    { name: 'data', dataset, batches, perEpoch, count: batchesOfRun(options, perEpoch) },
    ...(evalDataset === undefined
      ? []
      : [{ name: 'evalData' as const, dataset: evalDataset, batches: evalBatches, perEpoch: 1, count: 1 }]),
  ]
}

/** Batches of a run, of which one that packs knows no more than how many steps it makes. */
const batchesOfRun = ({ steps, epochs, gradAccum }: ResolvedTrainOptions, perEpoch: number): number =>
  steps === undefined ? Math.ceil(perEpoch * epochs) : steps * gradAccum
