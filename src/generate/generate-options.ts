/** @file What can be asked of a generation. */
import { isRowAdapters, type RowAdapters } from '../adapter/row-adapters.js'
import type { Message, TemplateVariables } from '../data/messages.js'
import { InvalidOptionError } from '../errors.js'
import { abortSignal, kind, seed, text, toggle, whole, type Kind, type ValueKind } from '../util/option-kinds.js'
import { checkKeys, pickKeys } from '../util/option-keys.js'
import { resolveOptions, withoutDefaults, type OptionTable, type Resolved } from '../util/option-table.js'
import { constraintKind, type Constraint } from './constraint.js'
import { beamOptionTable, checkBeams, type BeamOptions } from './beam-options.js'
import { samplingOptionTable, type SamplingOptions } from './sampling-options.js'

/** How much is generated of a prompt, and how. */
export interface TextOptions extends SamplingOptions, Pick<BeamOptions, 'numReturn'> {
  /** Most tokens to generate, 128 by default; the model's positions limit it too. With `promptLogprobs` it may be 0. */
  readonly maxNewTokens?: number
  /** The text ends before the first of these; special tokens such as `<|im_end|>` are recognised too. */
  readonly stop?: string | readonly string[]
  /** Tokens that end the text, beside the model's own. */
  readonly eosTokenIds?: readonly number[]
  /** The model's own end tokens are tokens like others; `eosTokenIds` and `stop` end the text. False by default. */
  readonly ignoreEos?: boolean
  /**
   * Tells how likely the model found each token of the text, and so many of the likeliest in its place: 0 tells of the token alone. What
   * the model itself says counts, before temperature, penalties and bias.
   */
  readonly logprobs?: number
  /** The same for each token of the prompt, of which the first has none. */
  readonly promptLogprobs?: number
  /** Which tokens may come at each step, as a grammar says; each text has a state of its own. */
  readonly constraint?: Constraint
  /** Seed of sampling, 0 by default. */
  readonly seed?: number
  /** Ends the text at the next token. */
  readonly signal?: AbortSignal
}

/** What is generated from, how much and how: exactly one of `prompt`, `messages` and `inputIds`. */
export interface GenerateOptions extends TextOptions, BeamOptions {
  /** Text to continue, tokenised as the model's tokenizer does. */
  readonly prompt?: string
  /** A dialogue to answer, by the model's chat template. */
  readonly messages?: readonly Message[]
  /** What the chat template is given beside the dialogue: `tools`, `documents`, `enable_thinking`, … */
  readonly variables?: TemplateVariables
  /** Token ids to continue, for models without a tokenizer. */
  readonly inputIds?: readonly number[]
}

/** The options that say what is continued. */
export type PromptOption = 'prompt' | 'messages' | 'variables' | 'inputIds'

/**
 * One row of a batch: exactly one of `prompt`, `messages` and `inputIds`, and what of the options is its own in place of the batch's. A
 * signal of its own ends this row alone, which frees its place at the next token.
 */
export interface BatchPrompt extends Pick<GenerateOptions, PromptOption>, TextOptions {
  /**
   * Name of an adapter of the set, several with their scales, whose changes are added up, or null for the base model. Once one row says
   * it, those that do not are the base's.
   */
  readonly adapter?: RowAdapters
}

/** What holds for every row of a batch that does not say otherwise. A signal ends them all. */
export type BatchOptions = Omit<GenerateOptions, PromptOption>

const isTextOrTexts = (value: unknown): boolean =>
  typeof value === 'string' || (Array.isArray(value) && value.every((each) => typeof each === 'string'))

const texts: Kind<string | readonly string[], 'texts'> = kind('texts', 'be a text or a list of texts', isTextOrTexts)

const tokenIds: Kind<readonly number[], 'integers'> = kind(
  'integers',
  'be a list of token ids',
  (value) => Array.isArray(value) && value.every(Number.isInteger),
)

const rowAdapters: ValueKind = {
  must: 'be the name of an adapter, a list of names and finite scales, or null for the base model',
  fits: isRowAdapters,
}

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

/** How each text is generated. */
const textOptionTable = {
  maxNewTokens: { is: whole(0), default: 128, flag: 'max-new-tokens', help: 'Most tokens to generate.' },
  ...samplingOptionTable,
  stop: { is: texts, flag: { name: 'stop', value: 'T…' }, help: 'Stop before this text; may be repeated.' },
  eosTokenIds: {
    is: tokenIds,
    flag: { name: 'eos-token-ids', value: 'ID…' },
    help: "Tokens that end the text, beside the model's own.",
  },
  ignoreEos: { is: toggle, default: false, flag: 'ignore-eos', help: "The model's own end tokens do not end the text." },
  logprobs: {
    is: whole(0),
    flag: 'logprobs',
    help: 'Tell the log probability of each token, and those of the N likeliest in its place.',
  },
  promptLogprobs: {
    is: whole(0),
    flag: 'prompt-logprobs',
    help: 'The same for each token of the prompt; with --max-new-tokens 0 for these alone.',
  },
  constraint: { effect: constraintKind },
  numReturn: beamOptionTable.numReturn,
  seed: { is: seed, default: 0, flag: { name: 'seed', common: true }, help: 'Seed of sampling.' },
  signal: { effect: abortSignal },
} as const satisfies OptionTable<TextOptions>

