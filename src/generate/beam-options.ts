/** @file What a beam search can be told. */
import { InvalidOptionError } from '../errors.js'
import { choice, kind, number, whole, type Kind } from '../util/option-kinds.js'
import type { OptionTable, Resolved } from '../util/option-table.js'

/** Options of a beam search. */
export interface BeamOptions {
  /** Beams of a beam search, 1 by default, which is none. */
  readonly beams?: number
  /**
   * Whose rules hold: `transformers` by default, those of its `generate(num_beams)`; `loralib` are those of gpt2_beam.py
   * (microsoft/LoRA), with which the figures of the LoRA paper were made. That search gives one text, knows no stop strings, lets
   * `noRepeatNgramSize` and `repetitionPenalty` look at what was generated alone, and goes on while any text can beat the best.
   */
  readonly beamStyle?: 'transformers' | 'loralib'
  /**
   * A finished text counts with log p / length^lengthPenalty, its end token included: above 0 favours longer texts; 1 by
   * default.
   */
  readonly lengthPenalty?: number
  /**
   * When to stop: true as soon as there are as many finished texts as beams; false, by default, when none of the beams is
   * likely to beat them; `never` only when none can.
   */
  readonly earlyStopping?: boolean | 'never'
  /**
   * Texts to give of each prompt, 1 by default: of a beam search the best, at most `beams`; sampled ones have seeds of their own, `seed`,
   * `seed + 1`, …, and are what those seeds give alone.
   */
  readonly numReturn?: number
}

const earlyStopping: Kind<boolean | 'never', 'text'> = {
  ...kind('text', 'be true, false or "never"', (value) => value === 'never' || typeof value === 'boolean'),
  choices: ['true', 'false', 'never'],
}

export const beamOptionTable = {
  beams: { is: whole(1), default: 1, flag: 'beams', help: 'Beams of a beam search; 1 is none.' },
  beamStyle: {
    is: choice(['transformers', 'loralib']),
    default: 'transformers',
    flag: { name: 'beam-style', default: null },
    help: "Whose rules a beam search has: transformers', unless given, or those of gpt2_beam.py (microsoft/LoRA).",
  },
  lengthPenalty: {
    is: number('be a finite number', Number.isFinite),
    default: 1,
    flag: { name: 'length-penalty', default: null },
    help: 'Of a beam search: above 0 favours longer texts. 1 unless given.',
  },
  earlyStopping: {
    is: earlyStopping,
    default: false,
    flag: {
      name: 'early-stopping',
      read: (text: 'true' | 'false' | 'never') => (text === 'never' ? text : text === 'true'),
    },
    help: 'When a beam search ends: with as many finished texts as beams; when better ones are unlikely (false, unless given); or impossible.',
  },
  numReturn: {
    is: whole(1),
    default: 1,
    flag: { name: 'num-return', default: null },
    help: 'Texts of each prompt: the best of a beam search, or sampled with seeds from --seed on. 1 unless given.',
  },
} as const satisfies OptionTable<BeamOptions>

/** The options with their defaults. */
export type Beams = Resolved<BeamOptions, typeof beamOptionTable>

/** What is about single tokens as they are drawn, which a beam search does not do. */
interface Drawing {
  readonly temperature: number
  readonly topK?: number | undefined
  readonly topP?: number | undefined
  readonly minP?: number | undefined
}

/**
 * @param given which of them the caller has given, whatever their value
 * @throws InvalidOptionError naming the option that has no meaning with or without a beam search
 */
export function checkBeams(
  { beams, beamStyle, numReturn, temperature, topK, topP, minP }: Beams & Drawing,
  given: BeamOptions & {
    readonly stop?: unknown
    readonly constraint?: unknown
    readonly logprobs?: unknown
    readonly promptLogprobs?: unknown
  },
): void {
  if (numReturn > 1 && beams === 1 && temperature === 0)
    throw new InvalidOptionError(
      `numReturn ${numReturn} would give the same text ${numReturn} times: sample, with a temperature above 0, or search with as many beams`,
    )
  if (beams === 1) {
    const alone = (['beamStyle', 'lengthPenalty', 'earlyStopping'] as const).find((name) => given[name] !== undefined)
    if (alone !== undefined) throw new InvalidOptionError(`${alone} belongs to a beam search: set beams to at least 2`)
    return
  }
  if (numReturn > beams)
    throw new InvalidOptionError(`numReturn must be a whole number from 1 to the number of beams (${beams}), got ${numReturn}`)
  const told = (['logprobs', 'promptLogprobs'] as const).find((name) => given[name] !== undefined)
  if (told !== undefined)
    throw new InvalidOptionError(
      `${told} tells of single tokens, and a beam search (beams ${beams}) of whole texts, by their score; leave out one of the two`,
    )
  if (given.constraint !== undefined)
    throw new InvalidOptionError(
      `a constraint follows one text, and a beam search (beams ${beams}) weighs many; leave out one of the two`,
    )
  if (beamStyle === 'loralib') {
    const unread = (['earlyStopping', 'numReturn', 'stop'] as const).find((name) => given[name] !== undefined)
    if (unread !== undefined)
      throw new InvalidOptionError(
        `${unread} is not of the beam search of style "loralib", which goes on to the last token and gives the best text; leave it out, or take beamStyle "transformers"`,
      )
  }
  const [drawn] =
    Object.entries({ temperature: temperature || undefined, topK, topP, minP }).find(([, v]) => v !== undefined) ?? []
  if (drawn !== undefined)
    throw new InvalidOptionError(`${drawn} samples, and a beam search (beams ${beams}) does not: leave out one of the two`)
}
