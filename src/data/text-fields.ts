/** @file The text of a row for a model with a head, under whichever names it comes, as tokens. */
import { InvalidDataError } from '../errors.js'
import { perToken, textField, tokensShape } from './row-shapes.js'
import { longestRow } from './examples.js'
import { rowTokenizer } from './needed-tokenizer.js'
import { at, firstField, foundFields, hasField, kindOf, located, type Row, takeField } from './rows.js'
import type { EncodedText } from './text-pairs.js'
import type { Tokenizer } from './tokenizer.js'

export interface TextOptions {
  readonly tokenizer?: Tokenizer
  /** Longest row in tokens; longer ones are cut. The model's positions by default. */
  readonly maxLength?: number
  readonly vocabularySize: number
  readonly maxPositions: number
}

/** A row's tokens. All arrays are of one length. */
export interface TextTokens {
  readonly inputIds: readonly number[]
  readonly attentionMask: readonly number[]
  readonly tokenTypeIds: readonly number[]
  /** Positions that the row brings itself; 0, 1, … unless given. */
  readonly positionIds?: readonly number[]
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

/** The names under which a row brings its two texts, or its one, if it does. */
export function findTextFields(row: Row): readonly [string] | readonly [string, string] | undefined {
  const pair = double.find((names) => names.every((name) => hasField(row, name)))
  const name = firstField(row, single)
  return pair ?? (name === undefined ? undefined : [name])
}

/** The name under which a row brings its words, if it does. */
export const findWordsField = (row: Row): string | undefined => firstField(row, ['tokens', 'words'])

/**
 * The one or two texts of a row.
 * @throws InvalidDataError if there is none, or a field is no text
 */
export function readTexts(row: Row): readonly [string] | readonly [string, string] {
  const [first, second] = findTextFields(row) ?? []
  if (first === undefined)
    throw new InvalidDataError(
      `${at(row)}: ${foundFields(row)}; expected ${shapes}. A column of another name is told by columns (--columns text=…).`,
    )
  return second === undefined ? [textField(row, first)] : [textField(row, first), textField(row, second)]
}

/**
 * The tokens of a row: those it brings, or those of its text or texts.
 * @param keepPadding keeps the padding that a tokenised row carries at its end
 * @throws InvalidDataError naming file, line and field
 */
export function readTokens(row: Row, options: TextOptions, keepPadding = false): TextTokens {
  const longest = longestRow(options)
  const whole = hasField(row, 'input_ids') ? tokenisedRow(row, keepPadding) : encodedRow(row, options)
  const tokens = whole.inputIds.length > longest ? cutTokens(whole, longest) : whole
  checkIds(row, tokens, options)
  return tokens
}

/** What a tokenizer makes of a text, as a row's tokens. */
export const textTokens = ({
  ids,
  typeIds,
  words,
  truncated,
}: EncodedText & { readonly words?: readonly number[] }): TextTokens => ({
  inputIds: ids,
  attentionMask: ids.map(() => 1),
  tokenTypeIds: typeIds,
  ...(words && { words }),
  truncated,
})

/** The tokens of one text on its own. */
export function encodeText(row: Row, text: string, options: TextOptions): TextTokens {
  const known = rowTokenizer(row, options.tokenizer)
  const tokens = textTokens(located(row, () => known.encodeTexts([text], longestRow(options))))
  checkIds(row, tokens, options)
  return tokens
}

function encodedRow(row: Row, options: TextOptions): TextTokens {
  const known = rowTokenizer(row, options.tokenizer)
  const maxLength = longestRow(options)
  const list = findWordsField(row)
  return located(row, () =>
    textTokens(
      list === undefined ? known.encodeTexts(readTexts(row), maxLength) : known.encodeWords(wordsField(row, list), maxLength),
    ),
  )
}

export function wordsField(row: Row, field: string): readonly string[] {
  const value = takeField(row, field)
  if (!Array.isArray(value) || value.length === 0 || !value.every((word) => typeof word === 'string'))
    throw new InvalidDataError(`${at(row)}: "${field}" must be a list of words, found ${kindOf(value)}.`)
  return value as string[]
}

function tokenisedRow(row: Row, keepPadding: boolean): TextTokens {
  const { inputIds, attentionMask, positionIds } = tokensShape(row, false)
  const mask = attentionMask ?? inputIds.map(() => 1)
  const types = hasField(row, 'token_type_ids') ? perToken(row, 'token_type_ids', inputIds) : inputIds.map(() => 0)
  const tokens = { inputIds, attentionMask: mask, tokenTypeIds: types, ...(positionIds && { positionIds }), truncated: false }
  // Padding that the row already carries at its end teaches nothing and costs time.
  let length = inputIds.length
  while (!keepPadding && length > 1 && mask[length - 1] === 0) length--
  return length === inputIds.length ? tokens : { ...cutTokens(tokens, length), truncated: false }
}

const cutTokens = (tokens: TextTokens, length: number): TextTokens => ({
  inputIds: tokens.inputIds.slice(0, length),
  attentionMask: tokens.attentionMask.slice(0, length),
  tokenTypeIds: tokens.tokenTypeIds.slice(0, length),
  ...(tokens.positionIds && { positionIds: tokens.positionIds.slice(0, length) }),
  ...(tokens.words && { words: tokens.words.slice(0, length) }),
  truncated: true,
})

export function checkIds(row: Row, { inputIds }: Pick<TextTokens, 'inputIds'>, { vocabularySize, tokenizer }: TextOptions): void {
  const index = vocabularySize === 0 ? -1 : inputIds.findIndex((id) => id < 0 || id >= vocabularySize)
  if (index < 0) return
  const source = tokenizer === undefined ? 'row' : 'row or its tokenizer'
  throw new InvalidDataError(
    `${at(row)}: token id ${inputIds[index]} at position ${index} is outside the model's vocabulary of ${vocabularySize} (0 to ${vocabularySize - 1}); the ${source} belongs to another model.`,
  )
}
