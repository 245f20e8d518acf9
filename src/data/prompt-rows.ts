/** @file Rows that are to be continued: a prompt or a dialogue, and whose adapter answers. */
import { InvalidDataError } from '../errors.js'
import type { PromptGiven } from './answered-prompts.js'
import { messagesField, templateVariables, type Message } from './messages.js'
import { alpacaPrompt, textField, withSystem } from './row-shapes.js'
import { at, foundFields, hasField, kindOf, takeField, type Row } from './rows.js'

/** A field that makes a row a prompt; what else the row has is left unread. */
const shapes = [
  { field: 'prompt', describe: '{"prompt"}' },
  { field: 'messages', describe: '{"messages": [{"role", "content"}]}' },
  { field: 'conversations', describe: '{"conversations": [{"from", "value"}]}' },
  { field: 'instruction', describe: '{"instruction", "input"?}' },
] as const

/** The field by which a row names its adapter. */
const ADAPTER = 'adapter'

/**
 * What a row asks to be continued: a text, or a dialogue by the chat template.
 * @param system goes before the dialogue; a text becomes what the user says after it
 * @throws InvalidDataError naming file, line and field of a row that is no prompt, or says two things
 */
export function promptOf(row: Row, system?: string): PromptGiven {
  const [shape, other] = shapes.filter(({ field }) => hasField(row, field))
  if (shape === undefined)
    throw new InvalidDataError(
      `${at(row)}: ${foundFields(row)}; expected one of ${shapes.map(({ describe }) => describe).join(', ')}. Other names are told by columns (--columns prompt=…).`,
    )
  if (other !== undefined)
    throw new InvalidDataError(
      `${at(row)}: "${shape.field}" and "${other.field}" are two prompts; leave only the one that is to be continued.`,
    )
  const { field } = shape
  if (field === 'messages' || field === 'conversations') return dialogue(row, field, system)
  if (field === 'prompt' && Array.isArray(row.value[field])) return dialogue(row, field, system)
  const prompt =
    field === 'instruction'
      ? alpacaPrompt(textField(row, field), hasField(row, 'input') ? textField(row, 'input') : '')
      : textField(row, field)
  if (system === undefined) return { prompt }
  return { messages: withSystem(row, [{ role: 'user', content: prompt }], system), variables: templateVariables(row) }
}

function dialogue(row: Row, field: string, system: string | undefined): PromptGiven {
  const messages = withSystem(row, messagesField(row, field), system)
  checkOpen(row, field, messages)
  return { messages, variables: templateVariables(row) }
}

/** A dialogue to train on ends with the answer, which is what is asked for here. */
function checkOpen(row: Row, field: string, messages: readonly Message[]): void {
  if (messages.at(-1)?.role !== 'assistant') return
  throw new InvalidDataError(
    `${at(row)}: "${field}" ends with a turn of the assistant, so that there is nothing to answer; leave that turn out.`,
  )
}

/** The adapter that a row names; undefined where it names none. @throws InvalidDataError if it is no name */
export function adapterOf(row: Row): string | undefined {
  if (!hasField(row, ADAPTER)) return undefined
  const name = takeField(row, ADAPTER)
  if (typeof name === 'string') return name
  throw new InvalidDataError(
    `${at(row)}: "${ADAPTER}" must be the name of an adapter, or null for the base model, found ${kindOf(name)}.`,
  )
}
