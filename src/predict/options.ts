/** @file Options of predictions and embeddings. */
import type { Columns } from '../data/column-names.js'
import type { ObjectiveOptions } from '../train/objectives/options.js'
import { objectiveOptionTable } from '../train/objectives/options.js'
import { columnsOption, maxLengthOption } from '../train/option-table.js'
import { abortSignal, callback, whole } from '../util/option-kinds.js'
import type { OptionTable } from '../util/option-table.js'

/** Options of `embed`. */
export interface EmbedOptions extends Pick<ObjectiveOptions, 'pooling' | 'promptName'> {
  /** Rows in one batch, 8 by default; it changes speed and memory, not the result. */
  readonly batchSize?: number
  /** Longest row in tokens; longer ones are cut. The model's positions by default, with a warning. */
  readonly maxLength?: number
  /** Ends the run before the next batch: what is waited for is rejected with the signal's reason. */
  readonly signal?: AbortSignal
  /** Told what is worth knowing of the rows: cut at the model's positions. */
  readonly onWarning?: (message: string) => void
}

/** Options of `predict`. */
export interface PredictOptions extends EmbedOptions, Pick<ObjectiveOptions, 'problemType'> {
  /** Of classifiers: labels in `scores`, all by default. Of answers: how many are given in `answers`, none beside the best by default. */
  readonly topK?: number
  /** Of answers: most tokens of one, 15 by default. */
  readonly maxAnswerLength?: number
  /** Columns of rows to read fields from: `{ text: 'review' }`. Those of labels, as a training run has them, are not needed. */
  readonly columns?: Columns
}

export const embedOptionTable = {
  batchSize: { is: whole(1), default: 8, flag: 'batch-size', help: 'Rows in one batch.' },
  ...maxLengthOption,
  pooling: objectiveOptionTable.pooling,
  promptName: objectiveOptionTable.promptName,
  signal: { effect: abortSignal },
  onWarning: { effect: callback },
} as const satisfies OptionTable<EmbedOptions>

export const predictOptionTable = {
  ...columnsOption,
  topK: {
    is: whole(1),
    flag: 'top-k',
    help: 'Of classifiers: labels in "scores", all by default. Of answers: how many there are in "answers".',
  },
  ...embedOptionTable,
  maxAnswerLength: { is: whole(1), flag: 'max-answer-length', help: 'Of answers: most tokens of one; 15 by default.' },
  problemType: objectiveOptionTable.problemType,
} as const satisfies OptionTable<PredictOptions>
