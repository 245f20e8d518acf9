/** @file What can be asked of a generation. */
import type { Message, TemplateVariables } from '../data/messages.js'
import type { OptionKeys } from '../util/option-keys.js'
import { beamOptionKeys, type BeamOptions } from './beam-options.js'
import { samplingOptionKeys, type SamplingOptions } from './sampling.js'

/** What is generated from, how much and how: exactly one of `prompt`, `messages` and `inputIds`. */
export interface GenerateOptions extends SamplingOptions, BeamOptions {
  /** Text to continue, tokenised as the model's tokenizer does. */
  readonly prompt?: string
  /** A dialogue to answer, by the model's chat template. */
  readonly messages?: readonly Message[]
  /** What the chat template is given beside the dialogue: `tools`, `documents`, `enable_thinking`, … */
  readonly variables?: TemplateVariables
  /** Token ids to continue, for models without a tokenizer. */
  readonly inputIds?: readonly number[]
  /** Most tokens to generate, 128 unless said; the model's positions limit it too. */
  readonly maxNewTokens?: number
  /** The text ends before the first of these; special tokens such as `<|im_end|>` are recognised too. */
  readonly stop?: string | readonly string[]
  /** Tokens that end the text, beside the model's own. */
  readonly eosTokenIds?: readonly number[]
  /** Seed of sampling, 0 unless said. */
  readonly seed?: number
  /** Ends the text at the next token. */
  readonly signal?: AbortSignal
}

/** Those that hold for each of several prompts too. */
export const sharedOptionKeys = {
  ...samplingOptionKeys,
  ...beamOptionKeys,
  ...{ maxNewTokens: true, stop: true, eosTokenIds: true, seed: true, signal: true },
} satisfies OptionKeys<Omit<GenerateOptions, 'prompt' | 'messages' | 'variables' | 'inputIds'>>

export const generateOptionKeys = {
  ...sharedOptionKeys,
  ...{ prompt: true, messages: true, variables: true, inputIds: true },
} satisfies OptionKeys<GenerateOptions>
