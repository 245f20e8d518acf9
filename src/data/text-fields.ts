/** @file The text of a row for a model with a head, under whichever names it comes, as tokens. */
import { InvalidDataError } from '../errors.js'
import { integersField, kindOf, textField, tokensShape } from './row-shapes.js'
import { at, type Row } from './rows.js'
import type { EncodedText } from './text-pairs.js'
import type { Tokenizer } from './tokenizer.js'

export interface TextOptions {
  readonly tokenizer?: Tokenizer
  /** Longest row in tokens; longer ones are cut. Without it a row longer than the model's positions is an error. */
  readonly maxLength?: number
  readonly vocabularySize: number
  readonly maxPositions: number
}

/** A row's tokens. All arrays are of one length. */
export interface TextTokens {
  readonly inputIds: readonly number[]
  readonly attentionMask: readonly number[]
  readonly tokenTypeIds: readonly number[]
  /** Of rows of words: the number of each token's word, -1 for special tokens. */
  readonly words?: readonly number[]
  readonly truncated: boolean
}

/** Names of one text, and of two: ours, then those of the GLUE tasks and SQuAD. */
const single = ['text', 'sentence'] as const
const double = [
  ['text', 'text_pair'],
  ['sentence1', 'sentence2'],
  ['premise', 'hypothesis'],
  ['question1', 'question2'],
  ['question', 'sentence'],
  ['question', 'context'],
] as const

const shapes = '{"text"}, {"text", "text_pair"}, {"sentence1", "sentence2"} or {"input_ids"}'

export const hasField = (row: Row, field: string): boolean => row.value[field] !== undefined && row.value[field] !== null

/**
 * The one or two texts of a row.
 * @throws InvalidDataError if there is none, or a field is no text
 */
export function readTexts(row: Row): readonly [string] | readonly [string, string] {
  const pair = double.find((names) => names.every((name) => hasField(row, name)))
  if (pair !== undefined) return [textField(row, pair[0]), textField(row, pair[1])]
  const name = single.find((candidate) => hasField(row, candidate))
  if (name !== undefined) return [textField(row, name)]
  const found = Object.keys(row.value).map((key) => `"${key}"`)
  throw new InvalidDataError(`${at(row)}: found the fields ${found.join(', ') || '(none)'}; expected ${shapes}, with its label.`)
}

/**
 * The tokens of a row: those it brings, or those of its text or texts.
 * @param keepPadding keeps the padding that a tokenised row carries at its end
 * @throws InvalidDataError naming file, line and field
 */
export function readTokens(row: Row, options: TextOptions, keepPadding = false): TextTokens {
  const { maxLength, maxPositions } = options
  const whole = hasField(row, 'input_ids') ? tokenisedRow(row, keepPadding) : encodedRow(row, options)
  const tokens = maxLength !== undefined && whole.inputIds.length > maxLength ? cutTokens(whole, maxLength) : whole
  checkIds(row, tokens, options)
  if (tokens.inputIds.length > maxPositions && maxPositions > 0)
    throw new InvalidDataError(
      `${at(row)}: ${tokens.inputIds.length} tokens, but the model has only ${maxPositions} positions; set maxLength (--max-length) to at most ${maxPositions} to cut longer rows, or shorten the row.`,
    )
  return tokens
}

/** The tokens of one text on its own. */
export function encodeText(row: Row, text: string, options: TextOptions): TextTokens {
  const { ids, typeIds, truncated } = tokenizerFor(row, options.tokenizer).encodeTexts([text], options.maxLength)
  const tokens = { inputIds: ids, attentionMask: ids.map(() => 1), tokenTypeIds: typeIds, truncated }
  checkIds(row, tokens, options)
  if (ids.length > options.maxPositions && options.maxPositions > 0)
    throw new InvalidDataError(
      `${at(row)}: ${ids.length} tokens, but the model has only ${options.maxPositions} positions; set maxLength (--max-length) to at most ${options.maxPositions}.`,
    )
  return tokens
}

function encodedRow(row: Row, { tokenizer, maxLength }: TextOptions): TextTokens {
  const known = tokenizerFor(row, tokenizer)
  const list = ['tokens', 'words'].find((name) => hasField(row, name))
  const encoded: EncodedText & { readonly words?: readonly number[] } =
    list === undefined ? known.encodeTexts(readTexts(row), maxLength) : known.encodeWords(wordsField(row, list), maxLength)
  const { ids, typeIds, words, truncated } = encoded
  return { inputIds: ids, attentionMask: ids.map(() => 1), tokenTypeIds: typeIds, ...(words && { words }), truncated }
}

function tokenizerFor(row: Row, tokenizer: Tokenizer | undefined): Tokenizer {
  if (tokenizer !== undefined) return tokenizer
  throw new InvalidDataError(
    `${at(row)}: the row is text, but the model's folder has no tokenizer.json; add the tokenizer's files to it, or give tokenised rows ({"input_ids": […]}).`,
  )
}

function wordsField(row: Row, field: string): readonly string[] {
  const value = row.value[field]
  if (!Array.isArray(value) || value.length === 0 || !value.every((word) => typeof word === 'string'))
    throw new InvalidDataError(`${at(row)}: "${field}" must be a list of words, found ${kindOf(value)}.`)
  return value as string[]
}

function tokenisedRow(row: Row, keepPadding: boolean): TextTokens {
  const { inputIds, attentionMask } = tokensShape(row, false)
  const mask = attentionMask ?? inputIds.map(() => 1)
  const types = hasField(row, 'token_type_ids') ? integersField(row, 'token_type_ids') : inputIds.map(() => 0)
  if (types.length !== inputIds.length)
    throw new InvalidDataError(
      `${at(row)}: "token_type_ids" holds ${types.length} numbers and "input_ids" ${inputIds.length}; they must be as many.`,
    )
  const tokens = { inputIds, attentionMask: mask, tokenTypeIds: types, truncated: false }
  // Padding that the row already carries at its end teaches nothing and costs time.
  let length = inputIds.length
  while (!keepPadding && length > 1 && mask[length - 1] === 0) length--
  return length === inputIds.length ? tokens : { ...cutTokens(tokens, length), truncated: false }
}

const cutTokens = ({ inputIds, attentionMask, tokenTypeIds, words }: TextTokens, length: number): TextTokens => ({
  inputIds: inputIds.slice(0, length),
  attentionMask: attentionMask.slice(0, length),
  tokenTypeIds: tokenTypeIds.slice(0, length),
  ...(words && { words: words.slice(0, length) }),
  truncated: true,
})

function checkIds(row: Row, { inputIds }: TextTokens, { vocabularySize, tokenizer }: TextOptions): void {
  const index = vocabularySize === 0 ? -1 : inputIds.findIndex((id) => id < 0 || id >= vocabularySize)
  if (index < 0) return
  const source = tokenizer === undefined ? 'row' : 'row or its tokenizer'
  throw new InvalidDataError(
    `${at(row)}: token id ${inputIds[index]} at position ${index} is outside the model's vocabulary of ${vocabularySize} (0 to ${vocabularySize - 1}); the ${source} belongs to another model.`,
  )
}
