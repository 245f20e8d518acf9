/** @file How a model's embeddings are made: as the user says, else as its folder says, else by the mean. */
import type { Model } from '../../model/model.js'
import { InvalidModelError, InvalidOptionError } from '../../errors.js'
import { poolings, type EmbeddingLayer, type Pooling } from '../../losses/embedding.js'

/** What the user may say of it. */
export interface EmbeddingOptions {
  /**
   * How an embedding model's states become one vector; several are put side by side. What the model's `1_Pooling` says,
   * `mean` without one, unless said.
   */
  readonly pooling?: Pooling | readonly Pooling[]
  /**
   * Name of the prompt of `config_sentence_transformers.json` that is put before each text, or one for each text of a pair;
   * '' is none. Its `default_prompt_name` unless said.
   */
  readonly promptName?: string | readonly [string, string]
}

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

/** @throws InvalidOptionError for a pooling or a prompt that is not known; InvalidModelError for a module that is not supported */
export function embeddingSettings({ sentence, path }: Model, { pooling, promptName }: EmbeddingOptions): EmbeddingSettings {
  const modes: readonly unknown[] = Array.isArray(pooling) ? pooling : [pooling]
  if (pooling !== undefined && (modes.length === 0 || modes.some((mode) => !poolings.includes(mode as Pooling))))
    throw new InvalidOptionError(
      `pooling must be ${poolings.map((mode) => `"${mode}"`).join(', ')}, or several of them, got ${JSON.stringify(pooling)}`,
    )
  if (pooling === undefined && sentence?.unsupported !== undefined)
    throw new InvalidModelError(
      `${sentence.unsupported}; the embeddings of this model cannot be made as its folder says. Say a pooling (--pooling) to train its states alone`,
    )
  const known = sentence?.prompts ?? {}
  const given = promptName ?? sentence?.defaultPrompt ?? ''
  const names: readonly unknown[] = typeof given === 'string' ? [given, given] : given
  const prompts = names.map((name) => {
    if (name === '') return ''
    if (typeof name === 'string' && Object.hasOwn(known, name)) return known[name]!
    throw new InvalidOptionError(
      `promptName is ${JSON.stringify(name)}, but ${path} has ${Object.keys(known).length === 0 ? 'no prompts (config_sentence_transformers.json)' : `the prompts ${Object.keys(known).join(', ')}`}; '' is none`,
    )
  })
  if (prompts.length !== 2)
    throw new InvalidOptionError(`promptName must be a name or two of them, got ${JSON.stringify(promptName)}`)
  return {
    pooling: pooling === undefined ? (sentence?.pooling ?? ['mean']) : (modes as Pooling[]),
    layers: sentence?.unsupported === undefined ? (sentence?.layers ?? []) : [],
    prompts: prompts as [string, string],
    excludePrompt: sentence?.includePrompt === false && prompts.some((text) => text !== ''),
    ...(sentence?.maxLength !== undefined && { maxLength: sentence.maxLength }),
  }
}
