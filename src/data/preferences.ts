/**
 * @file Rows of preferences: a prompt, the completion that was chosen and the one that was rejected.
 *
 * Prompt and completions are tokenised apart, as in examples.ts; the completions end with the end-of-text token. A pair
 * longer than `maxLength` (the model's positions by default) loses the beginning of its prompt, as much for both completions; a completion that leaves no
 * room for one token of the prompt loses its end.
 */
import { InvalidDataError } from '../errors.js'
import type { Batch } from './batch.js'
import { checkExampleOptions, countTargets, longestRow } from './examples.js'
import { paddingToken, type CausalLmEncodingOptions, type RowEncoding } from './encoding.js'
import { messagesField, templateVariables, type Message } from './messages.js'
import { rowTokenizer } from './needed-tokenizer.js'
import { integersField, textField } from './row-shapes.js'
import { batchOfFields, type FieldsExample, type RowTensor } from './row-tensors.js'
import { unwanted } from './learning-signs.js'
import {
  chatCompletion,
  checkTokens,
  checkWholeAnswers,
  cutTogether,
  nothingIn,
  sizeOf,
  textCompletion,
  tokenFields,
  type PromptCompletion,
} from './prompt-completion.js'
import { at, hasField, located, type Row } from './rows.js'
import type { Tokenizer } from './tokenizer.js'

/** A pair of completions as two rows, the chosen one first. */
interface PairExample extends FieldsExample {
  /** Why the pair teaches nothing, if so. */
  readonly reason: string | undefined
}

export interface PreferenceOptions {
  /**
   * Labels of the chosen row: `completion`, or `all` its tokens, with a mask that tells the completion's and a weight
   * that makes the sum of the labels' losses a mean over them times the pairs.
   */
  readonly labels: 'completion' | 'all'
}

/** The chosen completion and the rejected one, each with its prompt. */
type Sides = readonly [chosen: PromptCompletion, rejected: PromptCompletion]

const shapes =
  '{"prompt", "chosen", "rejected"} as texts or as lists of messages, or {"prompt_ids", "chosen_ids", "rejected_ids"}'

/** Pairs of completions for a language model. @throws InvalidOptionError if a length does not fit the model */
export function preferenceEncoding(options: CausalLmEncodingOptions, { labels }: PreferenceOptions): RowEncoding<PairExample> {
  checkExampleOptions(options)
  const padTokenId = paddingToken(options)
  return {
    encode(row) {
      const whole = sidesOf(row, options)
      checkTokens(row, whole, options)
      const sides = cutTogether(whole, longestRow(options))
      const reason = unwanted(row) ?? nothingToLearn(sides)
      const lengths = sides.map(sizeOf)
      return {
        rows: sides.map((side, i) => fieldsOf(side, padTokenId, labels === 'all', i === 0)),
        once: {},
        length: Math.max(...lengths),
        positions: lengths.reduce((a, b) => a + b),
        tokens: reason === undefined ? 1 : 0,
        truncated: sides.some((_, i) => lengths[i]! < sizeOf(whole[i]!)),
        reason,
        // What is chosen is what generation shall write.
        ...(reason === undefined && whole[0].turnEnd && { turnEnd: whole[0].turnEnd }),
      }
    },
    lengthOf: (example) => example.length,
    capacity: undefined,
    batch(rows) {
      const batch = batchOfFields(rows.flat())
      return { ...(labels === 'all' ? weighted(batch) : batch), group: 2 }
    },
    emptyReason: ({ reason }) => reason ?? '',
  }
}

const fieldNames = {
  text: { prompt: 'prompt', chosen: 'chosen', rejected: 'rejected' },
  tokens: { prompt: 'prompt_ids', chosen: 'chosen_ids', rejected: 'rejected_ids' },
} as const

function sidesOf(row: Row, { tokenizer }: CausalLmEncodingOptions): Sides {
  const has = (field: string): boolean => hasField(row, field)
  const tokenised = Object.values(fieldNames.tokens).some(has)
  const names = fieldNames[tokenised ? 'tokens' : 'text']
  const chat = !tokenised && Array.isArray(row.value[names.chosen]) && Array.isArray(row.value[names.rejected])
  // Both may bring their prompt themselves.
  const texts = !tokenised && [names.chosen, names.rejected].every((name) => typeof row.value[name] === 'string')
  const missing = (chat || (texts && !has(names.prompt)) ? [names.chosen, names.rejected] : Object.values(names)).filter(
    (name) => !has(name),
  )
  if (missing.length > 0) {
    const found = Object.keys(row.value).map((key) => `"${key}"`)
    const hint = has('label') && (has('completion') || has('completion_ids')) ? ' Completions with a "label" are learned with the objective "kto" (--objective).' : '' // prettier-ignore
    throw new InvalidDataError(
      `${at(row)}: ${missing.map((name) => `"${name}"`).join(' and ')} ${missing.length === 1 ? 'is' : 'are'} missing; found ${found.join(', ') || 'no field'}; expected ${shapes}.${hint}`,
    )
  }
  if (tokenised) {
    const prompt = integersField(row, names.prompt)
    return [
      { prompt, completion: integersField(row, names.chosen) },
      { prompt, completion: integersField(row, names.rejected) },
    ]
  }
  const known = rowTokenizer(row, tokenizer, '{"prompt_ids", "chosen_ids", "rejected_ids"}')
  return chat ? chatSides(row, known) : textSides(row, known)
}

