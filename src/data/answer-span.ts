/** @file Answers that are told by their place in the characters of the context, as SQuAD's rows do, as places of tokens. */
import { InvalidDataError } from '../errors.js'
import { isObject } from '../util/json.js'
import { textField } from './row-shapes.js'
import { at, hasField, kindOf, located, takeField, type Row } from './rows.js'
import type { Tokenizer } from './tokenizer.js'

/** First and last token of an answer in its row; undefined where it was cut off. */
export type AnswerTokens = readonly [start: number, end: number] | undefined

interface Answer {
  readonly text: string
  /** Place in the context, counted in characters as Python does. */
  readonly start: number
}

const FIELD = 'answers'

/** Whether a row tells its answer in characters: `{"question", "context", "answers": {"text": […], "answer_start": […]}}`. */
export const hasAnswers = (row: Row): boolean => hasField(row, FIELD) && !hasField(row, 'start_positions')

/**
 * The first answer; undefined of a question that has none, as SQuAD 2 has them.
 * @throws InvalidDataError naming the field that is not as it should be
 */
function readAnswer(row: Row): Answer | undefined {
  const value = takeField(row, FIELD)
  const refuse = (what: string): never => {
    throw new InvalidDataError(
      `${at(row)}: "${FIELD}"${what}; expected {"text": ["…"], "answer_start": [0]}, the answer and its first character in "context".`,
    )
  }
  // The files of SQuAD itself have a list of answers, its data sets lists of their parts.
  const given: unknown = Array.isArray(value) ? value[0] : value
  if (Array.isArray(value) && value.length === 0) return undefined
  if (!isObject(given)) return refuse(` is ${kindOf(given)}`)
  const first = (entry: unknown): unknown => (Array.isArray(entry) ? entry[0] : entry)
  const [text, start] = [first(given['text']), first(given['answer_start'])]
  if (text === undefined && start === undefined && Array.isArray(given['text'])) return undefined
  if (typeof text !== 'string' || text === '') return refuse(`.text is ${text === '' ? 'empty' : kindOf(text)}`)
  if (typeof start !== 'number' || !Number.isInteger(start) || start < 0) return refuse(`.answer_start is ${kindOf(start)}`)
  return { text, start }
}

/**
 * Where the first answer of a row lies among its tokens: the tokens that hold its first and its last character, as
 * transformers' examples find them by offsets; [0, 0], the classifier's token, of a question without an answer.
 *
 * The tokenizer tells no offsets. They are found by its own answers: the text up to a character has the tokens of the whole up
 * to that character, and the first one that differs is the token that holds it.
 * @param ids tokens of the row, question and context in one, possibly cut
 * @throws InvalidDataError if the answer is not where the row says, or its tokens cannot be told
 */
export function answerTokens(row: Row, ids: readonly number[], tokenizer: Tokenizer): AnswerTokens {
  const answer = readAnswer(row)
  if (answer === undefined) return [0, 0]
  const [question, context] = [textField(row, 'question'), textField(row, 'context')]
  const [from, to] = placeIn(row, context, answer)
  return located(row, () => {
    const encode = (text: string): readonly number[] => tokenizer.encode(text, { addSpecialTokens: false })
    const whole = encode(context)
    const span = (first: number, last: number): readonly [number, number] => [
      tokenFrom(context.slice(0, first), whole, encode),
      tokenThrough(encode(context.slice(0, last)), whole),
    ]
    const plain = (ids: readonly number[]): string => tokenizer.decode(ids).toLowerCase().replace(/\s+/gu, '')
    const isAnswer = ([first, last]: readonly [number, number]): boolean =>
      first <= last && plain(whole.slice(first, last + 1)).includes(plain(encode(answer.text)))
    const found = span(from, to)
    // Where an answer begins or ends within a word, part of a word may have other tokens than all of it has there.
    const [first, end] = isAnswer(found) ? found : span(...wordsAround(context, from, to))
    let start = first
    // Where a space is a token of its own it belongs to no answer.
    while (start < end && plain(whole.slice(start, start + 1)) === '') start++
    if (end < start)
      throw new InvalidDataError(
        `"${FIELD}": the tokens of ${JSON.stringify(answer.text)} cannot be told from those around it; give "start_positions" and "end_positions" in place of it.`,
      )
    const { offset, kept } = placeOfContext(encode(question), whole, tokenizer.encodeTexts([question, context]).ids, ids)
    return end < kept ? [offset + start, offset + end] : undefined
  })
}

/** The answer's place in UTF-16 units. @throws InvalidDataError if it is not there */
function placeIn(row: Row, context: string, { text, start }: Answer): [number, number] {
  // Python counts characters, JavaScript the halves of those beyond the first plane.
  const from = Array.from(context).slice(0, start).join('').length
  if (context.startsWith(text, from)) return [from, from + text.length]
  const found = context.indexOf(text)
  throw new InvalidDataError(
    `${at(row)}: "${FIELD}".text ${JSON.stringify(text)} does not stand at character ${start} of "context", which is ${JSON.stringify(context.slice(from, from + text.length))}; ${found < 0 ? 'it is nowhere there' : `it stands at ${Array.from(context.slice(0, found)).length}`}.`,
  )
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length)
  let length = 0
  while (length < most && a[length] === b[length]) length++
  return length
}

/** The token that holds the first character behind a text, which the whole begins with. */
function tokenFrom(before: string, whole: readonly number[], encode: (text: string) => readonly number[]): number {
  const ids = encode(before)
  const shared = commonLength(ids, whole)
  // A space may be a token of its own, or belong to the word behind it.
  return shared === ids.length ? shared : commonLength(encode(before.trimEnd()), whole)
}

/** The token that holds the last character of a text, which the whole begins with. */
function tokenThrough(ids: readonly number[], whole: readonly number[]): number {
  const shared = commonLength(ids, whole)
  return shared === ids.length ? shared - 1 : shared
}

/** The place of the words that a place lies in. */
function wordsAround(text: string, from: number, to: number): [number, number] {
  const rest = text.slice(to).search(/\s/u)
  return [text.slice(0, from).search(/\S*$/u), rest < 0 ? text.length : to + rest]
}

/** Where the context begins in the tokens of a row, and how many of its tokens are kept, whatever was cut of both texts. */
function placeOfContext(
  question: readonly number[],
  context: readonly number[],
  full: readonly number[],
  ids: readonly number[],
): { readonly offset: number; readonly kept: number } {
  const isAt = (part: readonly number[], place: number, all: readonly number[]): boolean =>
    part.every((id, i) => all[place + i] === id)
  let before = 0
  while (before < full.length && !isAt(question, before, full)) before++
  let second = full.length - context.length
  while (second > before + question.length && !isAt(context, second, full)) second--
  const between = full.slice(before + question.length, second)
  const after = full.length - second - context.length
  for (let asked = Math.min(question.length, ids.length); asked >= 0; asked--) {
    const offset = before + asked + between.length
    const kept = ids.length - after - offset
    if (kept < 0 || !isAt(question.slice(0, asked), before, ids) || !isAt(between, before + asked, ids)) continue
    if (isAt(context.slice(0, kept), offset, ids)) return { offset, kept }
  }
  throw new InvalidDataError(
    `"${FIELD}": the tokens of question and context cannot be told apart in the row; give "start_positions" and "end_positions" in place of it.`,
  )
}
