/** @file What a beam search can be told. */
import { InvalidOptionError } from '../errors.js'
import { kind, number, whole, type Kind } from '../util/option-kinds.js'
import type { OptionTable, Resolved } from '../util/option-table.js'
import type { Sampling } from './sampling-options.js'

/** Options of a beam search. */
export interface BeamOptions {
  /** Beams of a beam search, 1 by default, which is none. */
  readonly beams?: number
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
  /** Texts to give, best first; 1 by default, and at most `beams`. */
  readonly numReturn?: number
}

const earlyStopping: Kind<boolean | 'never', 'text'> = {
  ...kind('text', 'be true, false or "never"', (value) => value === 'never' || typeof value === 'boolean'),
  choices: ['true', 'false', 'never'],
}

export const beamOptionTable = {
  beams: { is: whole(1), default: 1, flag: 'beams', help: 'Beams of a beam search; 1 is none.' },
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
  numReturn: { is: whole(1), default: 1, flag: null, help: 'Texts that a beam search gives, best first.' },
} as const satisfies OptionTable<BeamOptions>

/** The options with their defaults. */
export type Beams = Resolved<BeamOptions, typeof beamOptionTable>

/**
 * @param given which of them the caller has given, whatever their value
 * @throws InvalidOptionError naming the option that has no meaning with or without a beam search
 */
export function checkBeams({ beams, numReturn, temperature, topK, topP }: Beams & Sampling, given: BeamOptions): void {
  if (numReturn > beams)
    throw new InvalidOptionError(`numReturn must be a whole number from 1 to the number of beams (${beams}), got ${numReturn}`)
  if (beams === 1) {
    const alone = (['lengthPenalty', 'earlyStopping'] as const).find((name) => given[name] !== undefined)
    if (alone !== undefined) throw new InvalidOptionError(`${alone} belongs to a beam search: set beams to at least 2`)
    return
  }
  const [drawn] = Object.entries({ temperature: temperature || undefined, topK, topP }).find(([, v]) => v !== undefined) ?? []
  if (drawn !== undefined)
    throw new InvalidOptionError(`${drawn} samples, and a beam search (beams ${beams}) does not: leave out one of the two`)
}
