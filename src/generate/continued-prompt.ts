/** @file A prompt with the texts that follow it, from options to what is given. */
import type { ResolvedBatchOptions } from './generate-options.js'
import type { Generation } from './generation.js'
import { PromptLogprobs } from './logprobs.js'
import { RunningText, type TextSettings } from './running-text.js'
import type { ContinuedPrompt } from './continue-texts.js'

/** As many texts as are asked for, each with a seed of its own. */
export function continuedPrompt(
  settings: TextSettings,
  { numReturn, seed }: Pick<ResolvedBatchOptions, 'numReturn' | 'seed'>,
): ContinuedPrompt {
  const texts = Array.from({ length: numReturn }, (_, i) => new RunningText(settings, seed + i, i))
  const { prompt, limit, promptLogprobs } = settings
  return { prompt, limit, texts, ...(promptLogprobs !== undefined && { scores: new PromptLogprobs(prompt, promptLogprobs) }) }
}

/** Tokens that were generated. */
export const tokensOf = (prompts: readonly ContinuedPrompt[]): number =>
  prompts.reduce((sum, { texts }) => texts.reduce((all, { ids }) => all + ids.length, sum), 0)

/** @param spent milliseconds */
export const perSecond = (tokens: number, spent: number): number => tokens / Math.max(1e-6, spent / 1000)

/** What is given of texts that have ended. */
export function generationOf({ texts, scores }: ContinuedPrompt, tokensPerSecond: number): Generation {
  const samples = texts.map((text) => {
    text.finish()
    return text.result()
  })
  return {
    ...samples[0]!,
    tokensPerSecond,
    ...(samples.length > 1 && { samples }),
    ...(scores && { promptLogprobs: scores.found }),
  }
}
