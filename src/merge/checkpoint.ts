/** @file Writes a merged model: every shard anew, one tensor in memory at a time, everything else copied. */
import { InvalidOptionError } from '../errors.js'
import { INDEX_FILE } from '../formats/checkpoint.js'
import { checkModelFolderName, prepareOutput, writeSmallFiles, type Beside } from '../formats/merge-folder.js'
import { safetensorsChunks, type LazyTensor } from '../formats/safetensors.js'
import { bytesOf } from '../graph/constants.js'
import { byteLength, isFileTensor } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { whileLocked } from '../io/folder-lock.js'
import type { Json } from '../models/config-reader.js'
import type { LayerRanges } from '../models/replicate-layers.js'
import { readSource, type MergeHead, type Source } from './checkpoint-source.js'
import { mergeWeight } from './merged-weight.js'
import { planTensors, type PlannedTensor } from './named-tensors.js'
import type { Deltas } from './plan.js'

export interface MergeRequest {
  /** Model folder; never written to. */
  readonly source: string
  readonly out: string
  /** Whether a finished model that an earlier merge or export wrote there may be replaced. */
  readonly overwrite?: boolean | undefined
  /** By the weight's name in the model's graph; several parts are added in order. */
  readonly deltas: Deltas
  /** Of a model that was given a head: its config and its weights by the names that they shall have, fresh ones in memory. */
  readonly head?: MergeHead | undefined
  /** The same for tensors that the graph does not read; those that the checkpoint lacks are told, not refused. */
  readonly carried?: Deltas
  /** Ranges of the source's layers that the model with these deltas consists of; all of them, in order, by default. */
  readonly layerReplication?: LayerRanges | undefined
  /** Further files of the folder; they take the place of the source's. */
  readonly more?: Beside
}

export interface MergeSummary {
  readonly mergedTensors: number
  /** Largest absolute change of a weight, by all adapters together. */
  readonly maxAbsDelta: number
  /** Weights of `carried` that the checkpoint does not have. */
  readonly notMerged: readonly string[]
}

/** Bytes of a tensor in its own element type, with its changes. */
async function tensorBytes(files: Files, tensor: PlannedTensor, onDelta: (maxAbs: number) => void): Promise<Uint8Array> {
  const { base, deltas } = tensor
  if (deltas.length === 0)
    return isFileTensor(base) ? files.read(base.file.path, { offset: base.file.offset, length: base.file.length }) : bytesOf(base)
  const merged = await mergeWeight(files, tensor)
  onDelta(merged.maxAbsDelta)
  return bytesOf(merged.tensor)
}

/** The index of the shards with the untied tensors in it. */
function extendIndex(
  index: Readonly<Record<string, unknown>>,
  checkpoint: Source,
  added: ReadonlyMap<string, { file: string; bytes: number }>,
): string {
  const weightMap = { ...(index['weight_map'] as Record<string, string>) }
  const metadata = { ...(index['metadata'] as Record<string, Json> | undefined) }
  for (const [name, { file, bytes }] of added) {
    if (checkpoint.weights.has(name)) continue
    weightMap[name] = file
    if (typeof metadata['total_size'] === 'number') metadata['total_size'] += bytes
  }
  const sorted = Object.fromEntries(Object.entries(weightMap).sort(([a], [b]) => (a < b ? -1 : 1)))
  return `${JSON.stringify({ ...index, metadata, weight_map: sorted }, null, 2)}\n`
}

/** Tables of tokens that heads share, by the last parts of their names. */
const EMBEDDING = /(^|\.)(embed_tokens|wte|embed_in|word_embeddings)\.weight$/

/**
 * Whether merging made two matrices of one: some checkpoints store the head beside the embedding that it equals, and a
 * loader that takes `tie_word_embeddings` at its word would lose the change of one of them.
 */
