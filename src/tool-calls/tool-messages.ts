/** @file Dialogues with calls of tools and their results, as chat templates want them. */
import type { Message } from '../data/messages.js'
import { InvalidDataError } from '../errors.js'
import { parseExactJson } from '../util/exact-json.js'
import { isObject } from '../util/json.js'
import type { ToolCallFormat } from './tool-call-format.js'

/** Of an id its last nine letters and digits; Mistral's templates take no others. */
const shortId = (id: unknown): unknown =>
  typeof id === 'string'
    ? id
        .replace(/[^A-Za-z0-9]/g, '')
        .slice(-9)
        .padStart(9, '0')
    : id

function parsedArguments(text: string, place: string): unknown {
  if (text.trim() === '') return {}
  try {
    const value = parseExactJson(text)
    if (isObject(value)) return value
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
  }
  throw new InvalidDataError(
    `${place}.function.arguments must be an object of JSON as text, got ${JSON.stringify(text.slice(0, 80))}`,
  )
}

/**
 * Messages of OpenAI's API, whose arguments are texts, with arguments as the template takes them, ids of its length, and the tool's name
 * with each result, which some templates write.
 * @throws InvalidDataError naming the message whose arguments are no object
 */
export function toolMessages(messages: readonly Message[], { argumentsAsText, shortIds }: ToolCallFormat): Message[] {
  const names = new Map<unknown, unknown>()
  return messages.map((message, i) => {
    const { tool_calls: calls, tool_call_id: id } = message
    if (Array.isArray(calls)) {
      const written = calls.map((given: unknown, j) => {
        const call = isObject(given) ? given : {}
        const called = isObject(call['function']) ? call['function'] : {}
        names.set(call['id'], called['name'])
        const { arguments: passed } = called
        const place = `messages[${i}].tool_calls[${j}]`
        const asked = argumentsAsText
          ? typeof passed === 'string' ? passed : JSON.stringify(passed ?? {})
          : typeof passed === 'string' ? parsedArguments(passed, place) : (passed ?? {}) // prettier-ignore
        return {
          ...call,
          ...('id' in call && { id: shortIds ? shortId(call['id']) : call['id'] }),
          function: { ...called, arguments: asked },
        }
      })
      return { ...message, tool_calls: written }
    }
    if (message.role !== 'tool') return message
    const name = message['name'] ?? names.get(id)
    return {
      ...message,
      ...(name !== undefined && { name }),
      ...(id !== undefined && { tool_call_id: shortIds ? shortId(id) : id }),
    }
  })
}
