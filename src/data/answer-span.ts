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
 * @param ids tokens of the row, question and context in one, possibly cut
 * @throws InvalidDataError if the answer is not where the row says, or its tokens cannot be told
 */
export function answerTokens(row: Row, ids: readonly number[], tokenizer: Tokenizer): AnswerTokens {
  const answer = readAnswer(row)
  if (answer === undefined) return [0, 0]
  const [question, context] = [textField(row, 'question'), textField(row, 'context')]
  const [from, to] = placeIn(row, context, answer)
  return located(row, () => {
    // A row that was cut has as many tokens as it may have.
    const encoded = tokenizer.encodePlacedPair(question, context, ids.length)
    // Padding may stand behind the tokens that a row brings.
    if (!encoded.ids.every((id, i) => ids[i] === id)) refuseTokens('the row has other tokens than its question and context')
    const { places } = encoded
    if (encoded.truncated && !places.some((place) => place !== undefined && place.end >= to)) return undefined
    const end = places.findLastIndex((place) => place !== undefined && place.start < to)
    let start = places.findIndex((place) => place !== undefined && place.end > from)
    // Where a space is a token of its own it belongs to no answer.
    while (start < end && tokenizer.decode([ids[start]!]).trim() === '') start++
    if (start < 0 || end < start) refuseTokens(`no token holds ${JSON.stringify(answer.text)}`)
    return [start, end]
  })
}

function refuseTokens(what: string): never {
  throw new InvalidDataError(`"${FIELD}": ${what}; give "start_positions" and "end_positions" in place of it.`)
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