function textSides(row: Row, tokenizer: Tokenizer): Sides {
  const { prompt, chosen, rejected } = fieldNames.text
  const list = [prompt, chosen, rejected].find((field) => Array.isArray(row.value[field]))
  if (list !== undefined)
    throw new InvalidDataError(
      `${at(row)}: "${list}" is a list of messages; "prompt", "chosen" and "rejected" must all be text or all be lists.`,
    )
  const texts: Readonly<Record<string, string>> = { [chosen]: textField(row, chosen), [rejected]: textField(row, rejected) }
  const shared = hasField(row, prompt) ? undefined : sharedText(row, [texts[chosen]!, texts[rejected]!])
  const ids = located(row, () => tokenizer.encodePrompt(shared ?? textField(row, prompt)))
  const side = (field: string): PromptCompletion => ({
    prompt: ids,
    completion: textCompletion(row, texts[field]!.slice(shared?.length ?? 0), tokenizer),
  })
  return [side(chosen), side(rejected)]
}

/**
 * What both texts begin with, where they bring their prompt themselves: up to the first character that differs, or the space
 * before it, as TRL's `extract_prompt` cuts them.
 */
function sharedText(row: Row, [chosen, rejected]: readonly [string, string]): string {
  const most = Math.min(chosen.length, rejected.length)
  let end = 0
  while (end < most && chosen[end] === rejected[end]) end++
  // Half of a character is none.
  if (/[\ud800-\udbff]/.test(chosen[end - 1] ?? '')) end--
  if (chosen[end - 1] === ' ') end--
  if (end === 0)
    throw new InvalidDataError(
      `${at(row)}: "chosen" and "rejected" begin with different characters, so they share no prompt; give "prompt".`,
    )
  return chosen.slice(0, end)
}

function chatSides(row: Row, tokenizer: Tokenizer): Sides {
  const { prompt, chosen, rejected } = fieldNames.text
  const dialogues = [answersField(row, chosen), answersField(row, rejected)] as const
  const variables = templateVariables(row)
  const given = Array.isArray(row.value[prompt])
  const before = given ? messagesField(row, prompt) : sharedTurns(row, dialogues)
  const side = (messages: readonly Message[]): PromptCompletion => {
    const answer = given ? messages : messages.slice(before.length)
    const field = messages === dialogues[0] ? chosen : rejected
    const lists = { ...(given && { prompt: before }), [field]: messages }
    return chatCompletion(row, [before, answer], lists, variables, tokenizer)
  }
  return [side(dialogues[0]), side(dialogues[1])]
}

/** A dialogue of which all is learned: a turn that shall not be has no place in a preference. */
function answersField(row: Row, field: string): readonly Message[] {
  const messages = messagesField(row, field)
  checkWholeAnswers(row, field, messages)
  return messages
}

/** The turns that both dialogues begin with, where they bring their prompt themselves; each has one of its own after them. */
function sharedTurns(row: Row, [chosen, rejected]: readonly [readonly Message[], readonly Message[]]): readonly Message[] {
  const same = (i: number): boolean => JSON.stringify(chosen[i]) === JSON.stringify(rejected[i])
  const most = Math.min(chosen.length, rejected.length) - 1
  let count = 0
  while (count < most && same(count)) count++
  if (count === 0)
    throw new InvalidDataError(
      `${at(row)}: "chosen" and "rejected" begin with different turns, so they share no prompt; give "prompt" as a list of messages.`,
    )
  return chosen.slice(0, count)
}

function nothingToLearn([chosen, rejected]: Sides): string | undefined {
  const empty = nothingIn('chosen', chosen) ?? nothingIn('rejected', rejected)
  if (empty !== undefined) return empty
  const same = chosen.completion.length === rejected.completion.length && chosen.completion.every((id, i) => id === rejected.completion[i]) // prettier-ignore
  return same ? '"chosen" and "rejected" are the same, so none is preferred; give two different answers' : undefined
}

/** One row of the batch. */
function fieldsOf(side: PromptCompletion, padTokenId: number, mask: boolean, chosen: boolean): Record<string, RowTensor> {
  const fields = tokenFields(side, padTokenId, mask && chosen ? 'all' : 'completion')
  if (!mask) return fields
  const values = Array.from({ length: sizeOf(side) }, (_, i) => Number(i >= side.prompt.length))
  const weight = chosen ? countTargets(fields.labels.values as readonly number[]) : 0
  return {
    ...fields,
    completion_mask: { dtype: 'float32', shape: [values.length], values, pad: 0 },
    nll_weight: { dtype: 'float32', shape: [], values: [weight] },
  }
}

/** The tokens that were counted for each chosen row, 0 for the others, become the weight of each of them. */
function weighted(batch: Batch): Batch {
  const counted = batch.feeds['nll_weight']!
  const counts = counted.data as Float32Array
  const total = counts.reduce((a, b) => a + b, 0)
  const data = counts.map((count) => (count > 0 ? batch.examples / total : 0))
  return { ...batch, feeds: { ...batch.feeds, nll_weight: { ...counted, data } } }
}
