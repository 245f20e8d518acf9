/** @file Learning-rate schedules, as transformers' `get_scheduler` defines them. */

/** How the learning rate changes after the warm-up: not at all, linearly to 0, or along half a cosine to 0. */
export type ScheduleName = 'constant' | 'linear' | 'cosine'

export const scheduleNames: readonly ScheduleName[] = ['constant', 'linear', 'cosine']

export interface ScheduleOptions {
  readonly name: ScheduleName
  /** Peak learning rate. */
  readonly learningRate: number
  readonly warmupSteps: number
  readonly totalSteps: number
}

/**
 * Learning rate of a step, counted from 0: rises linearly over `warmupSteps`, then stays (`constant`), falls to zero
 * in a line (`linear`) or along half a cosine (`cosine`; Loshchilov and Hutter, 2017).
 */
export function learningRateAt(step: number, { name, learningRate, warmupSteps, totalSteps }: ScheduleOptions): number {
  if (step < warmupSteps) return (learningRate * step) / Math.max(1, warmupSteps)
  const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps)
  switch (name) {
    case 'constant':
      return learningRate
    case 'linear':
      return learningRate * Math.max(0, 1 - progress)
    case 'cosine':
      return learningRate * Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)))
  }
}
