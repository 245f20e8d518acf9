/** @file Tensors of several adapters as one, number by number: PEFT's `merge_utils`. */
import { keepLargest, keepSome } from './prune.js'

/** How numbers are left out, and how what is left becomes one. */
export type TensorRule = 'linear' | 'ties' | 'dare_linear' | 'dare_ties' | 'magnitude_prune'

/** How the sign of a number is elected: by the sum, or by the number of adapters. */
export type MajoritySignMethod = 'total' | 'frequency'

export interface TensorRuleOptions {
  /** Share of the numbers that stay, in (0, 1]. */
  readonly density: number
  readonly majoritySignMethod: MajoritySignMethod
  /** For `dare_*`: whether the next number of the n-th tensor stays. */
  readonly keep: (tensor: number) => boolean
}

/** Σ weight·tensor */
export function weightedSum(tensors: readonly Float32Array[], weights: readonly number[]): Float32Array {
  const sum = new Float64Array(tensors[0]!.length)
  tensors.forEach((tensor, t) => tensor.forEach((value, i) => (sum[i]! += value * weights[t]!)))
  return Float32Array.from(sum)
}

/**
 * TIES (Yadav et al., 2023): at every place the sign with the larger sum (or of more tensors) is elected, and the weighted
 * numbers of that sign are averaged. Signs are elected before weights count, and 0 elects plus, as in PEFT.
 */
export function disjointMean(
  tensors: readonly Float32Array[],
  weights: readonly number[],
  method: MajoritySignMethod,
): Float32Array {
  return Float32Array.from(tensors[0]!, (_, i) => {
    let vote = 0
    for (const tensor of tensors) vote += method === 'total' ? tensor[i]! : Math.sign(tensor[i]!)
    const elected = vote >= 0 ? 1 : -1
    let sum = 0
    let count = 0
    tensors.forEach((tensor, t) => {
      if (Math.sign(tensor[i]!) !== elected) return
      sum += tensor[i]! * weights[t]!
      count++
    })
    return sum / Math.max(count, 1)
  })
}

/** Tensors of the same shape as one. */
export function mergeTensors(
  rule: TensorRule,
  tensors: readonly Float32Array[],
  weights: readonly number[],
  { density, majoritySignMethod, keep }: TensorRuleOptions,
): Float32Array {
  const left = tensors.map((tensor, t) => {
    if (rule === 'linear') return tensor
    return rule === 'ties' || rule === 'magnitude_prune' ? keepLargest(tensor, density) : keepSome(tensor, density, () => keep(t))
  })
  return rule === 'ties' || rule === 'dare_ties' ? disjointMean(left, weights, majoritySignMethod) : weightedSum(left, weights)
}
