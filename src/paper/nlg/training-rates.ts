/** @file The learning rates of gpt2_ft.py (its optimizer.py), which steps its schedule after every micro-batch. */
import { learningRateAt } from '../../optim/schedule.js'

/** What `--scheduler` takes. */
export const schedulers = ['cosine', 'inv_sqrt', 'dev_perf', 'constant', 'linear', 'cycle'] as const

/** A schedule of gpt2_ft.py. */
export interface Schedule {
  readonly scheduler: (typeof schedulers)[number]
  readonly lr: number
  /** Micro-batches. */
  readonly warmupSteps: number
  /** Micro-batches of the run. */
  readonly maxSteps: number
  /** Of `cycle`: micro-batches, and the rates there. */
  readonly points: readonly (readonly [step: number, rate: number])[]
}

/**
 * Rate of a micro-batch, counted from 0.
 *
 * - `linear`, `constant`: as transformers has them.
 * - `cosine`: half a cosine over the whole run, of which the warm-up hides the beginning: there is a jump where it ends. The
 *   first micro-batch has a rate of 0 in any case.
 * - `cycle`: lines between points; before the first as behind the last the rate of the last, but for the first micro-batch,
 *   which has that of the first.
 * - `inv_sqrt`, `dev_perf`: the script takes these words and makes no schedule of them: always the full rate, without a warm-up.
 */
export function trainingRate(step: number, schedule: Schedule): number {
  const { scheduler, lr, warmupSteps, maxSteps, points } = schedule
  switch (scheduler) {
    case 'linear':
    case 'constant':
      return learningRateAt(step, { name: scheduler, learningRate: lr, warmupSteps, totalSteps: maxSteps })
    case 'cosine':
      if (step === 0) return 0
      return step < warmupSteps
        ? (lr * step) / warmupSteps
        : lr * 0.5 * (1 + Math.cos((Math.PI * Math.min(step, maxSteps)) / maxSteps))
    case 'cycle': {
      if (step === 0) return points[0]![1]
      const next = points.findIndex(([at], i) => i > 0 && step >= points[i - 1]![0] && step < at)
      if (next < 0) return points.at(-1)![1]
      const [[from, before], [to, after]] = [points[next - 1]!, points[next]!]
      const share = (step - from) / (to - from + 1e-6)
      return share * after + (1 - share) * before
    }
    case 'inv_sqrt':
    case 'dev_perf':
      return lr
  }
}
