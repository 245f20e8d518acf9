/** @file What loralib's layers share: their options, the scale, the arithmetic of a merge. */
import { InvalidOptionError } from '../errors.js'
import { Module } from './module.js'
import { Parameter } from './parameter.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'

/** loralib's options, in camelCase. */
export interface LoraLayerOptions {
  /** Rank; 0 leaves the layer as it is. */
  readonly r?: number
  /** The branch is scaled by `loraAlpha / r`; 1 by default. */
  readonly loraAlpha?: number
  /** Probability of a zero in the input of the branch while training. */
  readonly loraDropout?: number
  /**
   * Accepted for loralib's sake. There, `eval()` adds the branch to the weight and `train()` subtracts it, which wears the
   * weight out. Here neither changes a tensor; `merge(model)` gives the merged model.
   */
  readonly mergeWeights?: boolean
}

export const loraLayerOptionKeys = {
  ...{ r: true, loraAlpha: true, loraDropout: true, mergeWeights: true },
} satisfies OptionKeys<LoraLayerOptions>

/** A layer that can have a low-rank branch. */
export abstract class LoraLayer extends Module {
  /** Rank of the branch; 0 without one. */
  readonly r: number
  /** The branch is scaled by `loraAlpha / r`. */
  readonly loraAlpha: number
  /** Probability of a zero in the input of the branch while training. */
  readonly loraDropout: number
  /** loralib's option; changes nothing here. */
  readonly mergeWeights: boolean
  /** The frozen weight. */
  abstract weight: Parameter
  /** The first matrix; undefined without a branch. */
  lora_A: Parameter | undefined
  /** The second matrix; undefined without a branch. */
  lora_B: Parameter | undefined

  /** @param known names of the options that the layer has */
  constructor(options: LoraLayerOptions, known: Readonly<Record<string, true>> = loraLayerOptionKeys) {
    super()
    checkKeys(options, known, new.target.name)
    const { r = 0, loraAlpha = 1, loraDropout = 0, mergeWeights = true } = options
    const name = new.target.name
    if (!Number.isSafeInteger(r) || r < 0) throw new InvalidOptionError(`${name}: r must be an integer of at least 0, got ${r}`)
    if (!Number.isFinite(loraAlpha)) throw new InvalidOptionError(`${name}: loraAlpha must be a number, got ${loraAlpha}`)
    if (!(loraDropout >= 0 && loraDropout < 1))
      throw new InvalidOptionError(`${name}: loraDropout must lie in [0, 1), got ${loraDropout}`)
    this.r = r
    this.loraAlpha = loraAlpha
    this.loraDropout = loraDropout
    this.mergeWeights = mergeWeights
  }

  /** alpha / r */
  get scaling(): number {
    return this.loraAlpha / this.r
  }

  /** Whether the layer has a branch. */
  get hasLora(): boolean {
    return this.lora_A !== undefined
  }

  /** What the branch adds to the weight, in the weight's shape, the scale not yet applied. */
  protected abstract delta(lora_A: Float32Array, lora_B: Float32Array): Float64Array

  /** The weight with the branch in it, a new array: W + s·ΔW, summed in float64. */
  mergedWeight(): Float32Array {
    const { lora_A, lora_B, scaling } = this
    const base = this.weight.data
    if (lora_A === undefined || lora_B === undefined) return base.slice()
    const delta = this.delta(lora_A.data, lora_B.data)
    return base.map((w, i) => w + scaling * delta[i]!)
  }

  /** Puts the branch into the weight and drops it. For copies: `merge(model)` calls it on a clone. */
  absorb(): void {
    // A weight that another layer shares must not get this layer's branch.
    const merged = new Parameter(this.weight.shape, this.weight.init)
    merged.data = this.mergedWeight()
    this.weight = merged
    this.lora_A = undefined
    this.lora_B = undefined
  }
}

/** left [rows, inner] · right [inner, columns] in float64. */
export function product(
  left: ArrayLike<number>,
  right: ArrayLike<number>,
  rows: number,
  inner: number,
  columns: number,
): Float64Array {
  const result = new Float64Array(rows * columns)
  for (let i = 0; i < rows; i++)
    for (let k = 0; k < inner; k++) {
      const factor = left[i * inner + k]!
      for (let j = 0; j < columns; j++) result[i * columns + j]! += factor * right[k * columns + j]!
    }
  return result
}

/** @throws InvalidOptionError unless every number is a positive integer */
export function positiveIntegers(layer: string, numbers: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(numbers))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new InvalidOptionError(`${layer}: ${name} must be a positive integer, got ${value}`)
}
