/**
 * @file The branches of one layer of several adapters, one after the other, ranks filled up with zeros: A [adapters · r, in] and Bᵀ [adapters ·
 * r, out], so that a few that stand beside each other are a stack too. An adapter without a branch there is zeros.
 */
import { float32 } from '../../graph/constants.js'
import type { HostTensor } from '../../graph/types.js'
import type { ServedBranch } from './branch-tensors.js'
import type { ServedLora } from './served-lora.js'

export interface LayerStack {
  readonly part: ServedLora
  readonly r: number
  readonly A: Float32Array
  readonly B: Float32Array
  /** [adapters, out] */
  readonly rescale: Float32Array | undefined
  readonly shift: Float32Array | undefined
}

/** @param count of adapters */
export function emptyLayerStack(part: ServedLora, count: number, r: number): LayerStack {
  const { inFeatures, outFeatures } = part.layer
  const vector = (of: unknown): Float32Array | undefined => (of === undefined ? undefined : new Float32Array(count * outFeatures))
  return {
    ...{ part, r, A: new Float32Array(count * r * inFeatures), B: new Float32Array(count * r * outFeatures) },
    ...{ rescale: vector(part.rescale), shift: vector(part.shift) },
  }
}

/** Writes a branch, of a rank up to the stack's, where there are zeros. */
export function writeBranch(stack: LayerStack, place: number, branch: ServedBranch): void {
  const { part, r, A, B } = stack
  const { inFeatures, outFeatures } = part.layer
  A.set(branch.A, place * r * inFeatures)
  const start = place * r * outFeatures
  for (let k = 0; k < branch.r; k++)
    for (let out = 0; out < outFeatures; out++) B[start + k * outFeatures + out] = branch.B[out * branch.r + k]!
  if (branch.rescale) stack.rescale!.set(branch.rescale, place * outFeatures)
  if (branch.shift) stack.shift!.set(branch.shift, place * outFeatures)
}

/** Adapters that stand beside each other, as the graph's inputs. @param end behind the last */
export function stackTensors({ part, r, A, B, rescale, shift }: LayerStack, start: number, end: number): [string, HostTensor][] {
  const { inFeatures, outFeatures } = part.layer
  const count = end - start
  const rows = (data: Float32Array, height: number, width: number): HostTensor =>
    float32([count * height, width], data.subarray(start * height * width, end * height * width))
  const tensors: [string, HostTensor][] = [
    [part.A.name, rows(A, r, inFeatures)],
    [part.B.name, rows(B, r, outFeatures)],
  ]
  if (rescale) tensors.push([part.rescale!.name, rows(rescale, 1, outFeatures)])
  if (shift) tensors.push([part.shift!.name, rows(shift, 1, outFeatures)])
  return tensors
}
