/** @file Learning-rate schedules, as transformers' `get_scheduler` defines them, and one of the user's own points. */
import { InvalidOptionError } from '../errors.js'

/**
 * How the learning rate changes after the warm-up: not at all, linearly to 0, along half a cosine to 0, as one over the root
 * of the step; or in lines between given points, without a warm-up.
 */
export type ScheduleName = 'constant' | 'linear' | 'cosine' | 'inverse_sqrt' | 'piecewise'

export const scheduleNames: readonly ScheduleName[] = ['constant', 'linear', 'cosine', 'inverse_sqrt', 'piecewise']

/** Factors of the learning rate by the step, counted from 0, that has them. */
export type SchedulePoints = Readonly<Record<number, number>>

export interface ScheduleOptions {
  readonly name: ScheduleName
  /** Peak learning rate. */
  readonly learningRate: number
  readonly warmupSteps: number
  readonly totalSteps: number
  /** Of `piecewise`. */
  readonly points?: SchedulePoints | undefined
}

/** Steps that `inverse_sqrt` takes for those of a warm-up where there is none, as in transformers. */
const DEFAULT_TIMESCALE = 10_000

/**
 * Learning rate of a step, counted from 0: rises linearly over `warmupSteps`, then stays (`constant`), falls to zero
 * in a line (`linear`) or along half a cosine (`cosine`; Loshchilov and Hutter, 2017), or as √(w/step) with w the steps of
 * the warm-up (`inverse_sqrt`; Vaswani et al., 2017). `piecewise` runs in lines between its points, and stays what it is
 * at the first before it and at the last after it.
 * @throws InvalidOptionError for `piecewise` without points
 */
export function learningRateAt(step: number, { name, learningRate, warmupSteps, totalSteps, points }: ScheduleOptions): number {
  if (name === 'piecewise') return learningRate * factorAt(step, points ?? {})
  if (step < warmupSteps) return (learningRate * step) / Math.max(1, warmupSteps)
  const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps)
  switch (name) {
    case 'constant':
      return learningRate
    case 'linear':
      return learningRate * Math.max(0, 1 - progress)
    case 'cosine':
      return learningRate * Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)))
    case 'inverse_sqrt': {
      const timescale = warmupSteps === 0 ? DEFAULT_TIMESCALE : warmupSteps
      return learningRate / Math.sqrt((step + timescale - warmupSteps) / timescale)
    }
  }
}

function factorAt(step: number, points: SchedulePoints): number {
  const known = Object.entries(points)
    .map(([at, factor]) => [Number(at), factor] as const)
    .sort(([a], [b]) => a - b)
  if (known.length === 0) throw new InvalidOptionError('schedule "piecewise" needs points')
  const next = known.findIndex(([at]) => at > step)
  if (next <= 0) return known.at(next)![1]
  const [[from, before], [to, after]] = [known[next - 1]!, known[next]!]
  return before + ((after - before) * (step - from)) / (to - from)
}
