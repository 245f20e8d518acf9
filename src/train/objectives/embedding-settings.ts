/** @file How a model's embeddings are made: as the user says, else as its folder says, else by the mean. */
import type { Model } from '../../model/model.js'
import { InvalidModelError, InvalidOptionError } from '../../errors.js'
import type { EmbeddingLayer, Pooling } from '../../losses/embedding.js'
import type { ObjectiveOptions } from './options.js'

export interface EmbeddingSettings {
  readonly pooling: readonly Pooling[]
  readonly layers: readonly EmbeddingLayer[]
  /** Put before each text of a pair. */
  readonly prompts: readonly [string, string]
  /** Tokens of the prompt are not pooled. */
  readonly excludePrompt: boolean
  /** Longest text in tokens, unless the run says otherwise. */
  readonly maxLength?: number
}

/** Options of an encoding with the folder's longest text, where the run names none. A model without positions limits nothing. */
export const withMaxLength = <O extends { readonly maxLength?: number; readonly maxPositions: number }>(
  { maxLength }: EmbeddingSettings,
  options: O,
): O => ({ ...(maxLength !== undefined && { maxLength: Math.min(maxLength, options.maxPositions || Infinity) }), ...options })

/** @throws InvalidOptionError for a prompt that is not known; InvalidModelError for a module that is not supported */
export function embeddingSettings({ sentence, path }: Model, { pooling, promptName }: ObjectiveOptions): EmbeddingSettings {
  if (pooling === undefined && sentence?.unsupported !== undefined)
    throw new InvalidModelError(
      `${sentence.unsupported}; the embeddings of this model cannot be made as its folder says. Say a pooling (--pooling) to train its states alone`,
    )
  const known = sentence?.prompts ?? {}
  const given = promptName ?? sentence?.defaultPrompt ?? ''
  const [first, second] = typeof given === 'string' ? [given, given] : given
  const promptOf = (name: string): string => {
    if (name === '') return ''
    if (Object.hasOwn(known, name)) return known[name]!
    throw new InvalidOptionError(
      `promptName is ${JSON.stringify(name)}, but ${path} has ${Object.keys(known).length === 0 ? 'no prompts (config_sentence_transformers.json)' : `the prompts ${Object.keys(known).join(', ')}`}; '' is none`,
    )
  }
  const prompts = [promptOf(first), promptOf(second)] as const
  return {
    pooling: pooling === undefined ? (sentence?.pooling ?? ['mean']) : typeof pooling === 'string' ? [pooling] : pooling,
    layers: sentence?.unsupported === undefined ? (sentence?.layers ?? []) : [],
    prompts,
    excludePrompt: sentence?.includePrompt === false && prompts.some((text) => text !== ''),
    ...(sentence?.maxLength !== undefined && { maxLength: sentence.maxLength }),
  }
}
