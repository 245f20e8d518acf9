/** @file How the next token is chosen. */
import { atLeast, number, whole } from '../util/option-kinds.js'
import type { OptionTable, Resolved } from '../util/option-table.js'

/** How the next token is chosen. */
export interface SamplingOptions {
  /** 0 takes the likeliest token; above 0 samples, flatter the higher it is. 0 by default. */
  readonly temperature?: number
  /** Sample among the k likeliest tokens. */
  readonly topK?: number
  /** Sample among the likeliest tokens that have this probability together (Holtzman et al., 2020). */
  readonly topP?: number
  /** Above 1 makes tokens less likely that the prompt or the text so far holds (Keskar et al., 2019); 1 by default. */
  readonly repetitionPenalty?: number
  /** No n-gram of this many tokens comes twice, the prompt counted in; 0 by default, which allows all. */
  readonly noRepeatNgramSize?: number
  /** Tokens that are generated before one may end the text; a stop string ends it at any length. 0 by default. */
  readonly minNewTokens?: number
}

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
  repetitionPenalty: {
    is: number('be above 0', (value) => value > 0 && Number.isFinite(value), 0),
    default: 1,
    flag: 'repetition-penalty',
    help: 'Above 1 makes tokens that were there before less likely.',
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
