/** @file How the next token is chosen. */
import { atLeast, kind, number, whole, type Kind } from '../util/option-kinds.js'
import type { OptionTable, Resolved } from '../util/option-table.js'

/** How the next token is chosen. */
export interface SamplingOptions {
  /** 0 takes the likeliest token; above 0 samples, flatter the higher it is. 0 by default. */
  readonly temperature?: number
  /** Sample among the k likeliest tokens. */
  readonly topK?: number
  /** Sample among the likeliest tokens that have this probability together (Holtzman et al., 2020). */
  readonly topP?: number
  /**
   * Sample among the tokens that have at least this share of the likeliest one's probability (Nguyen et al., 2024), after top-k and
   * top-p; from 0 to 1.
   */
  readonly minP?: number
  /** Above 1 makes tokens less likely that the prompt or the text so far holds (Keskar et al., 2019); 1 by default. */
  readonly repetitionPenalty?: number
  /** Taken from the logit of each token that was generated before, once, as OpenAI's API defines it; 0 by default. */
  readonly presencePenalty?: number
  /** Taken from the logit of a token for each time that it was generated before, as OpenAI's API defines it; 0 by default. */
  readonly frequencyPenalty?: number
  /** Added to the logits of tokens, by their ids, before anything else: `{ 50256: -100 }` all but rules one out. */
  readonly logitBias?: Readonly<Record<number, number>>
  /** No n-gram of this many tokens comes twice, the prompt counted in; 0 by default, which allows all. */
  readonly noRepeatNgramSize?: number
  /** Tokens that are generated before one may end the text; a stop string ends it at any length. 0 by default. */
  readonly minNewTokens?: number
}

const finite = number('be a finite number', Number.isFinite)

const isTokenId = (key: string): boolean => /^\d+$/.test(key) && Number.isSafeInteger(Number(key))

const biasByToken: Kind<Readonly<Record<number, number>>, 'mapping'> = kind(
  'mapping',
  'give finite numbers by token id, such as { 50256: -100 }',
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.entries(value).every(([key, bias]) => isTokenId(key) && typeof bias === 'number' && Number.isFinite(bias)),
)

export const samplingOptionTable = {
  temperature: {
    is: atLeast(0),
    default: 0,
    flag: 'temperature',
    help: '0 takes the likeliest token; above 0 samples.',
  },
  topK: { is: whole(1), flag: 'top-k', help: 'Sample among the N likeliest tokens.' },
  topP: {
    is: number('be above 0 and at most 1', (value) => value > 0 && value <= 1, 0),
    flag: 'top-p',
    help: 'Sample among the likeliest tokens that have probability X together.',
  },
  minP: {
    is: number('be from 0 to 1', (value) => value >= 0 && value <= 1, 0),
    flag: 'min-p',
    help: "Sample among the tokens with at least X times the likeliest one's probability.",
  },
  repetitionPenalty: {
    is: number('be above 0', (value) => value > 0 && Number.isFinite(value), 0),
    default: 1,
    flag: 'repetition-penalty',
    help: 'Above 1 makes tokens that were there before less likely.',
  },
  presencePenalty: {
    is: finite,
    default: 0,
    flag: { name: 'presence-penalty', default: null },
    help: 'Taken from the logits of tokens that were generated before. 0 unless given.',
  },
  frequencyPenalty: {
    is: finite,
    default: 0,
    flag: { name: 'frequency-penalty', default: null },
    help: 'Taken from the logits of tokens for each time that they were generated before. 0 unless given.',
  },
  logitBias: {
    is: biasByToken,
    flag: { name: 'logit-bias', value: 'ID=X,…' },
    help: 'Added to the logits of tokens: 50256=-100 all but rules one out.',
  },
  noRepeatNgramSize: {
    is: whole(0),
    default: 0,
    flag: { name: 'no-repeat-ngram-size', default: null },
    help: 'No N tokens in a row come twice, the prompt counted in. 0, unless given, allows all.',
  },
  minNewTokens: {
    is: whole(0),
    default: 0,
    flag: { name: 'min-new-tokens', default: null },
    help: 'Tokens before which no end token comes. 0 unless given.',
  },
} as const satisfies OptionTable<SamplingOptions>

/** The options with their defaults. */
export type Sampling = Resolved<SamplingOptions, typeof samplingOptionTable>
