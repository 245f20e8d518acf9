/** @file The numbers of served branches: what one adapter does to a layer, and several as one. */
import { float32 } from '../../graph/constants.js'
import type { TargetModule } from '../../graph/target-module.js'
import { elementCount, type HostTensor } from '../../graph/types.js'
import { loraShapes } from '../branch.js'

/** What one adapter does to one layer: y + rescale ⊙ (y − bias) + B·A·x + shift. */
export interface ServedBranch {
  readonly module: TargetModule
  readonly r: number
  /** [r, in], or as PEFT stores it for other kinds of layers */
  readonly A: Float32Array
  /** [out, r], with scale and magnitude in it */
  readonly B: Float32Array
  /** f − 1 of DoRA, [out] */
  readonly rescale?: Float32Array
  /** [out] */
  readonly shift?: Float32Array
}

/** A branch and what it counts. */
export interface WeightedBranch {
  readonly branch: ServedBranch
  readonly weight: number
}

const shaped = (shape: readonly unknown[], data: Float32Array): HostTensor => float32(shape as number[], data)

const scaled = (values: Float32Array, factor: number): Float32Array => (factor === 1 ? values : values.map((x) => x * factor))

/** A branch that adds nothing. Its rank is the smallest that a layer with groups can have. */
export function zeroBranch(module: TargetModule): ServedBranch {
  const r = module.convolution?.groups ?? 1
  const { A, B } = loraShapes(module, r)
  const zeros = (shape: readonly unknown[]): Float32Array => new Float32Array(elementCount(shape as number[]))
  return { module, r, A: zeros(A), B: zeros(B) }
}

/**
 * Several branches of a layer as one: A of all one over the other, B side by side, so that B·A is the weighted sum.
 * A single branch of weight 1 is not copied.
 */
export function joinBranches(branches: readonly WeightedBranch[]): { readonly A: HostTensor; readonly B: HostTensor } {
  const { module } = branches[0]!.branch
  const r = branches.reduce((sum, { branch }) => sum + branch.r, 0)
  const shapes = loraShapes(module, r)
  const [only, ...more] = branches
  if (more.length === 0) return { A: shaped(shapes.A, only!.branch.A), B: shaped(shapes.B, scaled(only!.branch.B, only!.weight)) }
  const groups = module.convolution?.groups ?? 1
  const { outFeatures } = module
  const width = branches[0]!.branch.A.length / branches[0]!.branch.r
  const A = new Float32Array(r * width)
  const B = new Float32Array((outFeatures * r) / groups)
  let at = 0
  // Of a grouped layer, each group reads its own rows of A: they stay together.
  for (let group = 0; group < groups; group++)
    for (const { branch } of branches) {
      const size = (branch.r / groups) * width
      A.set(branch.A.subarray(group * size, (group + 1) * size), at)
      at += size
    }
  let column = 0
  for (const { branch, weight } of branches) {
    const inner = branch.r / groups
    for (let row = 0; row < outFeatures; row++)
      for (let k = 0; k < inner; k++) B[(row * r) / groups + column + k] = branch.B[row * inner + k]! * weight
    column += inner
  }
  return { A: shaped(shapes.A, A), B: shaped(shapes.B, B) }
}

/** The weighted sum of vectors that only some branches have, [out]. */
export function sumOfVectors(branches: readonly WeightedBranch[], which: 'rescale' | 'shift', length: number): Float32Array {
  const sum = new Float32Array(length)
  for (const { branch, weight } of branches) branch[which]?.forEach((x, i) => (sum[i]! += weight * x))
  return sum
}
