/** @file Linear layers with LoRA (Hu et al., 2021): a whole one, and one that holds several projections side by side. */
import { InvalidOptionError, ShapeError } from '../errors.js'
import { productOfDims } from '../graph/shapes.js'
import { formatShape, type Value } from '../graph/types.js'
import type { ForwardBuilder } from './forward-builder.js'
import { LoraLayer, loraLayerOptionKeys, positiveIntegers, product, type LoraLayerOptions } from './lora-layer.js'
import { transpose } from '../util/transpose.js'
import { constant, kaiming, Parameter } from './parameter.js'
import type { OptionKeys } from '../util/option-keys.js'

/** Options of a linear layer. */
export interface LinearOptions extends LoraLayerOptions {
  /** Whether there is a bias; true by default. */
  readonly bias?: boolean
  /** Whether the weight is stored [in, out], as GPT-2's Conv1D stores it. */
  readonly fanInFanOut?: boolean
}

const linearOptionKeys = { ...loraLayerOptionKeys, bias: true, fanInFanOut: true } satisfies OptionKeys<LinearOptions>

/** x [.., features] as a matrix, and the way back for a result with other features. */
function asMatrix(b: ForwardBuilder, x: Value, features: number, layer: string): { rows: Value; back: (y: Value) => Value } {
  const { shape } = x
  if (shape === undefined || shape.length < 1 || shape.at(-1) !== features)
    throw new ShapeError(`${layer} takes inputs [.., ${features}], got "${x.name}" ${formatShape(shape)}`)
  const lead = shape.slice(0, -1)
  return {
    rows: b.reshape(x, [productOfDims(lead), features]),
    back: (y) => b.reshape(y, [...lead, y.shape!.at(-1)!]),
  }
}

/** What the linear layers have in common: a frozen weight [out, in], a bias, and LoRA's branch. */
export abstract class LinearLayer extends LoraLayer {
  /** Whether the weight is stored [in, out]. */
  readonly fanInFanOut: boolean
  weight: Parameter
  /** Added to the outputs, [out]; undefined without one. */
  readonly bias: Parameter | undefined

  /** @param frozen whether the weight is kept from training */
  constructor(
    /** Length of the last axis of the input. */
    readonly inFeatures: number,

    /** Length of the last axis of the output. */
    readonly outFeatures: number,
    options: LinearOptions,
    frozen: boolean,
    known: Readonly<Record<string, true>> = linearOptionKeys,
  ) {
    super(options, known)
    positiveIntegers(new.target.name, { inFeatures, outFeatures })
    this.fanInFanOut = options.fanInFanOut ?? false
    const shape = this.fanInFanOut ? [inFeatures, outFeatures] : [outFeatures, inFeatures]
    this.weight = new Parameter(shape, kaiming(inFeatures), !frozen)
    this.bias = (options.bias ?? true) ? new Parameter([outFeatures], kaiming(inFeatures)) : undefined
  }

  override forward(b: ForwardBuilder, x: Value): Value {
    const { rows, back } = asMatrix(b, x, this.inFeatures, this.constructor.name)
    const base = b.gemm(rows, b.parameter(this.weight), {
      transB: !this.fanInFanOut,
      c: this.bias && b.parameter(this.bias),
    })
    if (this.lora_A === undefined || this.lora_B === undefined) return back(base)
    const dropped = this.training ? b.dropout(rows, this.loraDropout) : rows
    const low = b.gemm(dropped, b.parameter(this.lora_A), { transB: true })
    return back(this.addBranch(b, base, low, b.parameter(this.lora_B)))
  }

  /** base + s·low·Bᵀ */
  protected abstract addBranch(b: ForwardBuilder, base: Value, low: Value, lora_B: Value): Value

  /** A delta [out, in] as the weight lies. */
  protected oriented(delta: Float64Array): Float64Array {
    return this.fanInFanOut ? transpose(delta, this.outFeatures, this.inFeatures) : delta
  }
}

/**
 * y = x·Wᵀ + b + s·dropout(x)·Aᵀ·Bᵀ on inputs [.., in].
 *
 * State: `weight` [out, in] ([in, out] with `fanInFanOut`), `bias` [out], `lora_A` [r, in] Kaiming-uniform, `lora_B`
 * [out, r] zero. With r > 0 the weight is frozen.
 */
