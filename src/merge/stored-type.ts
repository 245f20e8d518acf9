/** @file Element types that computed weights are stored in, and the one rounding to them. */
import { firstNonFinite } from '../adapters/strict.js'
import { castFloats, toFloat32 } from '../formats/safetensors.js'
import { float32 } from '../graph/constants.js'
import type { HostTensor, Initializer } from '../graph/types.js'

/** Integers and 8-bit floats are not among them: a small change of a weight would be rounded away. */
export type StoredType = 'float32' | 'float16' | 'bfloat16'

export const isStoredType = (dtype: Initializer['dtype']): dtype is StoredType =>
  dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16'

/** float32 numbers as a tensor of the type; in float32 they are not copied. */
export const inType = (dtype: StoredType, shape: readonly number[], values: Float32Array): HostTensor =>
  castFloats(float32(shape, values), dtype)

/** Index of the first finite number that the tensor has as infinity, or -1. */
export function firstOverflow(values: Float32Array, tensor: HostTensor): number {
  if (firstNonFinite(tensor) < 0) return -1
  const held = toFloat32(tensor)
  return values.findIndex((value, i) => Number.isFinite(value) && !Number.isFinite(held[i]))
}