/** What holds for each of several prompts too. */
export const batchOptionTable = { ...textOptionTable, ...beamOptionTable } as const satisfies OptionTable<BatchOptions>

/** Of a text that is read and nothing else: there is one of each prompt. */
export const writtenOptionTable = (({ numReturn: _, logprobs: __, promptLogprobs: ___, ...rows }) => rows)(batchOptionTable)

/** All of them, in the order of `--help`. */
export const generateOptionTable = {
  ...promptOptionTable,
  ...batchOptionTable,
} as const satisfies OptionTable<GenerateOptions>

export const batchPromptTable = {
  ...promptOptionTable,
  ...withoutDefaults(textOptionTable),
  adapter: { effect: rowAdapters },
} as const satisfies OptionTable<BatchPrompt>

/** The options of a batch with their defaults. */
export type ResolvedBatchOptions = Resolved<BatchOptions, typeof batchOptionTable>

/** The options of one generation with their defaults. */
export type ResolvedGenerateOptions = Resolved<GenerateOptions, typeof generateOptionTable>

function checkLengths({ minNewTokens, maxNewTokens, promptLogprobs }: ResolvedBatchOptions): void {
  if (maxNewTokens === 0 && promptLogprobs === undefined)
    throw new InvalidOptionError(
      'maxNewTokens must be a whole number of at least 1, got 0; it may be 0 where promptLogprobs asks for the prompt alone',
    )
  if (minNewTokens > maxNewTokens)
    throw new InvalidOptionError(`minNewTokens must be at most maxNewTokens (${maxNewTokens}), got ${minNewTokens}`)
}

/** Fills in the defaults. @throws InvalidOptionError naming the option that is unknown, out of range or contradicts another */
export function resolveGenerateOptions(given: GenerateOptions): ResolvedGenerateOptions {
  const resolved = resolveOptions(generateOptionTable, given, 'generate')
  checkTogether(resolved, given)
  return resolved
}

/** Fills in the defaults. @throws InvalidOptionError naming the option that is unknown, out of range or contradicts another */
export function resolveBatchOptions(given: BatchOptions): ResolvedBatchOptions {
  const resolved = resolveOptions(batchOptionTable, given, 'generateBatch')
  checkTogether(resolved, given)
  return resolved
}

function checkTogether(resolved: ResolvedBatchOptions, given: BatchOptions): void {
  checkLengths(resolved)
  checkBeams(resolved, given)
}

/** A row of a batch with all that holds for it. */
export interface ResolvedRow {
  readonly given: Pick<BatchPrompt, PromptOption | 'adapter'>
  readonly options: ResolvedBatchOptions
  /** Ends this row alone. */
  readonly signal: AbortSignal | undefined
}

/**
 * The options of a batch, and its rows, each with its own in place of the batch's.
 * @throws InvalidOptionError naming the row, where it is the row's own option, and the option that is unknown, out of range or contradicts
 * another
 */
export function resolveBatch(
  prompts: readonly BatchPrompt[],
  common: BatchOptions,
): { readonly options: ResolvedBatchOptions; readonly rows: readonly ResolvedRow[] } {
  const shared = resolveBatchOptions(common)
  const rows = prompts.map((prompt, i): ResolvedRow => {
    checkKeys(prompt, batchPromptTable, `generateBatch, prompt ${i}`)
    return inRow(i, () => {
      const given = resolveOptions(batchPromptTable, prompt, 'generateBatch')
      const { signal, ...own } = pickKeys(given, textOptionTable)
      if (signal !== undefined && shared.beams > 1)
        throw new InvalidOptionError(
          'beams are searched together, so that no row has a signal of its own; give one for the batch',
        )
      const options = Object.keys(own).length === 0 ? shared : resolveBatchOptions({ ...common, ...own })
      return { given, options, signal }
    })
  })
  return { options: shared, rows }
}

/** Puts the row before the message of an error. */
function inRow<T>(row: number, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (!(cause instanceof InvalidOptionError)) throw cause
    throw new InvalidOptionError(`prompt ${row}: ${cause.message}`, { cause })
  }
}
