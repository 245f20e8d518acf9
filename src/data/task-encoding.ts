/** @file Rows for models with a head: what the graph's inputs and the loss's labels are fed. */
import { InvalidDataError } from '../errors.js'
import { elementCount, type Value } from '../graph/types.js'
import type { Batch } from './batch.js'
import { checkExampleOptions } from './examples.js'
import { paddingToken, type RowEncoding } from './encoding.js'
import { batchOfFields, feedableTypes, fieldTensor, type FieldsExample, type RowTensor } from './row-tensors.js'
import { at, type Row } from './rows.js'
import { encodeText, readTexts, readTokens, type TextOptions, type TextTokens } from './text-fields.js'

export interface TaskEncodingOptions extends TextOptions {
  /** Fills the ends of rows; the tokenizer's by default. */
  readonly padTokenId?: number
  /** What the graph takes, labels not among them. */
  readonly inputs: readonly Value[]
}

/** The labels of one row. */
export interface RowLabels {
  readonly fields: Readonly<Record<string, RowTensor>>
  /** Labelled units. */
  readonly tokens: number
}

/** Reads the labels of a row; `tokens` are those of its text, where the model reads any. */
export type LabelReader = (row: Row, tokens: TextTokens | undefined) => RowLabels

const textInputs = new Set(['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'])

export const scalarLabel = (value: number): RowTensor => ({ dtype: 'int64', shape: [], values: [value] })
export const floatLabels = (values: readonly number[]): RowTensor => ({ dtype: 'float32', shape: [values.length], values })

/** Tokens as the inputs of a graph. */
export function tokenFields(
  { inputIds, attentionMask, tokenTypeIds, positionIds }: TextTokens,
  padTokenId: number,
): Record<string, RowTensor> {
  const field = (values: readonly number[], pad: number): RowTensor => ({ dtype: 'int64', shape: [values.length], values, pad })
  return {
    input_ids: field(inputIds, padTokenId),
    attention_mask: field(attentionMask, 0),
    token_type_ids: field(tokenTypeIds, 0),
    position_ids: field(positionIds ?? inputIds.map((_, i) => i), 0), // prettier-ignore
  }
}

const seen = ({ attentionMask }: TextTokens): number => attentionMask.reduce((sum, value) => sum + value, 0)

/**
 * One row of inputs and its labels.
 *
 * Token inputs come from the row's text, or from `input_ids` and its companions; every other input of the graph is a
 * field of the row by the same name.
 * @param options.keepPadding keeps the padding of tokenised rows: the loss counts positions
 * @throws InvalidOptionError if a length does not fit the model
 */
export function taskEncoding(
  options: TaskEncodingOptions,
  readLabels: LabelReader,
  { keepPadding = false } = {},
): RowEncoding<FieldsExample> {
  const { inputs } = options
  const readsText = inputs.some(({ name }) => name === 'input_ids')
  if (readsText) checkExampleOptions(options)
  const padTokenId = paddingToken(options)
  const others = inputs.filter(({ name }) => !readsText || !textInputs.has(name))
  const positions = positionAxis(inputs)
  return {
    encode(row) {
      const tokens = readsText ? readTokens(row, options, keepPadding) : undefined
      const labels = readLabels(row, tokens)
      const own = {
        ...Object.fromEntries(others.map((input) => [input.name, inputTensor(row, input, positions)])),
        ...labels.fields,
      }
      const fields: Record<string, RowTensor> = {
        ...(tokens !== undefined && tokenFields(tokens, padTokenId)),
        ...(tokens === undefined ? own : cutWithTokens(row, own, tokens)),
      }
      checkLengths(row, fields)
      return {
        rows: [fields],
        once: {},
        length: tokens?.inputIds.length ?? 1,
        positions: tokens === undefined ? 1 : seen(tokens),
        tokens: labels.tokens,
        truncated: tokens?.truncated ?? false,
      }
    },
    lengthOf: (example) => example.length,
    sizeOf: ({ rows }) => sizesOf(rows[0]!),
    capacity: undefined,
    batch: (rows) => ofFixedSize(batchOfFields(rows.flat()), inputs),
    emptyReason,
  }
}

/** What cannot be padded, by name. */
const sizesOf = (fields: Readonly<Record<string, RowTensor>>): string =>
  Object.entries(fields)
    .map(([name, { shape, pad }]) => `${name} [${(pad === undefined ? shape : shape.slice(1)).join(', ')}]`)
    .join(', ')

/** A graph that was made for a number of rows takes just so many. */
export function ofFixedSize(batch: Batch, inputs: readonly Value[]): Batch {
  const fixed = inputs.find(({ shape }) => typeof shape?.[0] === 'number' && shape[0] !== batch.rows)
  if (fixed === undefined) return batch
  throw new InvalidDataError(
    `the model's input "${fixed.name}" takes batches of exactly ${fixed.shape![0]} rows, but the batch has ${batch.rows}; choose that batch size (--batch-size ${fixed.shape![0]}) and data that it divides, or export the model with a dynamic first axis.`,
  )
}

/** Input of a graph that pools without the tokens of a row's prompt: how many they are, int64 [batch]. */
export const PROMPT_LENGTH = 'prompt_length'

