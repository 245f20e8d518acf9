/** @file From a model in a folder to a folder for transformers.js. */
import { attachParts } from '../adapters/attach.js'
import type { Part } from '../adapters/part.js'
import { InvalidOptionError } from '../errors.js'
import { withKnownDims, withOwnPositions } from '../export/interface.js'
import type { OnnxFileSizes } from '../export/onnx-file.js'
import { writeOnnxFolder, type ExportDType } from '../export/onnx-folder.js'
import { standardOps } from '../export/standard-ops.js'
import { standIns, weightSources } from '../merge/export-weights.js'
import type { Deltas } from '../merge/plan.js'
import type { Graph } from '../graph/graph.js'
import { FolderModel } from '../model/folder-model.js'
import type { Model } from '../model/model.js'
import { checkModelNotDisposed } from '../util/disposable.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'

/** How an ONNX folder is written. */
export interface ExportOptions extends OnnxFileSizes {
  /** Element type that matrices are stored in; the graph computes in float32 either way. `fp32` by default. */
  readonly dtype?: ExportDType
  /** Most positions that the model shall serve, if fewer than it has: long tables of angles take space. */
  readonly maxPositions?: number
  /** Replace a finished model that an earlier export or merge wrote into the folder. */
  readonly overwrite?: boolean
}

const exportOptionKeys = {
  ...{ inlineUpTo: true, dataFileSize: true, dtype: true, maxPositions: true, overwrite: true },
} satisfies OptionKeys<ExportOptions>

/** @throws InvalidOptionError for an option of an unknown name */
export const checkExportOptions = (options: ExportOptions, where: string): void => checkKeys(options, exportOptionKeys, where)

/** What an export wrote. */
export interface ExportResult {
  /** The folder. */
  readonly out: string
  /** The model and its data files, by their paths in the folder. */
  readonly files: readonly string[]
  /** Of the model with its data. */
  readonly bytes: number
  /** Names of the graph's inputs. */
  readonly inputs: readonly string[]
  /** Names of the graph's outputs. */
  readonly outputs: readonly string[]
  /** Largest absolute change of a weight by merging; 0 where nothing was merged. */
  readonly maxAbsDelta: number
  /** Modules that an adapter changes and that are not run here: the written model lacks them. */
  readonly notMerged?: readonly string[]
}

/** A result that says what could not be merged, if anything. */
export const withoutMerging = <T extends object>(
  result: T,
  modules: readonly string[],
): T & { readonly notMerged?: readonly string[] } =>
  modules.length === 0 ? result : { ...result, notMerged: [...new Set(modules)] }

export interface ExportRequest {
  readonly deltas?: Deltas
  /** Parts of adapters whose tensors become inputs. */
  readonly parts?: readonly Part[]
  /** Further files, by their paths in the folder; they take the place of the source's. */
  readonly more?: ReadonlyMap<string, Uint8Array>
}

/** The graph of a model as other programs read it: standard operators, known names. */
function exportedGraph(
  model: FolderModel,
  weights: Parameters<FolderModel['build']>[1],
  parts: readonly Part[],
  positions: number,
): Graph {
  const generates = model.task.name === 'causal-lm'
  const limit = model.maxPositions > 0 ? { positions } : {}
  const { graph } = model.build({ mode: generates ? 'export' : 'full', ...limit }, weights)
  const { graph: attached } = attachParts(graph, parts, { scaling: 'tensors' })
  return withKnownDims(standardOps(generates ? attached : withOwnPositions(attached)))
}

/**
 * Writes a model, with an adapter merged into it or with the adapter's tensors as inputs, in the layout of transformers.js.
 * @throws InvalidOptionError for a model that is no folder, options out of range, or a folder that holds
 * a finished model and `overwrite` is not said, or anything else
 */
export async function exportModel(
  model: Model,
  out: string,
  options: ExportOptions = {},
  { deltas = new Map(), parts = [], more }: ExportRequest = {},
): Promise<ExportResult> {
  if (!(model instanceof FolderModel))
    throw new InvalidOptionError(
      `only models with a config.json can be exported in the layout of transformers.js; "${model.path}" has none`,
    )
  checkModelNotDisposed(model)
  const { dtype = 'fp32', maxPositions = model.maxPositions, overwrite = false } = options
  if (dtype !== 'fp32' && dtype !== 'fp16')
    throw new InvalidOptionError(`"dtype" must be fp32 or fp16, got ${JSON.stringify(dtype)}`)
  if (!Number.isInteger(maxPositions) || maxPositions < (model.maxPositions > 0 ? 1 : 0) || maxPositions > model.maxPositions)
    throw new InvalidOptionError(
      `"maxPositions" must be an integer from 1 to the model's ${model.maxPositions}, got ${maxPositions}`,
    )
  const { files } = model.environment
  let maxAbsDelta = 0
  const sources = weightSources(files, model, deltas, dtype, (size) => {
    maxAbsDelta = Math.max(maxAbsDelta, size)
  })
  const graph = exportedGraph(model, standIns(sources), parts, maxPositions)
  const isShorter = maxPositions < model.maxPositions
  if (isShorter && !graph.initializers.has('rope_cos'))
    throw new InvalidOptionError(
      `"maxPositions" shortens tables of rotary angles, which "${model.path}" has none of: its positions are weights`,
    )
  // A damaged tokenizer is found here, and not after gigabytes have been written.
  const tokenizer = await model.tokenizer()
  const { files: written, bytes } = await writeOnnxFolder(files, {
    source: model.path,
    out,
    overwrite,
    graph,
    sources: new Map([...sources].filter(([name]) => graph.initializers.has(name))),
    config: model.config.json,
    ...(isShorter && { maxPositions }),
    dtype,
    addsBos: model.task.name === 'causal-lm' && (tokenizer?.prefix.length ?? 0) > 0,
    ...(more && { more }),
    ...(options.inlineUpTo !== undefined && { inlineUpTo: options.inlineUpTo }),
    ...(options.dataFileSize !== undefined && { dataFileSize: options.dataFileSize }),
  })
  const names = (values: Graph['inputs']): string[] => values.map(({ name }) => name)
  return { out, files: written, bytes, inputs: names(graph.inputs), outputs: names(graph.outputs), maxAbsDelta }
}
