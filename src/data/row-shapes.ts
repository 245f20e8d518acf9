/** @file The shapes of rows that train a language model, told apart by their fields. */
import { InvalidDataError } from '../errors.js'
import { learnedTurns, tokenMasks } from './learning-signs.js'
import { messagesField, templateVariables, type Message, type TemplateVariables } from './messages.js'
import { at, foundFields, hasField, kindOf, takeField, type Row } from './rows.js'
import { IGNORED_LABEL } from '../losses/causal-lm.js'
import { someNames } from '../util/some-of.js'

/** What a row asks to learn. */
export type RowShape =
  /** Loss on everything. */
  | { readonly kind: 'text'; readonly text: string }
  /** Loss on the completion alone. */
  | { readonly kind: 'completion'; readonly prompt: string; readonly completion: string }
  /** Prompt and completion as turns of a chat; loss on all that the completion renders to. */
  | (Dialogue & {
      readonly kind: 'chat-completion'
      readonly prompt: readonly Message[]
      readonly completion: readonly Message[]
    })
  /** Loss on the assistant's turns alone. */
  | (Dialogue & { readonly kind: 'messages'; readonly messages: readonly Message[] })
  /** Already tokenised. */
  | {
      readonly kind: 'tokens'
      readonly inputIds: readonly number[]
      readonly attentionMask: readonly number[] | undefined
      readonly labels: readonly number[] | undefined
      readonly positionIds: readonly number[] | undefined
    }

/** Of a dialogue. */
interface Dialogue {
  /** For each message (of the completion, where there is one), whether it is to be learned. */
  readonly learned: readonly boolean[]
  /** What the chat template is given beside the messages. */
  readonly variables: TemplateVariables
}

/** Fields that make a shape: all of `needs`, and what else it may bring. */
const shapes = [
  { name: 'tokens', needs: ['input_ids'], describe: '{"input_ids", "attention_mask"?, "labels"?}' },
  { name: 'messages', needs: ['messages'], describe: '{"messages": [{"role", "content"}]}' },
  {
    name: 'conversations',
    needs: ['conversations'],
    describe: '{"conversations": [{"from", "value"}]}',
  },
  { name: 'completion', needs: ['prompt', 'completion'], describe: '{"prompt", "completion"}' },
  { name: 'instruction', needs: ['instruction', 'output'], describe: '{"instruction", "input"?, "output"}' },
  { name: 'text', needs: ['text'], describe: '{"text"}' },
] as const

const known = shapes.map((shape) => shape.describe).join(', ')

/**
 * The shape of a row. Fields of no shape (ids, sources) are left unread; a field that is null counts as absent, as tables write it.
 * @throws InvalidDataError naming file, line and fields if no shape or more than one fits, or a field has a wrong type
 */
export function readShape(row: Row): RowShape {
  const has = (field: string): boolean => hasField(row, field)
  const fits = clearest(
    row,
    shapes.filter((shape) => shape.needs.every(has)),
  )
  if (fits.length > 1) {
    const names = fits.map((shape) => shape.describe).join(' and ')
    throw new InvalidDataError(
      `${at(row)}: the fields ${someNames(Object.keys(row.value))} fit more than one shape, ${names}; leave only the fields of one.`,
    )
  }
  const shape = fits[0]
  if (shape === undefined) {
    const partial = shapes.find((candidate) => candidate.needs.some(has))
    const missing = partial?.needs.filter((field) => !has(field)).map((field) => `"${field}"`)
    const hint =
      has('chosen') && has('rejected')
        ? ' Preferences are learned with the objective "dpo" or "orpo" (--objective).'
        : has('completion_ids') && has('label')
          ? ' Completions with a "label" are learned with the objective "kto" (--objective).'
          : missing === undefined
            ? ''
            : ` Missing beside what is there: ${missing.join(', ')}.`
    throw new InvalidDataError(
      `${at(row)}: ${foundFields(row)}; expected one of ${known}.${hint || ' Other names are told by columns (--columns prompt=…,completion=…).'}`,
    )
  }
  switch (shape.name) {
    case 'text':
      if (has('label'))
        throw new InvalidDataError(
          `${at(row)}: {"text", "label"} trains a classifier, but the model is a language model; leave out "label", or open the model with { task: 'sequence-classification' } (--task sequence-classification) to train a fresh head.`,
        )
      return { kind: 'text', text: textField(row, 'text') }
    case 'instruction':
      return {
        kind: 'completion',
        prompt: alpacaPrompt(textField(row, 'instruction'), has('input') ? textField(row, 'input') : ''),
        completion: textField(row, 'output'),
      }
    case 'messages':
      return dialogue(row, 'messages')
    case 'conversations':
      return dialogue(row, 'conversations')
    case 'completion': {
      const chats = [row.value['prompt'], row.value['completion']].filter(Array.isArray).length
      if (chats === 1)
        throw new InvalidDataError(`${at(row)}: "prompt" and "completion" must both be text or both be lists of messages.`)
      return chats === 0
        ? { kind: 'completion', prompt: textField(row, 'prompt'), completion: textField(row, 'completion') }
        : chatCompletion(row)
    }
    case 'tokens':
      return tokensShape(row)
  }
}

/**
 * Of several shapes the one that is meant: that of the columns which were chosen by name, and the instruction where a text
 * stands beside it, as in Alpaca's own data, whose `text` is the whole once more.
 */
