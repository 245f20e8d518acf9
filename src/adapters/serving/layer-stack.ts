/**
 * @file The branches of one layer of several combinations of adapters, one after the other, ranks filled up with zeros: A [combinations,
 * r, in] and B [combinations, out, r]; of an embedding A is transposed, [combinations, vocabulary, r]. One without a branch is zeros.
 */
import { float32 } from '../../graph/constants.js'
import type { HostTensor } from '../../graph/types.js'
import type { WeightedBranch } from './branch-tensors.js'
import type { ServedLora } from './served-lora.js'

export interface LayerStack {
  readonly part: ServedLora
  readonly r: number
  readonly A: Float32Array
  readonly B: Float32Array
  /** [combinations, out] */
  readonly rescale: Float32Array | undefined
  readonly shift: Float32Array | undefined
  /** The same as the graph's inputs. */
  readonly tensors: readonly (readonly [name: string, tensor: HostTensor])[]
}

/** @param count of combinations */
export function emptyLayerStack(part: ServedLora, count: number, r: number): LayerStack {
  const { inFeatures, outFeatures, kind } = part.layer
  const A = new Float32Array(count * r * inFeatures)
  const B = new Float32Array(count * r * outFeatures)
  const vector = (of: unknown): Float32Array | undefined => (of === undefined ? undefined : new Float32Array(count * outFeatures))
  const [rescale, shift] = [vector(part.rescale), vector(part.shift)]
  const tensors: (readonly [string, HostTensor])[] = [
    [part.A.name, float32(kind === 'Embedding' ? [count, inFeatures, r] : [count, r, inFeatures], A)],
    [part.B.name, float32([count, outFeatures, r], B)],
  ]
  if (rescale) tensors.push([part.rescale!.name, float32([count, outFeatures], rescale)])
  if (shift) tensors.push([part.shift!.name, float32([count, outFeatures], shift)])
  return { part, r, A, B, rescale, shift, tensors }
}

/** Writes a branch, of a rank up to the stack's, where there are zeros. */
export function writeBranch(stack: LayerStack, number: number, { branch, weight }: WeightedBranch): void {
  const { part, r, A, B } = stack
  const { inFeatures, outFeatures, kind } = part.layer
  const start = number * r * inFeatures
  if (kind !== 'Embedding') A.set(branch.A, start)
  else
    for (let k = 0; k < branch.r; k++)
      for (let token = 0; token < inFeatures; token++) A[start + token * r + k] = branch.A[k * inFeatures + token]!
  const first = number * outFeatures * r
  if (branch.r === r && weight === 1) B.set(branch.B, first)
  else
    for (let row = 0; row < outFeatures; row++)
      for (let k = 0; k < branch.r; k++) B[first + row * r + k] = branch.B[row * branch.r + k]! * weight
  branch.rescale?.forEach((x, i) => (stack.rescale![number * outFeatures + i] = x * weight))
  branch.shift?.forEach((x, i) => (stack.shift![number * outFeatures + i] = x * weight))
}
