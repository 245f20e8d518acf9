/** @file Rows as prompts with the texts that answer them: what is generated from, and what it is compared with. */
import { InvalidDataError } from '../errors.js'
import type { Message, TemplateVariables } from './messages.js'
import { readShape, type RowShape } from './row-shapes.js'
import { at, type Row } from './rows.js'

/** What a text is generated from. */
export type PromptGiven =
  { readonly prompt: string } | { readonly messages: readonly Message[]; readonly variables: TemplateVariables }

/** A prompt, and every answer that rows have for it. */
export interface AnsweredPrompt {
  readonly given: PromptGiven
  readonly answers: string[]
  /** The first row that has it, for messages. */
  readonly row: Row
}

const refuse = (row: Row, why: string): never => {
  throw new InvalidDataError(`${at(row)}: ${why}; texts are compared with the completion of {"prompt", "completion"} or with the last turn of the assistant.`) // prettier-ignore
}

/** The text of one turn of the assistant. */
function answerOf(row: Row, turn: Message | undefined): string {
  if (turn?.role === 'assistant' && typeof turn.content === 'string') return turn.content
  return refuse(row, turn?.role === 'assistant' ? 'the last turn of the assistant is no text' : 'the dialogue does not end with a turn of the assistant') // prettier-ignore
}

function dialogue(row: Row, turns: readonly Message[], variables: TemplateVariables): [PromptGiven, string] {
  if (turns.length < 2) refuse(row, 'there is nothing before the answer')
  return [{ messages: turns.slice(0, -1), variables }, answerOf(row, turns.at(-1))]
}

function promptAndAnswer(row: Row, shape: RowShape): [PromptGiven, string] {
  switch (shape.kind) {
    case 'completion':
      return [{ prompt: shape.prompt }, shape.completion]
    case 'chat-completion':
      return dialogue(row, [...shape.prompt, ...shape.completion], shape.variables)
    case 'messages':
      return dialogue(row, shape.messages, shape.variables)
    case 'text':
      return refuse(row, 'the row is one text, with nothing to continue')
    case 'tokens':
      return refuse(row, 'the row is tokens')
  }
}

/**
 * The prompts of rows in the order in which they are met; rows of the same prompt are several answers to it.
 * @throws InvalidDataError naming file and line of a row that has no prompt or no text to compare with
 */
export async function answeredPrompts(rows: AsyncIterable<Row>): Promise<AnsweredPrompt[]> {
  const found = new Map<string, AnsweredPrompt>()
  for await (const row of rows) {
    const [given, answer] = promptAndAnswer(row, readShape(row))
    const key = JSON.stringify(given)
    const before = found.get(key)
    if (before === undefined) found.set(key, { given, answers: [answer], row })
    else before.answers.push(answer)
  }
  return [...found.values()]
}
