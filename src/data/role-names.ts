/** @file Turns of a dialogue as other programs write them: their roles by other names, ShareGPT's `from` and `value`. */
import { InvalidDataError } from '../errors.js'
import { parseExactJson } from '../util/exact-json.js'
import { isObject } from '../util/json.js'
import { at, kindOf, type Row } from './rows.js'

type Turn = Readonly<Record<string, unknown>>

/** Roles by the names that data sets have for them. */
const aliases: Readonly<Record<string, string>> = {
  ...{ human: 'user', prompter: 'user' },
  ...{ gpt: 'assistant', bot: 'assistant', model: 'assistant', ai: 'assistant', chatbot: 'assistant', chatgpt: 'assistant' },
  observation: 'tool',
}

/** Names that only ShareGPT's `from` has; a template may know them as roles of its own. */
const senders: Readonly<Record<string, string>> = {
  ...aliases,
  ...{ user: 'user', assistant: 'assistant', system: 'system', tool: 'tool' },
  ...{ tool_response: 'tool', function_response: 'tool', function: 'tool' },
  ...{ function_call: 'assistant', tool_call: 'assistant' },
}

const calls = new Set(['function_call', 'tool_call'])

const nameIn = (names: Readonly<Record<string, string>>, name: string): string | undefined =>
  Object.hasOwn(names, name.toLowerCase()) ? names[name.toLowerCase()] : undefined

/**
 * A turn as chat templates know it: `{"from": "human", "value"}` with `role` and `content`, a role by its usual name, a
 * function's call as `tool_calls`, and the arguments of calls as objects where they are JSON in a text, as OpenAI writes them.
 * @param place what messages call the turn: `"messages"[0]`
 * @throws InvalidDataError for a sender that is not known, or a call that is no JSON
 */
export function usualTurn(row: Row, place: string, turn: Turn): Turn {
  const named = turn['role'] === undefined && typeof turn['from'] === 'string' ? fromSender(row, place, turn) : withRole(turn)
  return Array.isArray(named['tool_calls']) ? withArguments(named, named['tool_calls']) : named
}

function withRole(turn: Turn): Turn {
  const { role } = turn
  const usual = typeof role === 'string' ? nameIn(aliases, role) : undefined
  return usual === undefined ? turn : { ...turn, role: usual }
}

function fromSender(row: Row, place: string, turn: Turn): Turn {
  const { from, value, ...others } = turn as { from: string } & Turn
  const role = nameIn(senders, from)
  if (role === undefined)
    throw new InvalidDataError(
      `${at(row)}: ${place}.from is ${JSON.stringify(from)}; expected one of ${Object.keys(senders).join(', ')}.`,
    )
  if (!calls.has(from.toLowerCase())) return { role, content: value, ...others }
  return { role, content: '', tool_calls: callsOf(row, `${place}.value`, value), ...others }
}

/** A call, or several, as JSON in a text: `{"name": "…", "arguments": {…}}`. */
function callsOf(row: Row, place: string, value: unknown): readonly unknown[] {
  const refuse = (found: string): never => {
    throw new InvalidDataError(
      `${at(row)}: ${place} is ${found}; expected the call of a function as JSON, {"name": "…", "arguments": {…}}, or a list of them.`,
    )
  }
  let parsed: unknown = value
  if (typeof value === 'string') {
    try {
      parsed = parseExactJson(value)
    } catch {
      return refuse('no JSON')
    }
  }
  return [parsed].flat().map((call) => {
    if (!isObject(call) || typeof call['name'] !== 'string')
      return refuse(isObject(call) ? 'an object without a name' : kindOf(call))
    return { type: 'function', function: call }
  })
}

/** Templates write the arguments of a call as JSON: of a text it would be a text in quotes. */
function withArguments(turn: Turn, given: readonly unknown[]): Turn {
  let changed = false
  const tool_calls = given.map((call) => {
    const inner = isObject(call) && isObject(call['function']) ? call['function'] : call
    const parsed = isObject(inner) ? objectIn(inner['arguments']) : undefined
    if (parsed === undefined) return call
    changed = true
    const whole = { ...(inner as Turn), arguments: parsed }
    return inner === call ? whole : { ...(call as Turn), function: whole }
  })
  return changed ? { ...turn, tool_calls } : turn
}

function objectIn(text: unknown): object | undefined {
  if (typeof text !== 'string' || !text.trimStart().startsWith('{')) return undefined
  try {
    const value: unknown = parseExactJson(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}
