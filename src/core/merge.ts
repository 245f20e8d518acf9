/** @file Merging: W + s·B·A written as an ordinary model. The base is never changed, so nothing needs unmerging. */
import { loraAName, loraBName } from '../adapters/lora.js'
import { InvalidOptionError } from '../errors.js'
import { mergeCheckpoint, type WeightDelta } from '../formats/merge-checkpoint.js'
import type { Adapter } from './adapter.js'

export interface MergeResult {
  readonly out: string
  readonly mergedModules: number
  /** Largest absolute change of a weight. */
  readonly maxAbsDelta: number
}

export interface Merged {
  /**
   * Writes the merged model: shards, names and element types as in the source; the sum is computed in float32.
   * @throws InvalidOptionError for a format that is not supported, or the source folder as target
   */
  save(out: string, options?: { readonly format?: 'safetensors' }): Promise<MergeResult>
}

/** Merges one adapter, or the sum of several, into its model. */
export function merge(adapters: Adapter | readonly Adapter[]): Merged {
  const list = Array.isArray(adapters) ? (adapters as readonly Adapter[]) : [adapters as Adapter]
  const first = list[0]
  if (first === undefined) throw new InvalidOptionError('merge needs at least one adapter')
  if (list.some((a) => a.model !== first.model))
    throw new InvalidOptionError('adapters can be merged together only on the same model')
  return {
    async save(out, options = {}) {
      const format: string = options.format ?? 'safetensors'
      if (format !== 'safetensors') throw new InvalidOptionError(`merge format "${format}" is not supported; use "safetensors"`)
      const deltas = new Map<string, WeightDelta[]>()
      for (const adapter of list)
        for (const { module, scale } of adapter.targets) {
          const A = adapter.parameters.view(loraAName(module.name))
          const B = adapter.parameters.view(loraBName(module.name))
          const weight = module.weight.replace(/\/float32$/, '')
          deltas.set(weight, [...(deltas.get(weight) ?? []), { module: module.name, kind: module.kind, A, B, scale }])
        }
      const { maxAbsDelta } = await mergeCheckpoint(first.model.environment.files, { source: first.model.path, out, deltas })
      return { out, mergedModules: deltas.size, maxAbsDelta }
    },
  }
}
