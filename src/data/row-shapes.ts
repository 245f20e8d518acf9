/** @file The shapes of rows that train a language model, told apart by their fields (design.md section 5). */
import { InvalidDataError } from '../errors.js'
import { at, type Row } from './rows.js'

/** One turn of a dialogue; further fields (`name`, `tool_calls`, …) reach the chat template untouched. */
export interface Message {
  readonly role: string
  readonly content: string
  readonly [field: string]: unknown
}

/** What a row asks to learn. */
export type RowShape =
  /** Loss on everything. */
  | { readonly kind: 'text'; readonly text: string }
  /** Loss on the completion alone. */
  | { readonly kind: 'completion'; readonly prompt: string; readonly completion: string }
  /** Prompt and completion as turns of a chat; loss on all that the completion renders to. */
  | { readonly kind: 'chat-completion'; readonly prompt: readonly Message[]; readonly completion: readonly Message[] }
  /** Loss on the assistant's turns alone. */
  | { readonly kind: 'messages'; readonly messages: readonly Message[] }
  /** Already tokenised. */
  | {
      readonly kind: 'tokens'
      readonly inputIds: readonly number[]
      readonly attentionMask: readonly number[] | undefined
      readonly labels: readonly number[] | undefined
    }

/** Fields that make a shape: all of `needs`, and what else it may bring. */
const shapes = [
  { name: 'tokens', needs: ['input_ids'], describe: '{"input_ids", "attention_mask"?, "labels"?}' },
  { name: 'messages', needs: ['messages'], describe: '{"messages": [{"role", "content"}]}' },
  { name: 'completion', needs: ['prompt', 'completion'], describe: '{"prompt", "completion"}' },
  { name: 'instruction', needs: ['instruction', 'output'], describe: '{"instruction", "input"?, "output"}' },
  { name: 'text', needs: ['text'], describe: '{"text"}' },
] as const

const known = shapes.map((shape) => shape.describe).join(', ')

/**
 * The shape of a row. Fields of no shape (ids, sources) are ignored; a field that is null counts as absent, as tables write it.
 * @throws InvalidDataError naming file, line and fields if no shape or more than one fits, or a field has a wrong type
 */
export function readShape(row: Row): RowShape {
  const has = (field: string): boolean => row.value[field] !== undefined && row.value[field] !== null
  const found = Object.keys(row.value).map((key) => `"${key}"`)
  const fits = shapes.filter((shape) => shape.needs.every(has))
  if (fits.length > 1) {
    const names = fits.map((shape) => shape.describe).join(' and ')
    throw new InvalidDataError(
      `${at(row)}: the fields ${found.join(', ')} fit more than one shape, ${names}; leave only the fields of one.`,
    )
  }
  const shape = fits[0]
  if (shape === undefined) {
    const partial = shapes.find((candidate) => candidate.needs.some(has))
    const missing = partial?.needs.filter((field) => !has(field)).map((field) => `"${field}"`)
    const hint =
      has('chosen') && has('rejected')
        ? ' Preferences are learned with the objective "dpo" or "orpo" (--objective).'
        : missing === undefined
          ? ''
          : ` Missing beside what is there: ${missing.join(', ')}.`
    throw new InvalidDataError(`${at(row)}: found the fields ${found.join(', ') || '(none)'}; expected one of ${known}.${hint}`)
  }
  switch (shape.name) {
    case 'text':
      if (has('label'))
        throw new InvalidDataError(
          `${at(row)}: {"text", "label"} trains a classifier, but the model is a language model; leave out "label" or choose a classifier.`,
        )
      return { kind: 'text', text: textField(row, 'text') }
    case 'instruction':
      return {
        kind: 'completion',
        prompt: alpacaPrompt(textField(row, 'instruction'), has('input') ? textField(row, 'input') : ''),
        completion: textField(row, 'output'),
      }
    case 'messages':
      return { kind: 'messages', messages: messagesField(row, 'messages') }
    case 'completion': {
      const chats = [row.value['prompt'], row.value['completion']].filter(Array.isArray).length
      if (chats === 1)
        throw new InvalidDataError(`${at(row)}: "prompt" and "completion" must both be text or both be lists of messages.`)
      return chats === 0
        ? { kind: 'completion', prompt: textField(row, 'prompt'), completion: textField(row, 'completion') }
        : { kind: 'chat-completion', prompt: messagesField(row, 'prompt'), completion: messagesField(row, 'completion') }
    }
    case 'tokens':
      return tokensShape(row)
  }
}

