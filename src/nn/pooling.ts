/** @file Pools over images [batch, channels, height, width]. */
import { InvalidOptionError, ShapeError } from '../errors.js'
import { formatShape, int, ints, type Value } from '../graph/types.js'
import type { ForwardBuilder } from './forward-builder.js'
import { Module } from './module.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'

/** How windows are laid over an image. */
export interface PoolOptions {
  /** The kernel's size by default. */
  readonly stride?: number
  /** Elements before and after each axis; at most half the kernel, 0 where none are given. */
  readonly padding?: number
  /** Whether a last window may reach beyond the padded input. */
  readonly ceilMode?: boolean
}

const poolOptionKeys = { stride: true, padding: true, ceilMode: true } satisfies OptionKeys<PoolOptions>

/** What pools have in common: square windows over inputs [batch, channels, height, width]. */
export abstract class Pool2d extends Module {
  /** Elements from one window to the next. */
  readonly stride: number
  /** Elements before and after each axis. */
  readonly padding: number
  /** Whether a last window may reach beyond the padded input. */
  readonly ceilMode: boolean

  /** @throws InvalidOptionError for sizes that are no positive integers, or padding of more than half the kernel */
  constructor(
    /** Height and width of a window. */
    readonly kernelSize: number,
    options: PoolOptions = {},
  ) {
    super()
    checkKeys(options, poolOptionKeys, new.target.name)
    this.stride = options.stride ?? kernelSize
    this.padding = options.padding ?? 0
    this.ceilMode = options.ceilMode ?? false
    const sizes = [kernelSize, this.stride]
    if (!sizes.every((n) => Number.isSafeInteger(n) && n > 0) || !Number.isSafeInteger(this.padding) || this.padding < 0)
      throw new InvalidOptionError(
        `${new.target.name}: kernel and stride must be positive integers and padding an integer, got ${[...sizes, this.padding].join(', ')}`,
      )
    if (2 * this.padding > kernelSize)
      throw new InvalidOptionError(`${new.target.name}: padding ${this.padding} is more than half of the kernel ${kernelSize}`)
  }

  /** Emits the operator of a pool. */
  protected pool(b: ForwardBuilder, x: Value, op: 'MaxPool' | 'AveragePool', countIncludePad: boolean): Value {
    const { kernelSize: k, stride: s, padding: p } = this
    return b.emit(op, [x], {
      kernel_shape: ints([k, k]),
      strides: ints([s, s]),
      pads: ints([p, p, p, p]),
      ...(this.ceilMode && { ceil_mode: int(1) }),
      ...(countIncludePad && { count_include_pad: int(1) }),
    })
  }
}

/** The largest element of each window. */
export class MaxPool2d extends Pool2d {
  override forward(b: ForwardBuilder, x: Value): Value {
    return this.pool(b, x, 'MaxPool', false)
  }
}

/** The mean of each window; zeros of the padding count, as in PyTorch. */
export class AvgPool2d extends Pool2d {
  override forward(b: ForwardBuilder, x: Value): Value {
    return this.pool(b, x, 'AveragePool', this.padding > 0)
  }
}

/** The mean of each plane: [batch, channels, height, width] to [batch, channels, 1, 1]. */
export class AdaptiveAvgPool2d extends Module {
  /** @throws InvalidOptionError for another size than 1 */
  constructor(
    /** Height and width of the result. */
    readonly outputSize: 1 = 1,
  ) {
    super()
    if (outputSize !== 1)
      throw new InvalidOptionError(
        `AdaptiveAvgPool2d: only an output size of 1 is supported, got ${String(outputSize)}; use AvgPool2d`,
      )
  }

  override forward(b: ForwardBuilder, x: Value): Value {
    if (x.shape?.length !== 4)
      throw new ShapeError(
        `AdaptiveAvgPool2d takes inputs [batch, channels, height, width], got "${x.name}" ${formatShape(x.shape)}`,
      )
    return b.reduceMean(x, [2, 3])
  }
}
