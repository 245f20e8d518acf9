/** @file The dialogue of a row: its messages, and what else of the row the chat template is given. */
import { InvalidDataError } from '../errors.js'
import { keptNumber, parseExactJson } from '../util/exact-json.js'
import { isObject } from '../util/json.js'
import { usualTurn } from './role-names.js'
import { at, hasField, kindOf, takeField, type Row } from './rows.js'

/**
 * One turn of a dialogue; further fields (`name`, `tool_calls`, `reasoning_content`, …) reach the chat template untouched.
 *
 * The content may be absent where an assistant's turn is a call of tools or thinking alone, and a list of parts
 * (`{"type": "text", "text"}`) for templates that take one.
 */
export interface Message {
  /** `system`, `user`, `assistant`, `tool`, or what else the template knows. */
  readonly role: string
  /** What is said. */
  readonly content?: string | null | readonly Readonly<Record<string, unknown>>[]
  readonly [field: string]: unknown
}

/** What a template is given beside the messages, by name: `tools`, `documents`, and whatever a row brings for it. */
export type TemplateVariables = Readonly<Record<string, unknown>>

/** What `apply_chat_template` takes for itself, so that no template is ever given it under this name. */
const reserved = new Set([
  ...['messages', 'conversation', 'conversations', 'add_generation_prompt', 'continue_final_message', 'tokenize'],
  ...['return_dict', 'return_tensors', 'return_assistant_tokens_mask', 'padding', 'truncation', 'max_length'],
  'tokenizer_kwargs',
])

/** Kinds of content that a language model of text does not read. */
const media = /image|video|audio|file/

/** Fields that an assistant's turn may consist of without any content. */
const insteadOfContent = ['tool_calls', 'function_call', 'reasoning_content', 'reasoning', 'thinking']

function parseJson(row: Row, what: string, json: string): unknown {
  try {
    return parseExactJson(json)
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new InvalidDataError(`${at(row)}: ${what} is not valid JSON (${cause.message}).`, { cause })
  }
}

/**
 * The turns of a dialogue, with roles and contents under the names that templates know, see `usualTurn`.
 * @throws InvalidDataError naming file, line, field and message if the field is no dialogue
 */
export function messagesField(row: Row, field: string): readonly Message[] {
  const value = takeField(row, field)
  if (!Array.isArray(value))
    throw new InvalidDataError(`${at(row)}: "${field}" must be a list of messages, found ${kindOf(value)}.`)
  if (value.length === 0) throw new InvalidDataError(`${at(row)}: "${field}" is an empty list; expected at least one message.`)
  return value.map((given: unknown, index) => {
    const place = `"${field}"[${index}]`
    if (!isObject(given))
      throw new InvalidDataError(`${at(row)}: ${place} must be a message {"role", "content"}, found ${kindOf(given)}.`)
    const message = usualTurn(row, place, given)
    if (typeof message['role'] !== 'string')
      throw new InvalidDataError(`${at(row)}: ${place}.role must be text, found ${kindOf(message['role'])}.`)
    checkContent(row, place, message)
    return message as Message
  })
}

function checkContent(row: Row, place: string, message: Readonly<Record<string, unknown>>): void {
  const { content } = message
  if (typeof content === 'string') return
  if (content === undefined || content === null) {
    const has = (name: string): boolean => {
      const value = message[name]
      return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null
    }
    if (message['role'] === 'assistant' && insteadOfContent.some(has)) return
    throw new InvalidDataError(
      `${at(row)}: ${place}.content must be text, found ${kindOf(content)}; only an assistant's turn with ${insteadOfContent.slice(0, 2).join(' or ')} may lack it.`,
    )
  }
  if (!Array.isArray(content))
    throw new InvalidDataError(`${at(row)}: ${place}.content must be text or a list of parts, found ${kindOf(content)}.`)
  content.forEach((part: unknown, i) => {
    if (!isObject(part))
      throw new InvalidDataError(
        `${at(row)}: ${place}.content[${i}] must be a part {"type": "text", "text"}, found ${kindOf(part)}.`,
      )
    const { type } = part
    if (typeof type === 'string' && media.test(type))
      throw new InvalidDataError(
        `${at(row)}: ${place}.content[${i}] is of type "${type}"; only text can be learned from here: leave the row out, or the part.`,
      )
  })
}

/**
 * What a row gives its chat template beside the dialogue: `tools` and `documents`, and the entries of
 * `chat_template_kwargs`, which go first as in TRL. Tools and documents may be JSON in a text, as tables hold them.
 * @throws InvalidDataError if a field has a wrong type, or would change what is rendered rather than how
 */
export function templateVariables(row: Row): TemplateVariables {
  const variables: Record<string, unknown> = {}
  for (const field of ['tools', 'documents'] as const) {
    if (!hasField(row, field)) continue
    const given = takeField(row, field)
    const value = typeof given === 'string' ? parseJson(row, `"${field}"`, given) : given
    if (value === null) continue
    if (!Array.isArray(value) || !value.every(isObject))
      throw new InvalidDataError(
        `${at(row)}: "${field}" must be a list of objects, or such a list as JSON text; found ${Array.isArray(value) ? 'a list with other entries' : kindOf(value)}.`,
      )
    // An empty list is none: Llama's template would announce tools that are not there.
    if (value.length > 0) variables[field] = value
  }
  if (!hasField(row, 'chat_template_kwargs')) return variables
  const given = takeField(row, 'chat_template_kwargs')
  const more = typeof given === 'string' ? parseJson(row, '"chat_template_kwargs"', given) : given
  if (!isObject(more)) throw new InvalidDataError(`${at(row)}: "chat_template_kwargs" must be an object, found ${kindOf(more)}.`)
  const wrong = Object.keys(more).find((name) => reserved.has(name))
  if (wrong !== undefined)
    throw new InvalidDataError(
      `${at(row)}: "chat_template_kwargs".${wrong} says what is rendered, which the row's shape does; leave it out.`,
    )
  if ('chat_template' in more)
    throw new InvalidDataError(
      `${at(row)}: "chat_template_kwargs".chat_template chooses another template, which is not known here; make it the model's own (chat_template.jinja).`,
    )
  // A copy would forget which whole numbers are floats.
  for (const [name, value] of Object.entries(more)) variables[name] = keptNumber(more, name) ?? value
  return variables
}