export class Linear extends LinearLayer {
  /** @throws InvalidOptionError for sizes that are no positive integers */
  constructor(inFeatures: number, outFeatures: number, options: LinearOptions = {}) {
    super(inFeatures, outFeatures, options, (options.r ?? 0) > 0)
    if (this.r === 0) return
    this.lora_A = new Parameter([this.r, inFeatures], kaiming(inFeatures))
    this.lora_B = new Parameter([outFeatures, this.r], constant(0))
  }

  protected override addBranch(b: ForwardBuilder, base: Value, low: Value, lora_B: Value): Value {
    return b.gemm(low, lora_B, { transB: true, alpha: this.scaling, c: base })
  }

  protected override delta(lora_A: Float32Array, lora_B: Float32Array): Float64Array {
    return this.oriented(product(lora_B, lora_A, this.outFeatures, this.r, this.inFeatures))
  }
}

/** Options of several projections in one weight. */
export interface MergedLinearOptions extends LinearOptions {
  /** One truth value for each of the projections that the layer holds; the true ones get a branch of their own. */
  readonly enableLora?: readonly boolean[]
}

const mergedLinearOptionKeys = { ...linearOptionKeys, enableLora: true } satisfies OptionKeys<MergedLinearOptions>

/**
 * Several projections of equal width in one weight (query, key and value of GPT-2), with LoRA on those enabled.
 *
 * State: as `Linear`, but `lora_A` [r·g, in] and `lora_B` [out/n·g, r] hold the g enabled of n projections one after the
 * other: loralib's convolution of g groups. With nothing enabled the layer is plain and its weight trainable.
 * @throws InvalidOptionError if the outputs cannot be divided by the number of projections
 */
export class MergedLinear extends LinearLayer {
  /** Which of the projections have a branch. */
  readonly enableLora: readonly boolean[]

  /** @throws InvalidOptionError if the outputs cannot be divided by the number of projections */
  constructor(inFeatures: number, outFeatures: number, options: MergedLinearOptions = {}) {
    const enableLora = options.enableLora ?? [false]
    super(inFeatures, outFeatures, options, (options.r ?? 0) > 0 && enableLora.includes(true), mergedLinearOptionKeys)
    if (enableLora.length === 0 || outFeatures % enableLora.length !== 0)
      throw new InvalidOptionError(
        `MergedLinear: the ${outFeatures} outputs cannot be divided among the ${enableLora.length} projections of enableLora`,
      )
    this.enableLora = enableLora
    if (this.r === 0 || this.enabled === 0) return
    this.lora_A = new Parameter([this.r * this.enabled, inFeatures], kaiming(inFeatures))
    this.lora_B = new Parameter([this.width * this.enabled, this.r], constant(0))
  }

  private get enabled(): number {
    return this.enableLora.filter(Boolean).length
  }

  private get width(): number {
    return this.outFeatures / this.enableLora.length
  }

  protected override addBranch(b: ForwardBuilder, base: Value, low: Value, lora_B: Value): Value {
    const { r, width, enabled, scaling } = this
    const lows = b.splitEvenly(low, enabled, r, 1)
    const ups = b.splitEvenly(lora_B, enabled, width, 0)
    const zeros = this.enableLora.every(Boolean) ? undefined : b.zeros([low.shape![0]!, width])
    let next = 0
    const parts = this.enableLora.map((enable) => {
      if (!enable) return zeros!
      const at = next++
      return b.gemm(lows[at]!, ups[at]!, { transB: true, alpha: scaling })
    })
    return b.add(base, b.concat(parts, 1))
  }

  protected override delta(lora_A: Float32Array, lora_B: Float32Array): Float64Array {
    const { r, width, inFeatures } = this
    const result = new Float64Array(this.outFeatures * inFeatures)
    let next = 0
    this.enableLora.forEach((enable, slot) => {
      if (!enable) return
      const at = next++
      const A = lora_A.subarray(at * r * inFeatures, (at + 1) * r * inFeatures)
      const B = lora_B.subarray(at * width * r, (at + 1) * width * r)
      result.set(product(B, A, width, r, inFeatures), slot * width * inFeatures)
    })
    return this.oriented(result)
  }
}