/** What is put before the texts of a pair. */
export interface PairPrompts {
  readonly prompts: readonly [string, string]
  /** Whether rows say how many tokens their prompt has. */
  readonly excludePrompt: boolean
}

/** Tokens that a prompt has at the beginning of a text: those that stand before the text among them, those behind it not. */
export function promptLength(text: string, { tokenizer, maxLength }: TaskEncodingOptions): number {
  if (tokenizer === undefined || text === '') return 0
  return tokenizer.encodeTexts([text], maxLength).ids.length - (tokenizer.suffix.length > 0 ? 1 : 0)
}

/**
 * Pairs of texts, each a row of its own in the batch, one behind the other.
 * @param readLabels the pair's label, fed once
 */
export function pairEncoding(
  options: TaskEncodingOptions,
  readLabels: (row: Row) => RowLabels,
  { prompts, excludePrompt }: PairPrompts,
): RowEncoding<FieldsExample> {
  checkExampleOptions(options)
  const lengths = excludePrompt ? prompts.map((text) => scalarLabel(promptLength(text, options))) : []
  const padTokenId = paddingToken(options)
  return {
    encode(row) {
      const texts = readTexts(row)
      if (texts.length !== 2)
        throw new InvalidDataError(
          `${at(row)}: the row holds one text, but embeddings learn from two; expected {"text", "text_pair"}.`,
        )
      const tokens = texts.map((text, i) => encodeText(row, prompts[i]! + text, options))
      const labels = readLabels(row)
      return {
        rows: tokens.map((of, i) => ({
          ...tokenFields(of, padTokenId),
          ...(excludePrompt && { [PROMPT_LENGTH]: lengths[i]! }),
        })),
        once: labels.fields,
        length: Math.max(...tokens.map(({ inputIds }) => inputIds.length)),
        positions: tokens.reduce((sum, of) => sum + seen(of), 0),
        tokens: labels.tokens,
        truncated: tokens.some(({ truncated }) => truncated),
      }
    },
    lengthOf: (example) => example.length,
    capacity: undefined,
    batch: (rows) => batchOfFields(rows.flat()),
    emptyReason,
  }
}

const emptyReason = ({ truncated }: FieldsExample): string =>
  truncated
    ? 'what it labels was cut off; raise maxLength (--max-length) or shorten the text'
    : 'all its labels are masked (-100, or outside the row)'

/**
 * Tokens as the inputs of a graph, with its further inputs from the row.
 * @throws InvalidDataError for an input that the row lacks
 */
export function textFields(row: Row, tokens: TextTokens, options: TaskEncodingOptions): Record<string, RowTensor> {
  const others = options.inputs.filter(({ name }) => !textInputs.has(name))
  const positions = positionAxis(options.inputs)
  return {
    ...tokenFields(tokens, paddingToken(options)),
    ...Object.fromEntries(others.map((input) => [input.name, inputTensor(row, input, positions)])),
  }
}

/** The name of the axis that counts positions. */
export function positionAxis(inputs: readonly Value[]): string | undefined {
  const axis = inputs.find(({ name }) => name === 'input_ids')?.shape?.[1]
  return typeof axis === 'string' ? axis : undefined
}

/** A field of the row as an input of the graph. */
export function inputTensor(row: Row, { name, dtype, shape }: Value, positions: string | undefined): RowTensor {
  if (shape === undefined || shape.length === 0 || !feedableTypes.includes(dtype))
    throw new InvalidDataError(
      `${at(row)}: the model's input "${name}" (${dtype}) cannot be filled from rows; its first axis must count rows and its type be one of ${feedableTypes.join(', ')}.`,
    )
  return fieldTensor(row, name, dtype, shape.slice(1), positions)
}

/** What a tokenised row brings for each of its tokens loses what its tokens lost: padding at the end, and what was too long. */
function cutWithTokens(
  row: Row,
  fields: Readonly<Record<string, RowTensor>>,
  { inputIds }: TextTokens,
): Readonly<Record<string, RowTensor>> {
  const whole = row.value['input_ids']
  if (!Array.isArray(whole) || whole.length === inputIds.length) return fields
  const cut = (tensor: RowTensor): RowTensor => {
    const { shape, values, pad } = tensor
    if (pad === undefined || shape[0] !== whole.length) return tensor
    const kept = [inputIds.length, ...shape.slice(1)]
    return { ...tensor, shape: kept, values: Array.from(values).slice(0, elementCount(kept)) }
  }
  return Object.fromEntries(Object.entries(fields).map(([name, tensor]) => [name, cut(tensor)]))
}

/** Everything with an axis of positions has as many. */
function checkLengths(row: Row, fields: Readonly<Record<string, RowTensor>>): void {
  const lengths = Object.entries(fields).filter(([, { pad }]) => pad !== undefined)
  const [first] = lengths
  for (const [name, { shape, values }] of lengths)
    if (shape[0] !== first![1].shape[0] || values.length !== elementCount(shape))
      throw new InvalidDataError(
        `${at(row)}: "${name}" holds ${shape[0]} positions and "${first![0]}" ${first![1].shape[0]}; they must be as many.`,
      )
}
