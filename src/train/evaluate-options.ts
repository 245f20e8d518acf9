/** @file Options of an evaluation. */
import { files, whole } from '../util/option-kinds.js'
import type { OptionTable } from '../util/option-table.js'
import { objectiveOptionTable, type ObjectiveOptions } from './objectives/options.js'
import { maxLengthOption, unlabelledOption } from './option-table.js'

/** Options of `evaluate`. */
export interface EvaluateOptions extends ObjectiveOptions {
  /** Files of rows: JSONL, CSV, TSV or Parquet. */
  readonly data: string | readonly string[]
  /** Rows in one batch, 8 unless said; it changes speed and memory, not the result. */
  readonly batchSize?: number
  /** Longest row in tokens; longer ones are cut. The model's positions unless said, with a warning. */
  readonly maxLength?: number
  /** A row without a token to learn: `refuse` it with an error, or `skip` it; `refuse` unless said. */
  readonly unlabelled?: 'refuse' | 'skip'
  /** Told what is worth knowing of the rows: left out, cut at the model's positions, with fields that nothing reads. */
  readonly onWarning?: (message: string) => void
}

export const evaluateOptionTable = {
  data: { is: files, required: true, flag: { name: 'data', value: 'FILE…' }, help: 'Rows: JSONL, CSV, TSV or Parquet.' },
  batchSize: { is: whole(1), default: 8, flag: 'batch-size', help: 'Rows in one batch.' },
  ...maxLengthOption,
  ...objectiveOptionTable,
  ...unlabelledOption,
  onWarning: { effect: true },
} as const satisfies OptionTable<EvaluateOptions>