function clearest<S extends (typeof shapes)[number]>(row: Row, fits: readonly S[]): readonly S[] {
  if (fits.length < 2) return fits
  const chosen = fits.filter(({ needs }) => needs.some((field) => row.chosen?.has(field) === true))
  if (chosen.length === 1) return chosen
  const [first, second] = fits
  return fits.length === 2 && first?.name === 'instruction' && second?.name === 'text' ? [first] : fits
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

function dialogue(row: Row, field: string): Extract<RowShape, { kind: 'messages' }> {
  // OpenAI's files say how calls were made, which no template writes.
  takeField(row, 'parallel_tool_calls')
  const messages = withSystem(row, messagesField(row, field))
  return { kind: 'messages', messages, learned: learnedTurns(row, field, messages), variables: templateVariables(row) }
}

/**
 * A system prompt that stands beside the dialogue becomes its first turn.
 * @param given one that stands for all rows
 * @throws InvalidDataError if there is one already
 */
export function withSystem(row: Row, messages: readonly Message[], given?: string): readonly Message[] {
  const own = hasField(row, 'system') && row.value['system'] !== '' ? textField(row, 'system') : undefined
  const content = given ?? own
  if (content === undefined) return messages
  const place = given === undefined ? '"system" stands beside' : 'a system prompt is given for'
  if (messages[0]?.role === 'system')
    throw new InvalidDataError(`${at(row)}: ${place} a dialogue that begins with a system turn; leave one of them out.`)
  if (given !== undefined && own !== undefined)
    throw new InvalidDataError(`${at(row)}: ${place} a row that has one under "system"; leave one of them out.`)
  return [{ role: 'system', content }, ...messages]
}

function chatCompletion(row: Row): Extract<RowShape, { kind: 'chat-completion' }> {
  const prompt = messagesField(row, 'prompt')
  learnedTurns(row, 'prompt', prompt, false)
  const completion = messagesField(row, 'completion')
  const said = learnedTurns(row, 'completion', completion)
  // All of a completion is learned, whoever speaks, but for the assistant's turns that say otherwise.
  const learned = completion.map(({ role }, i) => role !== 'assistant' || said[i]!)
  return { kind: 'chat-completion', prompt, completion, learned, variables: templateVariables(row) }
}

/** @param labelled whether the row's labels, one a token, are read too */
export function tokensShape(row: Row, labelled = true): Extract<RowShape, { kind: 'tokens' }> {
  const inputIds = integersField(row, 'input_ids')
  if (inputIds.length === 0) throw new InvalidDataError(`${at(row)}: "input_ids" is empty; leave the row out.`)
  const optional = (field: string): readonly number[] | undefined =>
    hasField(row, field) ? perToken(row, field, inputIds) : undefined
  const attentionMask = optional('attention_mask')
  if (attentionMask !== undefined) checkMask(row, 'attention_mask', attentionMask)
  return {
    kind: 'tokens',
    inputIds,
    attentionMask,
    labels: labelled ? maskedLabels(row, inputIds, attentionMask, optional('labels')) : undefined,
    positionIds: optional('position_ids'),
  }
}

/** A field with a number for each token. @throws InvalidDataError if they are not as many */
export function perToken(row: Row, field: string, inputIds: readonly number[]): readonly number[] {
  const values = integersField(row, field)
  if (values.length === inputIds.length) return values
  throw new InvalidDataError(
    `${at(row)}: "${field}" holds ${values.length} numbers and "input_ids" ${inputIds.length}; they must be as many.`,
  )
}

function checkMask(row: Row, field: string, mask: readonly number[]): void {
  const bad = mask.findIndex((value) => value !== 0 && value !== 1)
  if (bad >= 0) throw new InvalidDataError(`${at(row)}: "${field}"[${bad}] is ${mask[bad]}; expected 0 or 1.`)
}

/** Labels without the tokens that a mask of the row leaves out; undefined if it brings neither labels nor masks. */
function maskedLabels(
  row: Row,
  inputIds: readonly number[],
  attentionMask: readonly number[] | undefined,
  labels: readonly number[] | undefined,
): readonly number[] | undefined {
  let masked = labels
  for (const field of tokenMasks) {
    if (!hasField(row, field)) continue
    const mask = perToken(row, field, inputIds)
    checkMask(row, field, mask)
    masked = (masked ?? inputIds.map((id, i) => (attentionMask?.[i] === 0 ? IGNORED_LABEL : id))).map((label, i) =>
      mask[i] === 1 ? label : IGNORED_LABEL,
    )
  }
  return masked
}

export function textField(row: Row, field: string): string {
  const value = takeField(row, field)
  if (typeof value !== 'string') throw new InvalidDataError(`${at(row)}: "${field}" must be text, found ${kindOf(value)}.`)
  return value
}

export function integersField(row: Row, field: string): readonly number[] {
  const value = takeField(row, field)
  if (!Array.isArray(value))
    throw new InvalidDataError(`${at(row)}: "${field}" must be a list of integers, found ${kindOf(value)}.`)
  const bad = value.findIndex((entry) => !Number.isSafeInteger(entry))
  if (bad >= 0) throw new InvalidDataError(`${at(row)}: "${field}"[${bad}] must be an integer, found ${kindOf(value[bad])}.`)
  return value as number[]
}
