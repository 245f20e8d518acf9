/** @file The numbers of served branches: several adapters as one branch, and all of them stacked for mixed batches. */
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

/**
 * The branches of a layer one after the other, ranks filled up with zeros: A [adapters, r, in] and B [adapters, out, r];
 * of an embedding A is transposed, [adapters, vocabulary, r]. An adapter without a branch is zeros.
 */
export function stackBranches(
  module: TargetModule,
  branches: readonly (WeightedBranch | undefined)[],
): { readonly A: HostTensor; readonly B: HostTensor } {
  const { inFeatures, outFeatures } = module
  const r = Math.max(1, ...branches.map((b) => b?.branch.r ?? 0))
  const A = new Float32Array(branches.length * r * inFeatures)
  const B = new Float32Array(branches.length * r * outFeatures)
  const table = module.kind === 'Embedding'
  branches.forEach((entry, i) => {
    if (entry === undefined) return
    const { branch, weight } = entry
    const start = i * r * inFeatures
    if (!table) A.set(branch.A, start)
    else
      for (let k = 0; k < branch.r; k++)
        for (let token = 0; token < inFeatures; token++) A[start + token * r + k] = branch.A[k * inFeatures + token]!
    for (let row = 0; row < outFeatures; row++)
      for (let k = 0; k < branch.r; k++) B[(i * outFeatures + row) * r + k] = branch.B[row * branch.r + k]! * weight
  })
  return {
    A: shaped(table ? [branches.length, inFeatures, r] : [branches.length, r, inFeatures], A),
    B: shaped([branches.length, outFeatures, r], B),
  }
}

/** Vectors of a layer one after the other, [adapters, out]. */
export function stackVectors(
  branches: readonly (WeightedBranch | undefined)[],
  which: 'rescale' | 'shift',
  length: number,
): HostTensor {
  const data = new Float32Array(branches.length * length)
  branches.forEach((entry, i) => entry && data.set(sumOfVectors([entry], which, length), i * length))
  return float32([branches.length, length], data)
}
