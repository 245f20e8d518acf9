/** @file A weight with its changes: read, changed in float32, rounded once, checked. */
import { firstNonFinite } from '../adapters/strict.js'
import { applyDeltas, type WeightDelta } from '../adapters/weight-delta.js'
import { InvalidAdapterError } from '../errors.js'
import { loadTensor, toFloat32 } from '../formats/safetensors.js'
import type { HostTensor, Initializer } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { inType, isStoredType } from './stored-type.js'

export interface MergedWeight {
  readonly tensor: HostTensor
  /** Largest absolute change. */
  readonly maxAbsDelta: number
}

/** What a merged weight is made of, and how it is stored. */
export interface WeightToMerge {
  /** For messages. */
  readonly name: string
  readonly base: Initializer
  readonly deltas: readonly WeightDelta[]
  readonly dtype: Initializer['dtype']
}

/** Reads a weight and applies its changes. @throws InvalidAdapterError if the result is not finite */
export async function mergeWeight(files: Files, { name, base, deltas, dtype }: WeightToMerge): Promise<MergedWeight> {
  const { weight, maxAbsDelta } = applyDeltas(toFloat32(await loadTensor(files, base)), base.shape, deltas)
  return { tensor: stored(name, dtype, base.shape, weight), maxAbsDelta }
}

/**
 * A merged weight in the element type of its file.
 * @throws InvalidAdapterError naming the first element that is NaN, infinite or too large for the type
 */
export function stored(name: string, dtype: Initializer['dtype'], shape: readonly number[], values: Float32Array): HostTensor {
  if (!isStoredType(dtype)) throw new RangeError(`internal: a merged weight cannot be stored as ${dtype}`)
  const tensor = inType(dtype, shape, values)
  const bad = firstNonFinite(tensor)
  if (bad < 0) return tensor
  throw new InvalidAdapterError(
    `merging gives ${values[bad]} in weight "${name}", element ${bad}` +
      (Number.isFinite(values[bad])
        ? `, which ${dtype} cannot hold; keep the adapter unmerged, or have the weight in float32`
        : '; the base or the adapter holds NaN or infinity, or values too large'),
  )
}
