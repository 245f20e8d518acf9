/** @file Options of an evaluation. */
import { rowData, type RowData } from '../data/row-data.js'
import type { RowReading } from '../data/row-reading.js'
import { callback, whole } from '../util/option-kinds.js'
import type { OptionTable } from '../util/option-table.js'
import { objectiveOptionTable, type ObjectiveOptions } from './objectives/options.js'
import { batchingOptions, maxLengthOption, readingOptions, splitOptions, unlabelledOption } from './option-table.js'

/** Options of `evaluate`. */
export interface EvaluateOptions extends ObjectiveOptions, RowReading {
  /**
   * Rows: files (JSONL, JSON, CSV, TSV or Parquet, each also as .gz), a folder with a `test` or else a `valid` file, a data set of
   * the hub (`hf:owner/name[:config][@split]`), blobs, or rows in memory.
   */
  readonly data: RowData
  /**
   * The rows of `data` that a run with the same `valSplit`, `valSplitBy` and `seed` set aside to evaluate on, and no others. Of a
   * folder it is then the `train` file, as in the run.
   */
  readonly valSplit?: number
  /** With `valSplit`: the column that the run kept together. */
  readonly valSplitBy?: string
  /** With `valSplit`: the seed of the run, 0 by default. */
  readonly seed?: number
  /** Rows in one batch, 8 by default; it changes speed and memory, not the result (but for `kto` and the contrastive loss, which are about a batch). */
  readonly batchSize?: number
  /** Longest row in tokens; longer ones are cut. The model's positions by default, with a warning. */
  readonly maxLength?: number
  /** A row without a token to learn: `refuse` it with an error, or `skip` it; `refuse` by default. */
  readonly unlabelled?: 'refuse' | 'skip'
  /** Told what is worth knowing of the rows: left out, cut at the model's positions, with fields that nothing reads. */
  readonly onWarning?: (message: string) => void
}

export const evaluateOptionTable = {
  data: {
    is: rowData,
    required: true,
    flag: { name: 'data', value: 'FILE…' },
    help: 'Rows: JSONL, JSON, CSV, TSV or Parquet, each also as .gz; a folder with a test or valid file; or hf:owner/name[:config][@split] from the hub.',
  },
  ...readingOptions,
  ...splitOptions,
  seed: batchingOptions.seed,
  batchSize: { is: whole(1), default: 8, flag: 'batch-size', help: 'Rows in one batch.' },
  ...maxLengthOption,
  ...objectiveOptionTable,
  ...unlabelledOption,
  onWarning: { effect: callback },
} as const satisfies OptionTable<EvaluateOptions>
