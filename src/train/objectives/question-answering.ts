/** @file Extractive question answering: where the answer begins and ends. */
import { answerTokens, hasAnswers } from '../../data/answer-span.js'
import { rowTokenizer } from '../../data/needed-tokenizer.js'
import { readNumber } from '../../data/labels.js'
import { scalarLabel, taskEncoding } from '../../data/task-encoding.js'
import { at, firstField, hasField, type Row } from '../../data/rows.js'
import { InvalidDataError } from '../../errors.js'
import { spanLoss } from '../../losses/span.js'
import type { Objective } from '../objective.js'
import { spanScores } from './scores.js'

/** @throws InvalidDataError for an answer whose characters are told, but without the texts that they are counted in */
function refuseCharacters(row: Row): void {
  if (hasField(row, 'start_positions') || (hasAnswers(row) && hasField(row, 'question') && hasField(row, 'context'))) return
  const field = firstField(row, ['answers', 'answer_start', 'answer', 'answer_text'])
  if (field === undefined) return
  throw new InvalidDataError(
    `${at(row)}: "${field}" gives the answer in characters of the context; expected {"question", "context", "answers": {"text": […], "answer_start": […]}}, as SQuAD has it, ` +
      'or "start_positions" and "end_positions", the first and the last token of the answer counted from the beginning of the row.',
  )
}

/** First and last position of the answer; a position behind the row does not count, as in transformers. */
export const questionAnswering: Objective = {
  name: 'question-answering',
  divisible: true,
  causal: false,
  encoding: (options) =>
    taskEncoding(
      options,
      (row, tokens) => {
        refuseCharacters(row)
        const length = tokens!.inputIds.length
        const [start, end] = hasAnswers(row)
          ? // A position behind the row does not count.
            (answerTokens(row, tokens!.inputIds, rowTokenizer(row, options.tokenizer)) ?? [length, length])
          : ((['start_positions', 'end_positions'] as const).map((field) => {
              const position = readNumber(row, field)
              if (Number.isInteger(position)) return position
              throw new InvalidDataError(
                `${at(row)}: "${field}" is ${position}; expected the whole number of a token's position.`,
              )
            }) as [number, number])
        return {
          fields: {
            start_positions: scalarLabel(start),
            end_positions: scalarLabel(end),
            row_lengths: scalarLabel(length),
          },
          // Each end is half of the loss.
          tokens: (Number(start < length) + Number(end < length)) / 2,
        }
      },
      { keepPadding: true },
    ),
  attach({ graph }) {
    const [logits] = graph.outputs
    return { ...spanLoss(graph, logits!), outputs: [logits!] }
  },
  scores: spanScores,
}
