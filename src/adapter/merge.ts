/** @file Merging: W + s·B·A written as an ordinary model. The base is never changed, so nothing needs unmerging. */
import { LoraPart } from '../adapters/lora.js'
import type { Part } from '../adapters/part.js'
import { InvalidOptionError } from '../errors.js'
import { mergeCheckpoint } from '../merge/checkpoint.js'
import type { MergeHead } from '../merge/checkpoint-source.js'
import type { Adapter } from './adapter.js'
import { exportModel, withoutMerging } from './export-model.js'
import { FolderModel } from '../model/folder-model.js'
import { besideFiles } from '../model/beside-files.js'
import { OnnxModel } from '../onnx-model/onnx-model.js'
import { writeOnnx } from '../onnx-model/write.js'
import { checkModelNotDisposed } from '../util/disposable.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'
import { byWeight } from '../merge/plan.js'
import { checkArgument, pathArgument } from '../util/arguments.js'
import { adaptersArgument } from './adapter-argument.js'

/** What a merge wrote. */
export interface MergeResult {
  /** The folder or file. */
  readonly out: string
  /** Modules whose weights were changed. */
  readonly mergedModules: number
  /** Largest absolute change of a weight. */
  readonly maxAbsDelta: number
  /** Modules that are not run here and could not be merged: the written model has no weights of them. */
  readonly notMerged?: readonly string[]
}

/** How a merged model is written. */
export interface MergeOptions {
  /**
   * `safetensors`, with shards, names and element types as in the source, or `onnx`, in the layout that transformers.js
   * reads and with weights in float32. An .onnx file stays one, with its graph as it is: `out` is a file, or a folder for it
   * and what describes it.
   */
  readonly format?: 'safetensors' | 'onnx'
  /**
   * Replace what is there: the finished model that an earlier merge or export wrote into the folder, or the .onnx file of that
   * name, with its data. A folder that holds anything else is refused all the same.
   */
  readonly overwrite?: boolean
}

const mergeOptionKeys = { format: true, overwrite: true } satisfies OptionKeys<MergeOptions>

/** Adapters and their model, to be written as one. */
export interface Merged {
  /**
   * Writes the merged model; sums are computed in float32.
   * @throws InvalidOptionError for a format that is not supported, the source as target, or one that holds
   * something else or, without `overwrite`, a finished model
   * @throws FileError if another run writes there
   */
  save(out: string, options?: MergeOptions): Promise<MergeResult>
}

/** Whether a part sets a weight or rescales it, instead of adding to it. */
const isNotAdditive = (part: Part): boolean => !(part instanceof LoraPart) || part.magnitude !== undefined

/** What a model that was given a head, or weights that an adapter brought, writes in place of its folder's. */
function mergeHead(model: FolderModel): MergeHead | undefined {
  const { head, brought, task, config, weights } = model.replicatedFrom ?? model
  return (head ?? brought) && { task, config: config.json, weights }
}

/**
 * Merges one adapter, or the sum of several, into its model.
 * @throws InvalidOptionError for none, adapters of several models, or several of which one sets weights instead of adding to
 * them
 * @example
 * await merge(adapter).save('merged')
 */
export function merge(adapters: Adapter | readonly Adapter[]): Merged {
  checkArgument(adapters, adaptersArgument, 'merge')
  const list = Array.isArray(adapters) ? [...(adapters as readonly Adapter[])] : [adapters as Adapter]
  const first = list[0]
  if (first === undefined) throw new InvalidOptionError('merge needs at least one adapter')
  if (list.some((a) => a.model !== first.model))
    throw new InvalidOptionError('adapters can be merged together only on the same model')
  if (list.length > 1 && list.some(({ parts, carried }) => [...parts, ...(carried?.parts ?? [])].some(isNotAdditive)))
    throw new InvalidOptionError(
      'only low-rank adapters can be merged together; those with DoRA, trained biases, saved modules or trained tokens set ' +
        'weights instead of adding to them: merge them one at a time',
    )
  return {
    async save(out, options = {}) {
      checkArgument(out, pathArgument, 'merge(…).save')
      checkKeys(options, mergeOptionKeys, 'merge(…).save')
      checkModelNotDisposed(first.model)
      const onFile = first.model instanceof OnnxModel
      const { overwrite = false } = options
      const format: string = options.format ?? (onFile ? 'onnx' : 'safetensors')
      if (format !== 'safetensors' && format !== 'onnx')
        throw new InvalidOptionError(`merge format "${format}" is not supported; use "safetensors" or "onnx"`)
      if (onFile && format !== 'onnx')
        throw new InvalidOptionError(
          `"${first.model.path}" is merged into an .onnx file; the format "${format}" needs a model folder`,
        )
      const deltas = byWeight(list.flatMap((adapter) => adapter.deltas()))
      const more = await besideFiles(
        first.model,
        list.flatMap(({ endTokenIds }) => endTokenIds),
      )
      if (first.model instanceof OnnxModel) {
        const { path, maxAbsDelta } = await writeOnnx(first.model, out, deltas, more, overwrite)
        return { out: path, mergedModules: deltas.size, maxAbsDelta }
      }
      const layerReplication = first.model instanceof FolderModel ? first.model.layerReplication : undefined
      const carriers = list.flatMap((adapter) => adapter.carried ?? [])
      if (format === 'onnx') {
        const { maxAbsDelta } = await exportModel(first.model, out, { overwrite }, { deltas, more })
        const modules = carriers.flatMap((parts) => parts.modules)
        return withoutMerging({ out, mergedModules: deltas.size, maxAbsDelta }, modules)
      }
      const head = first.model instanceof FolderModel ? mergeHead(first.model) : undefined
      const carried = byWeight(carriers.flatMap((parts) => parts.deltas()))
      const { files } = first.model.environment
      const request = { source: first.model.path, out, overwrite, deltas, carried, layerReplication, head, more }
      const { maxAbsDelta, notMerged } = await mergeCheckpoint(files, request)
      const lacking = notMerged.flatMap((weight) => carried.get(weight)!.map(({ module }) => module))
      return withoutMerging({ out, mergedModules: deltas.size + carried.size - notMerged.length, maxAbsDelta }, lacking)
    },
  }
}
