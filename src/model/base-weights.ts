/** @file Weights of the base model in memory, where an adapter begins from them. */
import { loadTensor, toFloat32 } from '../formats/safetensors.js'
import { isFileTensor } from '../graph/types.js'
import type { Model } from './model.js'

/** A weight of the model by its name in the graph, or undefined if it is not at hand. */
export type BaseWeights = (name: string) => Float32Array | undefined

/** Reads weights from their files, in float32. */
export async function readBaseWeights(model: Model, names: Iterable<string>): Promise<BaseWeights> {
  const found = new Map<string, Float32Array>()
  for (const name of new Set(names)) {
    const weight = model.weights.get(name)
    if (weight === undefined) continue
    found.set(name, toFloat32(await loadTensor(model.environment.files, weight)))
  }
  return (name) => found.get(name)
}

/** Those that are in memory already. */
export const weightsInMemory =
  (model: Model): BaseWeights =>
  (name) => {
    const weight = model.weights.get(name)
    return weight === undefined || isFileTensor(weight) ? undefined : toFloat32(weight)
  }
