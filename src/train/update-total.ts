/** @file What the micro-batches of an update add up to, and what their sum is divided by. */
import type { GradientResult } from './gradient-session.js'
import type { TrainOptions } from './options.js'

/**
 * Losses and gradients of micro-batches, added up. Their mean is over all that they count, or each is divided by what it
 * counts first, and the mean is one of means.
 */
export class UpdateTotal {
  /** To be divided by `count`. */
  loss = 0
  /** What loss and gradient are to be divided by. */
  count = 0
  /** To be divided by `count`; undefined before the first micro-batch. */
  gradient: Float32Array | undefined

  constructor(private readonly mean: NonNullable<TrainOptions['lossMean']>) {}

  /** Takes the gradient for its own. */
  add({ loss, count, gradient }: Pick<GradientResult, 'loss' | 'count' | 'gradient'>): void {
    const scale = this.mean === 'update' ? 1 : 1 / count
    this.loss += loss * scale
    this.count += count * scale
    if (scale !== 1) for (let i = 0; i < gradient.length; i++) gradient[i]! *= scale
    if (this.gradient === undefined) this.gradient = gradient
    else for (let i = 0; i < gradient.length; i++) this.gradient[i]! += gradient[i]!
  }
}