/** The prompt of Stanford Alpaca (Taori et al., 2023, `train.py`), with or without an input. */
export function alpacaPrompt(instruction: string, input = ''): string {
  return input === ''
    ? 'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n' +
        `### Instruction:\n${instruction}\n\n### Response:`
    : 'Below is an instruction that describes a task, paired with an input that provides further context. ' +
        'Write a response that appropriately completes the request.\n\n' +
        `### Instruction:\n${instruction}\n\n### Input:\n${input}\n\n### Response:`
}

/** @param labelled whether the row's labels, one a token, are read too */
export function tokensShape(row: Row, labelled = true): Extract<RowShape, { kind: 'tokens' }> {
  const inputIds = integersField(row, 'input_ids')
  if (inputIds.length === 0) throw new InvalidDataError(`${at(row)}: "input_ids" is empty; leave the row out.`)
  const optional = (field: string): readonly number[] | undefined => {
    if (row.value[field] === undefined || row.value[field] === null) return undefined
    const values = integersField(row, field)
    if (values.length !== inputIds.length) {
      throw new InvalidDataError(
        `${at(row)}: "${field}" holds ${values.length} numbers and "input_ids" ${inputIds.length}; they must be as many.`,
      )
    }
    return values
  }
  const attentionMask = optional('attention_mask')
  const bad = attentionMask?.findIndex((value) => value !== 0 && value !== 1) ?? -1
  if (bad >= 0) throw new InvalidDataError(`${at(row)}: "attention_mask"[${bad}] is ${attentionMask?.[bad]}; expected 0 or 1.`)
  return { kind: 'tokens', inputIds, attentionMask, labels: labelled ? optional('labels') : undefined }
}

export function textField(row: Row, field: string): string {
  const value = row.value[field]
  if (typeof value !== 'string') throw new InvalidDataError(`${at(row)}: "${field}" must be text, found ${kindOf(value)}.`)
  return value
}

export function integersField(row: Row, field: string): readonly number[] {
  const value = row.value[field]
  if (!Array.isArray(value))
    throw new InvalidDataError(`${at(row)}: "${field}" must be a list of integers, found ${kindOf(value)}.`)
  const bad = value.findIndex((entry) => !Number.isSafeInteger(entry))
  if (bad >= 0) throw new InvalidDataError(`${at(row)}: "${field}"[${bad}] must be an integer, found ${kindOf(value[bad])}.`)
  return value as number[]
}

export function messagesField(row: Row, field: string): readonly Message[] {
  const value = row.value[field]
  if (!Array.isArray(value))
    throw new InvalidDataError(`${at(row)}: "${field}" must be a list of messages, found ${kindOf(value)}.`)
  if (value.length === 0) throw new InvalidDataError(`${at(row)}: "${field}" is an empty list; expected at least one message.`)
  value.forEach((message: unknown, index) => {
    if (typeof message !== 'object' || message === null || Array.isArray(message)) {
      throw new InvalidDataError(
        `${at(row)}: "${field}"[${index}] must be a message {"role", "content"}, found ${kindOf(message)}.`,
      )
    }
    for (const part of ['role', 'content']) {
      const text = (message as Record<string, unknown>)[part]
      if (typeof text !== 'string')
        throw new InvalidDataError(`${at(row)}: "${field}"[${index}].${part} must be text, found ${kindOf(text)}.`)
    }
  })
  return value as Message[]
}

export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'number') return `the number ${value}`
  return typeof value === 'string' ? 'text' : typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
