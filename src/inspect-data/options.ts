/** @file Options of an inspection of rows: those of a run that decide what is learned from them. */
import { callback, whole } from '../util/option-kinds.js'
import type { OptionTable } from '../util/option-table.js'
import type { CheckingEvent } from '../train/events.js'
import { objectiveOptionTable, type ObjectiveOptions } from '../train/objectives/options.js'
import {
  batchingOptions,
  fileOptions,
  lengthOptions,
  maxLengthOption,
  readingOptions,
  unlabelledOption,
} from '../train/option-table.js'
import type { TrainOptions } from '../train/options.js'

/** Options of `inspectData`: of a run those that decide what is learned from its rows, under the same names. */
export interface DataInspectionOptions
  extends
    ObjectiveOptions,
    Pick<TrainOptions, 'evalData' | 'columns' | 'header' | 'valSplit' | 'valSplitBy' | 'maxLength' | 'batchSize' | 'gradAccum'>,
    Pick<TrainOptions, 'shuffle' | 'seed' | 'groupByLength' | 'packing' | 'unlabelled'> {
  /** Rows that are shown token by token; 3 by default. */
  readonly rows?: number
  /** Told how far the reading is, now and then. */
  readonly onChecking?: (event: CheckingEvent) => void
}

export const shownRowsOption = {
  rows: { group: 'command', is: whole(0), default: 3, flag: 'rows', help: 'Rows that are shown token by token.' },
} as const

const { evalData, valSplit, valSplitBy } = fileOptions
const { batchSize, gradAccum } = lengthOptions

/** By its rows, in the order of the help. */
export const dataInspectionTable = {
  ...shownRowsOption,
  evalData,
  ...readingOptions,
  valSplit,
  valSplitBy,
  ...maxLengthOption,
  batchSize,
  gradAccum,
  ...batchingOptions,
  ...objectiveOptionTable,
  ...unlabelledOption,
  onChecking: { effect: callback },
} as const satisfies OptionTable<DataInspectionOptions>
