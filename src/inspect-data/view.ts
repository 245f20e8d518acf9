/** @file What an example feeds, of whichever task: its texts as ids, and what of them is learned. */
import type { AnyExample } from '../data/encoding.js'
import type { Example } from '../data/examples.js'
import type { FieldsExample, RowTensor } from '../data/row-tensors.js'
import { IGNORED_LABEL } from '../losses/causal-lm.js'
import type { Objective } from '../train/objective.js'

/** One text of an example. */
export interface SequenceView {
  readonly ids: ArrayLike<number>
  /** As the batch has them, but for the first of a language model, which is masked there: nothing predicts it. */
  readonly labels: ArrayLike<number> | undefined
}

/** What an example feeds. */
export interface ExampleView {
  readonly sequences: readonly SequenceView[]
  /** Inputs and labels that are not per token, by name. */
  readonly others: Readonly<Record<string, RowTensor>>
  /** Rows that it takes of a batch, and the positions of each. */
  readonly lengths: readonly number[]
  /** Positions that hold something. */
  readonly positions: number
}

/** Names under which examples have what is learned, not what it is learned from. */
const LABELS = new Set([
  'labels',
  'score',
  'start_positions',
  'end_positions',
  'row_lengths',
  'completion_mask',
  'nll_weight',
  'desirable',
])

/** Names of what tokens have one of each, and what follows from them. */
const OF_TOKENS = new Set(['input_ids', 'attention_mask', 'token_type_ids', 'position_ids', 'completion_mask', 'nll_weight'])

const isTokens = (example: AnyExample): example is Example => 'inputIds' in example

/** @param example of the encoding of an objective of this library, which makes no others */
export function viewOf(example: AnyExample): ExampleView {
  if (isTokens(example)) {
    const { inputIds, attentionMask, labels } = example
    const positions = attentionMask.reduce((sum, seen) => sum + seen, 0)
    return { sequences: [{ ids: inputIds, labels }], others: {}, lengths: [inputIds.length], positions }
  }
  const { rows, once, positions } = example as FieldsExample
  const hasTokens = rows[0]!['input_ids'] !== undefined
  const perToken = (row: Readonly<Record<string, RowTensor>>): RowTensor | undefined =>
    hasTokens && row['labels']?.pad !== undefined ? row['labels'] : undefined
  const others = Object.entries({ ...rows[0], ...once }).filter(
    ([name]) => !OF_TOKENS.has(name) && !(name === 'labels' && perToken(rows[0]!) !== undefined),
  )
  return {
    sequences: hasTokens ? rows.map((row) => ({ ids: row['input_ids']!.values, labels: perToken(row)?.values })) : [],
    others: Object.fromEntries(others),
    lengths: rows.map((row) => row['input_ids']?.shape[0] ?? 1),
    positions,
  }
}

/** Stretches of a text that are learned, `[start, end)`. */
export function learnedSpans({ labels }: SequenceView, causal: boolean): [start: number, end: number][] {
  const spans: [number, number][] = []
  if (labels === undefined) return spans
  for (let i = causal ? 1 : 0; i < labels.length; i++) {
    if (labels[i] === IGNORED_LABEL) continue
    const last = spans.at(-1)
    if (last?.[1] === i) last[1]++
    else spans.push([i, i + 1])
  }
  return spans
}

/** The lists of numbers that make an example what it is, and those that its labels are told from; undefined where there are none. */
export function contentOf(
  { sequences, others }: ExampleView,
  { causal }: Pick<Objective, 'causal'>,
): { readonly whole: readonly ArrayLike<number>[]; readonly input: readonly ArrayLike<number>[] | undefined } {
  const rest = Object.entries(others)
  const whole = [...sequences.flatMap(({ ids, labels = [] }) => [ids, labels]), ...rest.map(([, { values }]) => values)]
  if (causal) {
    // Of a preference the rejected completion, the last, is always learned apart from the prompt.
    const { ids, labels } = sequences.at(-1)!
    const end = labels === undefined ? 0 : indexOfLearned(labels)
    return {
      whole,
      input: end > 0 ? [Array.isArray(ids) ? (ids as number[]).slice(0, end) : Array.from(ids).slice(0, end)] : undefined,
    }
  }
  const input = [...sequences.map(({ ids }) => ids), ...rest.flatMap(([name, { values }]) => (LABELS.has(name) ? [] : [values]))]
  return { whole, input: input.length > 0 ? input : undefined }
}

/** The first place that is learned; 0 where none is. */
function indexOfLearned(labels: ArrayLike<number>): number {
  for (let i = 0; i < labels.length; i++) if (labels[i] !== IGNORED_LABEL) return i
  return 0
}

/** Shapes of the inputs that are no tokens and no labels. */
export const inputShapes = ({ others }: ExampleView): Record<string, readonly number[]> =>
  Object.fromEntries(Object.entries(others).flatMap(([name, { shape }]) => (LABELS.has(name) ? [] : [[name, shape]])))
