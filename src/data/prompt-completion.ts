/** @file A prompt and what follows it, as tokens: what preferences are about, whether they come in pairs or one by one. */
import { InvalidDataError } from '../errors.js'
import { IGNORED_LABEL } from '../losses/causal-lm.js'
import type { CausalLmEncodingOptions } from './encoding.js'
import { noteLostParts, withEnd } from './examples.js'
import { learnedTurns } from './learning-signs.js'
import type { Message, TemplateVariables } from './messages.js'
import type { RowTensor } from './row-tensors.js'
import { at, located, type Row } from './rows.js'
import type { Tokenizer, TurnEnd } from './tokenizer.js'

/** Prompt and completion, apart. */
export interface PromptCompletion {
  readonly prompt: readonly number[]
  readonly completion: readonly number[]
  /** Of a dialogue: how it ends. */
  readonly turnEnd?: TurnEnd
}

export const sizeOf = ({ prompt, completion }: PromptCompletion): number => prompt.length + completion.length

/** A completion ends with the end-of-text token, which alone is no answer. */
export const textCompletion = (row: Row, text: string, tokenizer: Tokenizer): readonly number[] =>
  text === ''
    ? []
    : withEnd(
        located(row, () => tokenizer.encode(text, { addSpecialTokens: false })),
        tokenizer,
      )

/** Turns after others, through the chat template. @param lists of messages by the field that brings them, for what is noted as lost */
export function chatCompletion(
  row: Row,
  [before, answer]: readonly [readonly Message[], readonly Message[]],
  lists: Readonly<Record<string, readonly Message[]>>,
  variables: TemplateVariables,
  tokenizer: Tokenizer,
): PromptCompletion {
  return located(row, () => {
    noteLostParts(row, lists, variables, tokenizer)
    const { ids, learn, turnEnd } = tokenizer.encodeChatCompletion(before, answer, { variables })
    const start = learn[0]?.start ?? ids.length
    return { prompt: ids.slice(0, start), completion: ids.slice(start), ...(turnEnd && { turnEnd }) }
  })
}

/** A turn that shall not be learned has no place in a preference. @throws InvalidDataError for one that says so of itself */
export function checkWholeAnswers(row: Row, field: string, messages: readonly Message[]): void {
  const left = learnedTurns(row, field, messages).findIndex((learned, i) => messages[i]!.role === 'assistant' && !learned)
  if (left >= 0) throw partlyLearned(row, `"${field}"[${left}]`)
}

export const partlyLearned = (row: Row, what: string): InvalidDataError =>
  new InvalidDataError(
    `${at(row)}: ${what} is marked as not to be learned, but a preference is about whole answers; leave the mark out, or the row.`,
  )

/**
 * Prompts and completions within `maxLength`: they lose the beginning of their prompts, as much in each, so that equal
 * prompts stay equal; a completion that leaves no room for one token of the prompt loses its end.
 */
export function cutTogether<T extends readonly PromptCompletion[]>(sides: T, maxLength: number): T {
  const drop = Math.max(0, Math.max(...sides.map(sizeOf)) - maxLength)
  return sides.map(({ prompt, completion }) => {
    const kept = prompt.slice(Math.min(drop, Math.max(0, prompt.length - 1)))
    return { prompt: kept, completion: completion.slice(0, maxLength - kept.length) }
  }) as readonly PromptCompletion[] as T
}

/** @throws InvalidDataError for a token that the model does not know */
export function checkTokens(
  row: Row,
  sides: readonly PromptCompletion[],
  { vocabularySize, tokenizer }: CausalLmEncodingOptions,
): void {
  for (const { prompt, completion } of sides)
    for (const id of [...prompt, ...completion])
      if (id < 0 || id >= vocabularySize)
        throw new InvalidDataError(
          `${at(row)}: token id ${id} is outside the model's vocabulary of ${vocabularySize} (0 to ${vocabularySize - 1}); the ${tokenizer === undefined ? 'row' : 'row or its tokenizer'} belongs to another model.`,
        )
}

/** Why a completion teaches nothing, if so. @param name of its field */
export function nothingIn(name: string, { prompt, completion }: PromptCompletion): string | undefined {
  if (completion.length === 0) return `"${name}" is empty; give an answer of at least one token`
  if (prompt.length === 0 && completion.length === 1)
    return `"${name}" is a single token without a prompt, which nothing predicts; give a prompt`
  return undefined
}

/** What a model is fed of it; labels are the completion's tokens, or all. */
export function tokenFields(
  { prompt, completion }: PromptCompletion,
  padTokenId: number,
  labels: 'completion' | 'all' = 'completion',
): Readonly<Record<'input_ids' | 'attention_mask' | 'position_ids' | 'labels', RowTensor>> {
  const ids = [...prompt, ...completion]
  const field = (values: readonly number[], pad: number): RowTensor => ({ dtype: 'int64', shape: [ids.length], values, pad })
  return {
    input_ids: field(ids, padTokenId),
    attention_mask: field(ids.map(() => 1), 0), // prettier-ignore
    position_ids: field(ids.map((_, i) => i), 0), // prettier-ignore
    labels: field(ids.map((id, i) => (labels === 'all' || i >= prompt.length ? id : IGNORED_LABEL)), IGNORED_LABEL), // prettier-ignore
  }
}
