/**
 * @file Answers to questions out of their contexts, as the QuestionAnsweringPipeline of transformers 4 finds them: a context that
 * is too long is read in stretches that overlap, and an answer ends with whole words.
 */
import { checkExampleOptions } from '../data/examples.js'
import { rowTokenizer } from '../data/needed-tokenizer.js'
import { at, foundFields, hasField, located, type Row } from '../data/rows.js'
import { textField } from '../data/row-shapes.js'
import { textFields, type TaskEncodingOptions } from '../data/task-encoding.js'
import { checkIds, textTokens } from '../data/text-fields.js'
import type { PlacedText } from '../data/tokenizer.js'
import { InvalidDataError } from '../errors.js'
import { softmax } from './classification.js'
import type { PredictOptions } from './options.js'
import type { AnswerPrediction, AnswerSpan } from './prediction.js'
import { taskGraph, type RowReader } from './reader.js'
import { trimmed, type Stretch } from './stretch.js'

/** Tokens of a stretch, question and all, by default. */
const MAX_LENGTH = 384
/** Tokens that neighbouring stretches have in common, at most half of one. */
const STRIDE = 128
/** Tokens of an answer, by default. */
const MAX_ANSWER_LENGTH = 15

type Options = Pick<PredictOptions, 'topK' | 'maxAnswerLength'>

export function answerReader(encoding: TaskEncodingOptions, options: Options): RowReader<AnswerPrediction> {
  checkExampleOptions(encoding)
  const { maxPositions } = encoding
  const maxLength = encoding.maxLength ?? Math.min(MAX_LENGTH, maxPositions > 0 ? maxPositions : MAX_LENGTH)
  const stride = Math.min(Math.floor(maxLength / 2), STRIDE)
  return {
    name: 'task',
    build: taskGraph,
    encode(row) {
      const [question, context] = fieldsOf(row)
      const known = rowTokenizer(row, encoding.tokenizer, '{"question", "context"}')
      const stretches = located(row, () => known.encodeStretches(question, context, maxLength, stride))
      const tokens = stretches.map(textTokens)
      for (const each of tokens) checkIds(row, each, encoding)
      return {
        rows: tokens.map((each) => textFields(row, each, encoding)),
        truncated: false,
        read: (outputs) => bestAnswers(row, context, stretches, outputs, known.clsTokenId, options),
      }
    },
  }
}

function fieldsOf(row: Row): [string, string] {
  if (!hasField(row, 'question') || !hasField(row, 'context'))
    throw new InvalidDataError(`${at(row)}: ${foundFields(row)}; expected {"question", "context"}.`)
  const context = textField(row, 'context')
  if (context.trim() === '') throw new InvalidDataError(`${at(row)}: "context" is empty, so that there is no answer in it.`)
  return [textField(row, 'question'), context]
}

interface Candidate {
  readonly first: number
  readonly last: number
  readonly score: number
}

function bestAnswers(
  row: Row,
  context: string,
  stretches: readonly PlacedText[],
  outputs: readonly Float32Array[],
  cls: number | undefined,
  { topK = 1, maxAnswerLength = MAX_ANSWER_LENGTH }: Options,
): AnswerPrediction {
  const found = new Map<string, { score: number } & Stretch>()
  stretches.forEach((stretch, i) => {
    // Several come to the same words.
    for (const { first, last, score } of candidates(stretch, outputs[i]!, cls, 2 * topK + 10, maxAnswerLength)) {
      const place = trimmed(context, wholeWords(stretch, first, last))
      const key = context.slice(place.start, place.end).toLowerCase()
      const known = found.get(key)
      if (known === undefined) found.set(key, { ...place, score })
      else known.score += score
    }
  })
  const answers = [...found.values()]
    .sort((a, b) => b.score - a.score)
    .slice(0, topK)
    .map(({ score, start, end }): AnswerSpan => ({ answer: context.slice(start, end), score, start, end }))
  const [best] = answers
  if (best === undefined) throw new InvalidDataError(`${at(row)}: "context" has no token that the model reads.`)
  return { ...best, ...(topK > 1 && { answers }) }
}

/** The likeliest stretches of the context's tokens; what a model says of its first token, where it has one for no answer, counts beside. */
function candidates(
  { ids, places }: PlacedText,
  logits: Float32Array,
  cls: number | undefined,
  most: number,
  longest: number,
): Candidate[] {
  const counted = ids.flatMap((id, i) => (places[i] !== undefined || id === cls ? [i] : []))
  const [starts, ends] = [0, 1].map((side) => softmax(counted.map((i) => logits[2 * i + side]!)))
  const all: Candidate[] = []
  counted.forEach((first, a) => {
    if (places[first] === undefined) return
    for (let b = a; b < counted.length && counted[b]! - first < longest; b++)
      if (places[counted[b]!] !== undefined) all.push({ first, last: counted[b]!, score: starts![a]! * ends![b]! })
  })
  return all.sort((a, b) => b.score - a.score).slice(0, most)
}

/** The characters from the beginning of the first token's word to the end of the last one's, as far as the stretch has them. */
function wholeWords({ places }: PlacedText, first: number, last: number): Stretch {
  let [from, to] = [first, last]
  while (places[from - 1]?.piece === places[first]!.piece) from--
  while (places[to + 1]?.piece === places[last]!.piece) to++
  return { start: places[from]!.start, end: places[to]!.end }
}
