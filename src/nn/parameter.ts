/** @file What a layer holds: parameters that may be trained, and buffers that are only kept. */
import { InvalidOptionError, ShapeError } from '../errors.js'
import { elementCount, type DType, type HostTensor, type TypedArray } from '../graph/types.js'
import type { Random } from '../util/rng.js'

/** First values of a parameter of `count` elements. */
export type InitFunction = (random: Random, count: number) => Float32Array

/**
 * Every element the same.
 * @example
 * new Parameter([8], constant(1))
 */
export const constant =
  (value: number): InitFunction =>
  (_, count) =>
    new Float32Array(count).fill(value)

/** N(0, 1), as `torch.nn.init.normal_`. */
export const normal: InitFunction = (random, count) => Float32Array.from({ length: count }, () => random.normal())

/**
 * U(−1/√fanIn, 1/√fanIn): Kaiming-uniform with a = √5 (He et al., 2015), what PyTorch gives every linear layer.
 * @example
 * new Parameter([8, 16], kaiming(16)) // a weight [out, in]
 */
export const kaiming =
  (fanIn: number): InitFunction =>
  (random, count) => {
    const bound = 1 / Math.sqrt(fanIn)
    return Float32Array.from({ length: count }, () => random.uniform(-bound, bound))
  }

/**
 * A float32 tensor of a layer. It has no values until `initialize` or `loadStateDict` gives them: both know the layer's
 * path, which is what makes two equal layers start with different numbers.
 */
export class Parameter {
  /** Parameters are float32. */
  readonly dtype = 'float32'
  private values: Float32Array | undefined

  /**
   * @param shape lengths of its axes
   * @param init first values
   * @param requiresGrad whether training changes it
   */
  constructor(
    /** Lengths of its axes. */
    readonly shape: readonly number[],

    /** First values. */
    readonly init: InitFunction,

    /** Whether training changes it. */
    public requiresGrad = true,
  ) {
    if (!shape.every((d) => Number.isSafeInteger(d) && d > 0))
      throw new InvalidOptionError(`a parameter's lengths must be positive integers, got [${shape.join(', ')}]`)
  }

  /** Number of elements. */
  get size(): number {
    return elementCount(this.shape)
  }

  /** Whether it has values. */
  get initialized(): boolean {
    return this.values !== undefined
  }

  /** The values, row-major. @throws InvalidOptionError before they are initialised or loaded */
  get data(): Float32Array {
    if (this.values === undefined)
      throw new InvalidOptionError(
        `a parameter of shape [${this.shape.join(', ')}] has no values yet: call initialize(model) or loadStateDict(model, …)`,
      )
    return this.values
  }

  /** Replaces the values; the array is kept, not copied. @throws ShapeError for another number of elements */
  set data(values: Float32Array) {
    if (values.length !== this.size)
      throw new ShapeError(`a parameter of shape [${this.shape.join(', ')}] takes ${this.size} values, got ${values.length}`)
    this.values = values
  }

  /** Gives the first values anew. */
  reset(random: Random): void {
    this.values = this.init(random, this.size)
  }
}

/** A tensor that belongs to a layer's state and is never trained: running statistics, counters. */
export class ModuleBuffer {
  private values: TypedArray

  /**
   * @param values first values
   * @param optional whether a checkpoint may lack it
   */
  constructor(
    /** Element type. */
    readonly dtype: DType,

    /** Lengths of its axes. */
    readonly shape: readonly number[],
    values: TypedArray,

    /** Whether a checkpoint may lack it. */
    readonly optional = false,
  ) {
    this.values = values
  }

  /** The values, row-major. */
  get data(): TypedArray {
    return this.values
  }

  /** @throws ShapeError for another number of elements */
  set data(values: TypedArray) {
    if (values.length !== this.values.length)
      throw new ShapeError(
        `a buffer of shape [${this.shape.join(', ')}] takes ${this.values.length} values, got ${values.length}`,
      )
    this.values = values
  }

  /** The values with their type and shape. */
  get tensor(): HostTensor {
    return { dtype: this.dtype, shape: this.shape, data: this.values }
  }
}
