/** @file What a language model writes for rows, scored against what stands in them. */
import type { Adapter } from '../adapter/adapter.js'
import { modelOf, type AdapterSet } from '../adapter/adapter-set.js'
import { subjectArgument } from '../adapter/subject-arguments.js'
import { answeredPrompts, type AnsweredPrompt } from '../data/answered-prompts.js'
import type { RowData } from '../data/row-data.js'
import type { RowReading } from '../data/row-reading.js'
import { rowsOf } from '../data/rows.js'
import { checkGenerates } from '../generate/prompt-ids.js'
import { generateBatch } from '../generate/generate-batch.js'
import { resolveBatchOptions, writtenOptionTable, type BatchOptions } from '../generate/generate-options.js'
import { rowPromptIds } from '../generate/generate-rows.js'
import { meteorOptionTable } from '../metrics/meteor/meteor.js'
import { score, type MetricName, type ScoreOptions, type Scores } from '../metrics/score.js'
import type { Segment } from '../metrics/segment.js'
import type { Model } from '../model/model.js'
import { checkArgument } from '../util/arguments.js'
import { callback, kind, toggle, type Kind } from '../util/option-kinds.js'
import { pickKeys } from '../util/option-keys.js'
import { resolveOptions, type OptionTable } from '../util/option-table.js'
import { evaluateOptionTable } from './evaluate-options.js'
import { openEvaluatedRows } from './open-dataset.js'
import { checkSplit, readingOptions, splitOptions } from './option-table.js'

/** Options of `evaluateTexts`: the rows, the metrics, and how texts are generated. */
export interface EvaluateTextsOptions
  extends RowReading, Omit<BatchOptions, 'numReturn' | 'logprobs' | 'promptLogprobs'>, Omit<ScoreOptions, 'official'> {
  /** Rows with a prompt and a completion, or dialogues that end with an answer; as of `evaluate`. */
  readonly data: RowData
  /** The rows that a run with the same `valSplit`, `valSplitBy` and `seed` set aside, and no others. */
  readonly valSplit?: number
  /** With `valSplit`: the column that the run kept together. */
  readonly valSplitBy?: string
  /** Metrics of `lowrank/metrics`, in the order of the result. */
  readonly metrics: readonly MetricName[]
  /** Prompts that are continued together, 8 by default; it changes speed and memory, not the result. */
  readonly batchSize?: number
  /** Seed of sampling, and with `valSplit` of the run; 0 by default. */
  readonly seed?: number
  /** Told how many prompts have been continued, of how many. */
  readonly onProgress?: (done: number, total: number) => void
}

/** What `evaluateTexts` gives. */
export interface TextEvaluation {
  /** The metrics, by name. */
  readonly scores: Scores
  /** What was written for each prompt, and what it was compared with. */
  readonly segments: readonly Segment[]
}

const metricList: Kind<readonly MetricName[], 'names'> = kind(
  'names',
  'be a list of metrics',
  (value) => Array.isArray(value) && value.every((name) => typeof name === 'string'),
)

/** How texts are compared: what metrics are told, but for the end of files, which texts that are written do not have. */
const comparisonOptions = {
  ...meteorOptionTable,
  lowercase: { is: toggle },
} as const satisfies OptionTable<Omit<ScoreOptions, 'official'>>

export const evaluateTextsOptionTable = {
  data: evaluateOptionTable.data,
  ...readingOptions,
  ...splitOptions,
  metrics: { is: metricList, required: true },
  ...comparisonOptions,
  batchSize: evaluateOptionTable.batchSize,
  ...writtenOptionTable,
  onProgress: { effect: callback },
} as const satisfies OptionTable<EvaluateTextsOptions>

/**
 * Lets a language model, alone or with adapters, continue the prompts of rows and scores what it writes: greedily, or as the
 * options of generation say. Rows of one prompt are one segment with several references. White space at the ends of texts is no
 * part of them.
 *
 * @throws InvalidOptionError for options out of range, and those of metrics that none of them has; InvalidDataError naming the row
 * that has nothing to compare with, or whose prompt leaves no room
 * @example
 * const { scores } = await evaluateTexts(adapter, { data: 'test.jsonl', metrics: ['bleu', 'rouge-l'], maxNewTokens: 64 })
 */
export async function evaluateTexts(subject: Model | Adapter | AdapterSet, given: EvaluateTextsOptions): Promise<TextEvaluation> {
  checkArgument(subject, subjectArgument, 'evaluateTexts')
  const options = resolveOptions(evaluateTextsOptionTable, given, 'evaluateTexts')
  checkSplit(options)
  const generation = pickKeys(given, writtenOptionTable)
  resolveBatchOptions(generation)
  const compared = pickKeys(given, comparisonOptions)
  // What metrics lack is told before texts are written.
  score([{ hypothesis: '', references: [''] }], options.metrics, compared)
  const model = modelOf(subject)
  const { sources } = await openEvaluatedRows(model, options.data, options)
  const prompts = await answeredPrompts(rowsOf(sources))
  await checkRoom(model, prompts)
  const segments: Segment[] = []
  for (let start = 0; start < prompts.length; start += options.batchSize) {
    const batch = prompts.slice(start, start + options.batchSize)
    const texts = await generateBatch(subject, batch.map((prompt) => prompt.given), generation) // prettier-ignore
    texts.forEach(({ text }, i) => segments.push({ hypothesis: text.trim(), references: batch[i]!.answers.map((answer) => answer.trim()) })) // prettier-ignore
    options.onProgress?.(segments.length, prompts.length)
  }
  return { scores: score(segments, options.metrics, compared), segments }
}

/** Every prompt is looked at before the first is continued. */
async function checkRoom(model: Model, prompts: readonly AnsweredPrompt[]): Promise<void> {
  const tokenizer = await model.tokenizer()
  checkGenerates(model)
  for (const { given, row } of prompts) rowPromptIds(model, tokenizer, given, row)
}