function headLeavesEmbedding(
  plans: ReadonlyMap<string, PlannedTensor>,
  names: ReadonlyMap<string, string>,
  config: Readonly<Record<string, Json>>,
): boolean {
  if (config['tie_word_embeddings'] === false) return false
  const merged = (fits: (name: string) => boolean): PlannedTensor[] =>
    [...plans.values()].filter(({ name }) => fits(names.get(name) ?? name))
  const [head] = merged((name) => name === 'lm_head.weight')
  if (head === undefined) return false
  return [head, ...merged((name) => EMBEDDING.test(name))].some(({ deltas }) => deltas.length > 0)
}

/**
 * Writes `source` with the deltas added to `out`: same shards, names, element types and metadata; sums are computed in
 * float32 and rounded once. config.json comes last, so that an interrupted merge is no model.
 * @throws InvalidOptionError if `out` is the source, or a folder that holds a finished model and `overwrite` is not said, or anything else
 * @throws InvalidAdapterError if a delta fits no tensor, or the result is not finite (the tensor is named)
 */
export async function mergeCheckpoint(files: Files, request: MergeRequest): Promise<MergeSummary> {
  const { source, out, overwrite = false } = request
  if ((await files.realPath(source)) === (await files.realPath(out)))
    throw new InvalidOptionError(
      `"${out}" is the source model's own folder; merging never changes the source, choose another folder`,
    )
  const { head, layerReplication: ranges } = request
  const { checkpoint, config, names } = await readSource(files, source, ranges, head)
  const known = new Set(names.values())
  const carried = [...(request.carried ?? [])]
  const lacking = carried.filter(([weight]) => !known.has(weight))
  const deltas = new Map([...request.deltas, ...carried.filter(([weight]) => known.has(weight))])
  const fileNames = new Map([...names].map(([inFile, inGraph]) => [inGraph, inFile]))
  const plans = planTensors(deltas, { source, tensors: checkpoint.weights, nameOf: (weight) => fileNames.get(weight) })
  const untied = [...plans.values()].filter(({ untiedFrom }) => untiedFrom !== undefined)
  let maxAbsDelta = 0
  const onDelta = (size: number): void => {
    maxAbsDelta = Math.max(maxAbsDelta, size)
  }
  /** Untied tensors go to the shard of the tensor they were tied to. */
  const shardOf = new Map(checkpoint.shards.flatMap(({ file, tensors }) => tensors.map((name): [string, string] => [name, file])))
  const added = new Map(
    untied.map(({ name, untiedFrom, base }) => [
      name,
      { file: shardOf.get(name) ?? shardOf.get(untiedFrom!)!, bytes: byteLength(base) },
    ]),
  )
  for (const [name, { file }] of added) shardOf.set(name, file)

  const weightFiles = [...checkpoint.shards.map(({ file }) => file), ...(checkpoint.index === undefined ? [] : [INDEX_FILE])]
  const { more = new Map<string, Uint8Array>() } = request
  await checkModelFolderName(files, out)
  return whileLocked(files, out, async () => {
    await prepareOutput(files, source, { out, overwrite }, weightFiles, more)
    for (const { file, metadata } of checkpoint.shards) {
      const lazy = [...plans.values()]
        .filter(({ name }) => shardOf.get(name) === file)
        .map((tensor): LazyTensor => ({
          name: tensor.name,
          dtype: tensor.dtype,
          shape: tensor.base.shape,
          load: () => tensorBytes(files, tensor, onDelta),
        }))
      await files.write(`${out}/${file}`, safetensorsChunks(lazy, metadata))
    }
    const mergedTensors = [...plans.values()].filter(({ deltas }) => deltas.length > 0).length
    if (checkpoint.index !== undefined)
      await files.write(`${out}/${INDEX_FILE}`, extendIndex(checkpoint.index, checkpoint, added))
    await writeSmallFiles(files, source, out, more)
    const isUntied = untied.length > 0 || headLeavesEmbedding(plans, names, config)
    const configText =
      !isUntied && ranges === undefined && head === undefined
        ? await files.read(`${source}/config.json`)
        : `${JSON.stringify({ ...config, ...(isUntied && { tie_word_embeddings: false }) }, null, 2)}\n`
    await files.write(`${out}/config.json`, configText)
    return { mergedTensors, maxAbsDelta, notMerged: lacking.map(([weight]) => weight) }
  })
}
