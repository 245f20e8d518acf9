/** @file Normalisation layers. */
import { InvalidOptionError, ShapeError } from '../errors.js'
import { productOfDims } from '../graph/shapes.js'
import { formatShape, type Value } from '../graph/types.js'
import type { ForwardBuilder } from './forward-builder.js'
import { positiveIntegers } from './lora-layer.js'
import { Module } from './module.js'
import { ModuleBuffer, constant, Parameter } from './parameter.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'

/** Options of layers that normalise the last axis. */
export interface NormOptions {
  /** Added to the variance before its root. */
  readonly epsilon?: number
  /** Whether there is a bias; true where it is not given. */
  readonly bias?: boolean
}

const normOptionKeys = { epsilon: true, bias: true } satisfies OptionKeys<NormOptions>

/** Normalisation over the last axis (Ba et al., 2016). State: `weight`, `bias` [features]. */
export class LayerNorm extends Module {
  /** Added to the variance before its root. */
  readonly epsilon: number
  /** Factor of each feature, [features]. */
  readonly weight: Parameter
  /** Added to each feature, [features]. */
  readonly bias: Parameter | undefined

  /** A layer with weight 1 and bias 0. */
  constructor(
    /** Length of the last axis. */
    readonly features: number,
    options: NormOptions = {},
  ) {
    super()
    checkKeys(options, normOptionKeys, 'LayerNorm')
    positiveIntegers('LayerNorm', { features })
    this.epsilon = options.epsilon ?? 1e-5
    this.weight = new Parameter([features], constant(1))
    this.bias = (options.bias ?? true) ? new Parameter([features], constant(0)) : undefined
  }

  override forward(b: ForwardBuilder, x: Value): Value {
    return b.layerNormalization(x, b.parameter(this.weight), this.bias && b.parameter(this.bias), this.epsilon)
  }
}

/** x / √(mean x² + ε) · weight over the last axis (Zhang and Sennrich, 2019). State: `weight` [features]. */
export class RMSNorm extends Module {
  /** Added to the mean square before its root. */
  readonly epsilon: number
  /** Factor of each feature, [features]. */
  readonly weight: Parameter

  /** A layer with weight 1. */
  constructor(
    /** Length of the last axis. */
    readonly features: number,
    options: Pick<NormOptions, 'epsilon'> = {},
  ) {
    super()
    checkKeys(options, { epsilon: true }, 'RMSNorm')
    positiveIntegers('RMSNorm', { features })
    // PyTorch's default is the resolution of the element type.
    this.epsilon = options.epsilon ?? 2 ** -23
    this.weight = new Parameter([features], constant(1))
  }

  override forward(b: ForwardBuilder, x: Value): Value {
    return b.rmsNormalization(x, b.parameter(this.weight), this.epsilon)
  }
}

/** Options of batch normalisation. */
export interface BatchNormOptions {
  /** Added to the variance before its root; 1e-5 where it is not given. */
  readonly epsilon?: number
  /** Weight of a new batch in the running statistics; 0.1 by default. */
  readonly momentum?: number
}

const batchNormOptionKeys = { epsilon: true, momentum: true } satisfies OptionKeys<BatchNormOptions>

/**
 * Batch normalisation of images [batch, channels, height, width] (Ioffe and Szegedy, 2015).
 *
 * In training mode with the statistics of the batch, which then enter the running ones (the variance unbiased, as in
 * PyTorch); in evaluation mode with the running ones. To adapt a pretrained network, keep it in evaluation mode while the
 * rest trains. State: `weight`, `bias`, `running_mean`, `running_var` [channels], `num_batches_tracked` [].
 */
export class BatchNorm2d extends Module {
  /** Added to the variance before its root. */
  readonly epsilon: number
  /** Weight of a new batch in the running statistics. */
  readonly momentum: number
  /** Factor of each channel, [channels]. */
  readonly weight: Parameter
  /** Added to each channel, [channels]. */
  readonly bias: Parameter
  /** Mean of each channel over the batches so far, [channels]. */
  readonly running_mean: ModuleBuffer
  /** Variance of each channel over the batches so far, [channels]. */
  readonly running_var: ModuleBuffer
  /** Batches so far, []. */
  readonly num_batches_tracked: ModuleBuffer

  /**
   * A layer with weight 1, bias 0, mean 0 and variance 1.
   * @throws InvalidOptionError for a momentum outside of [0, 1]
   */
  constructor(
    /** Length of the second axis. */
    readonly channels: number,
    options: BatchNormOptions = {},
  ) {
    super()
    checkKeys(options, batchNormOptionKeys, 'BatchNorm2d')
    positiveIntegers('BatchNorm2d', { channels })
    this.epsilon = options.epsilon ?? 1e-5
    this.momentum = options.momentum ?? 0.1
    if (!(this.momentum >= 0 && this.momentum <= 1))
      throw new InvalidOptionError(`BatchNorm2d: momentum must lie in [0, 1], got ${this.momentum}`)
    this.weight = new Parameter([channels], constant(1))
    this.bias = new Parameter([channels], constant(0))
    this.running_mean = new ModuleBuffer('float32', [channels], new Float32Array(channels))
    this.running_var = new ModuleBuffer('float32', [channels], new Float32Array(channels).fill(1))
    // Checkpoints before PyTorch 0.4.1 lack it.
    this.num_batches_tracked = new ModuleBuffer('int64', [], new BigInt64Array(1), true)
  }

  override forward(b: ForwardBuilder, x: Value): Value {
    const { channels } = this
    if (x.shape?.length !== 4 || x.shape[1] !== channels)
      throw new ShapeError(
        `BatchNorm2d takes inputs [batch, ${channels}, height, width], got "${x.name}" ${formatShape(x.shape)}`,
      )
    const plane = (v: Value): Value => b.reshape(v, [channels, 1, 1])
    const [mean, variance] = this.training
      ? this.batchStatistics(b, x)
      : [plane(b.buffer(this.running_mean)), plane(b.buffer(this.running_var))]
    const factor = b.div(plane(b.parameter(this.weight)), b.sqrt(b.add(variance, this.epsilon)))
    return b.add(b.mul(b.sub(x, mean), factor), plane(b.parameter(this.bias)))
  }

  /** Mean and variance of the batch, [1, channels, 1, 1]; both enter the running statistics. */
  private batchStatistics(b: ForwardBuilder, x: Value): [Value, Value] {
    const axes = [0, 2, 3]
    const mean = b.reduceMean(x, axes)
    const centred = b.sub(x, mean)
    const variance = b.reduceMean(b.mul(centred, centred), axes)
    const [n, , height, width] = x.shape!
    const count = b.cast(b.dim(productOfDims([n!, height!, width!])), 'float32')
    const unbiased = b.mul(variance, b.div(count, b.sub(count, 1)))
    const mix = (buffer: ModuleBuffer, value: Value): void =>
      b.update(buffer, b.add(b.mul(b.buffer(buffer), 1 - this.momentum), b.mul(b.reshape(value, [this.channels]), this.momentum)))
    mix(this.running_mean, mean)
    mix(this.running_var, unbiased)
    b.update(this.num_batches_tracked, b.add(b.buffer(this.num_batches_tracked), 1))
    return [mean, variance]
  }
}
