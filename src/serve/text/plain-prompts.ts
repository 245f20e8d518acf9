/** @file Prompts of plain completions: texts or tokens, one or several. */
import type { Service } from '../service.js'
import { checkLength, neededTokenizer } from './needed.js'

/** A prompt. */
export interface PlainPrompt {
  readonly ids: readonly number[]
  /** As it is told back. @throws ApiError 400 for tokens without a tokenizer */
  text(): string
}

/** What a request has under `prompt` or `input`. */
export type PromptField = string | readonly string[] | readonly number[] | readonly (readonly number[])[]

/** One entry for each prompt. */
export const promptList = (field: PromptField): readonly (string | readonly number[])[] =>
  typeof field === 'string' ? [field] : isTokens(field) ? [field] : (field as readonly (string | readonly number[])[])

const isTokens = (field: Exclude<PromptField, string>): field is readonly number[] => typeof field[0] === 'number'

/**
 * @param special whether the tokenizer puts its own tokens before a text
 * @throws ApiError 400 for texts without a tokenizer
 */
export function promptsOf(service: Service, field: PromptField, special: boolean): readonly PlainPrompt[] {
  return promptList(field).map((prompt) => {
    if (typeof prompt !== 'string')
      return { ids: prompt, text: () => neededTokenizer(service, 'echo').decode(prompt, { skipSpecialTokens: true }) }
    const tokenizer = neededTokenizer(service, 'prompt')
    checkLength(service, prompt, 'prompt')
    const ids = special ? tokenizer.encodePrompt(prompt) : tokenizer.encode(prompt, { addSpecialTokens: false })
    return { ids, text: () => prompt }
  })
}
