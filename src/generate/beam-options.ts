/** @file What a beam search can be told. */
import { InvalidOptionError } from '../errors.js'
import type { SamplingOptions } from './sampling.js'
import type { OptionKeys } from '../util/option-keys.js'

/** Options of a beam search. */
export interface BeamOptions {
  /** Beams of a beam search; 1, which is none, unless said. */
  readonly beams?: number
  /**
   * A finished text counts with log p / length^lengthPenalty, its end token included: above 0 favours longer texts; 1 unless
   * said.
   */
  readonly lengthPenalty?: number
  /**
   * When to stop: true as soon as there are as many finished texts as beams; false, unless said, when none of the beams is
   * likely to beat them; `never` only when none can.
   */
  readonly earlyStopping?: boolean | 'never'
  /** Texts to give, best first; 1 unless said, and at most `beams`. */
  readonly numReturn?: number
}

export const beamOptionKeys = {
  ...{ beams: true, lengthPenalty: true, earlyStopping: true, numReturn: true },
} satisfies OptionKeys<BeamOptions>

/** @throws InvalidOptionError naming the option that is out of range, or that has no meaning with or without a beam search */
export function checkBeams({
  beams = 1,
  lengthPenalty,
  earlyStopping,
  numReturn,
  ...sampling
}: BeamOptions & SamplingOptions): void {
  if (!Number.isInteger(beams) || beams < 1)
    throw new InvalidOptionError(`beams must be a whole number of at least 1, got ${beams}`)
  if (lengthPenalty !== undefined && !Number.isFinite(lengthPenalty))
    throw new InvalidOptionError(`lengthPenalty must be a finite number, got ${lengthPenalty}`)
  if (earlyStopping !== undefined && earlyStopping !== 'never' && typeof earlyStopping !== 'boolean')
    throw new InvalidOptionError(`earlyStopping must be true, false or "never", got ${JSON.stringify(earlyStopping)}`)
  if (numReturn !== undefined && !(Number.isInteger(numReturn) && numReturn >= 1 && numReturn <= beams))
    throw new InvalidOptionError(`numReturn must be a whole number from 1 to the number of beams (${beams}), got ${numReturn}`)
  if (beams === 1) {
    const [alone] = Object.entries({ lengthPenalty, earlyStopping }).find(([, value]) => value !== undefined) ?? []
    if (alone !== undefined) throw new InvalidOptionError(`${alone} belongs to a beam search: set beams to at least 2`)
    return
  }
  const { temperature = 0, topK, topP } = sampling
  const [drawn] = Object.entries({ temperature: temperature || undefined, topK, topP }).find(([, v]) => v !== undefined) ?? []
  if (drawn !== undefined)
    throw new InvalidOptionError(`${drawn} samples, and a beam search (beams ${beams}) does not: leave out one of the two`)
}
