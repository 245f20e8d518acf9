/** @file What can be asked of a generation. */
import type { Message, TemplateVariables } from '../data/messages.js'
import { InvalidOptionError } from '../errors.js'
import { abortSignal, kind, seed, text, whole, type Kind } from '../util/option-kinds.js'
import { resolveOptions, type OptionTable, type Resolved } from '../util/option-table.js'
import { beamOptionTable, checkBeams, type BeamOptions } from './beam-options.js'
import { samplingOptionTable, type SamplingOptions } from './sampling-options.js'

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
  /** Most tokens to generate, 128 by default; the model's positions limit it too. */
  readonly maxNewTokens?: number
  /** The text ends before the first of these; special tokens such as `<|im_end|>` are recognised too. */
  readonly stop?: string | readonly string[]
  /** Tokens that end the text, beside the model's own. */
  readonly eosTokenIds?: readonly number[]
  /** Seed of sampling, 0 by default. */
  readonly seed?: number
  /** Ends the text at the next token. */
  readonly signal?: AbortSignal
}

/** The options that say what is continued. */
export type PromptOption = 'prompt' | 'messages' | 'variables' | 'inputIds'

/** One row of a batch: exactly one of `prompt`, `messages` and `inputIds`. */
export interface BatchPrompt extends Pick<GenerateOptions, PromptOption> {
  /** Name of an adapter of the set, or null for the base model. Once one row says it, those that do not are the base's. */
  readonly adapter?: string | null
  /** Seed of this row's sampling; the options' by default. */
  readonly seed?: number
}

/** What holds for every row of a batch. */
export type BatchOptions = Omit<GenerateOptions, PromptOption>

const isTextOrTexts = (value: unknown): boolean =>
  typeof value === 'string' || (Array.isArray(value) && value.every((each) => typeof each === 'string'))

const texts: Kind<string | readonly string[], 'texts'> = kind('texts', 'be a text or a list of texts', isTextOrTexts)

const tokenIds: Kind<readonly number[], 'integers'> = kind(
  'integers',
  'be a list of token ids',
  (value) => Array.isArray(value) && value.every(Number.isInteger),
)

const adapterName: Kind<string | null, 'text'> = kind(
  'text',
  'be the name of an adapter, or null for the base model',
  (value) => value === null || typeof value === 'string',
)

/** What is continued. Dialogues are judged by the chat template, ids by the vocabulary. */
const promptOptionTable = {
  prompt: {
    is: text,
    flag: { name: 'prompt', value: 'T' },
    help: 'Text to continue; - reads it from stdin. One that begins with two hyphens is given as --prompt=T.',
  },
  messages: { effect: true },
  variables: { effect: true },
  inputIds: { effect: true },
} as const satisfies OptionTable<Pick<GenerateOptions, PromptOption>>

/** What holds for each of several prompts too. */
export const batchOptionTable = {
  maxNewTokens: { is: whole(1), default: 128, flag: 'max-new-tokens', help: 'Most tokens to generate.' },
  ...samplingOptionTable,
  stop: { is: texts, flag: { name: 'stop', value: 'T…' }, help: 'Stop before this text; may be repeated.' },
  eosTokenIds: {
    is: tokenIds,
    flag: { name: 'eos-token-ids', value: 'ID…' },
    help: "Tokens that end the text, beside the model's own.",
  },
  ...beamOptionTable,
  seed: { is: seed, default: 0, flag: { name: 'seed', common: true }, help: 'Seed of sampling.' },
  signal: { effect: abortSignal },
} as const satisfies OptionTable<BatchOptions>

/** All of them, in the order of `--help`. */
export const generateOptionTable = {
  ...promptOptionTable,
  ...batchOptionTable,
} as const satisfies OptionTable<GenerateOptions>

export const batchPromptTable = {
  ...promptOptionTable,
  adapter: { is: adapterName, flag: null, help: 'Adapter of the set that continues this prompt.' },
  seed: { is: seed, flag: null, help: "Seed of this prompt's sampling." },
} as const satisfies OptionTable<BatchPrompt>

/** The options of a batch with their defaults. */
export type ResolvedBatchOptions = Resolved<BatchOptions, typeof batchOptionTable>

/** The options of one generation with their defaults. */
export type ResolvedGenerateOptions = Resolved<GenerateOptions, typeof generateOptionTable>

function checkLengths({ minNewTokens, maxNewTokens }: ResolvedBatchOptions): void {
  if (minNewTokens > maxNewTokens)
    throw new InvalidOptionError(`minNewTokens must be at most maxNewTokens (${maxNewTokens}), got ${minNewTokens}`)
}

/** Fills in the defaults. @throws InvalidOptionError naming the option that is unknown, out of range or contradicts another */
export function resolveGenerateOptions(given: GenerateOptions): ResolvedGenerateOptions {
  const resolved = resolveOptions(generateOptionTable, given, 'generate')
  checkLengths(resolved)
  checkBeams(resolved, given)
  return resolved
}

/** Fills in the defaults. @throws InvalidOptionError naming the option that is unknown, out of range or contradicts another */
export function resolveBatchOptions(given: BatchOptions): ResolvedBatchOptions {
  const resolved = resolveOptions(batchOptionTable, given, 'generateBatch')
  checkLengths(resolved)
  checkBeams(resolved, given)
  return resolved
}
