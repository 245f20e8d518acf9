/** @file Writes a merged model: every shard anew, one tensor in memory at a time, everything else copied. */
import { firstNonFinite } from '../adapters/strict.js'
import { applyDeltas, misfit, untiesWeight, type WeightDelta } from '../adapters/weight-delta.js'
import { InvalidAdapterError, InvalidModelError, InvalidOptionError } from '../errors.js'
import { bytesOf } from '../graph/constants.js'
import { bytesPerElement, elementCount, formatShape, isFileTensor, type HostTensor, type Initializer } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { whileLocked } from '../io/folder-lock.js'
import { ConfigReader, type Json } from '../models/config-reader.js'
import { findArchitecture, graphNames, tasksOf } from '../models/registry.js'
import { replicatedConfig, replicatedNames, type LayerRanges } from '../models/replicate-layers.js'
import { readTask, type Task } from '../models/task.js'
import { narrow } from '../util/half.js'
import { INDEX_FILE, openCheckpoint, type Checkpoint } from '../formats/checkpoint.js'
import { copySmallFiles, checkModelFolderName, prepareOutput } from '../formats/merge-folder.js'
import { loadTensor, safetensorsChunks, toFloat32, type LazyTensor } from '../formats/safetensors.js'
import { parseJson } from '../util/json.js'

export type { WeightDelta } from '../adapters/weight-delta.js'

export interface MergeRequest {
  /** Model folder; never written to. */
  readonly source: string
  readonly out: string
  /** By the weight's name in the model's graph; several parts are added in order. */
  readonly deltas: ReadonlyMap<string, readonly WeightDelta[]>
  /** Of a model that was given a head: its config and its weights by the names that they shall have, fresh ones in memory. */
  readonly head?: MergeHead | undefined
  /** The same for tensors that the graph does not read; those that the checkpoint lacks are told, not refused. */
  readonly carried?: ReadonlyMap<string, readonly WeightDelta[]>
  /** Ranges of the source's layers that the model with these deltas consists of; all of them, in order, unless said. */
  readonly layerReplication?: LayerRanges | undefined
  /** Further files of the folder, by name; they take the place of the source's. */
  readonly more?: ReadonlyMap<string, Uint8Array>
}

export interface MergeHead {
  readonly task: Task
  readonly config: Readonly<Record<string, Json>>
  readonly weights: ReadonlyMap<string, Initializer>
}

export interface MergeSummary {
  readonly mergedTensors: number
  /** Largest absolute change of a weight, by all adapters together. */
  readonly maxAbsDelta: number
  /** Names of the files written, in the out folder. */
  readonly files: readonly string[]
  /** Weights of `carried` that the checkpoint does not have. */
  readonly notMerged: readonly string[]
}

/** What is merged into: a checkpoint, or one with the layers and the head of the model that was adapted. */
interface Source extends Omit<Checkpoint, 'weights'> {
  readonly weights: ReadonlyMap<string, Initializer>
}

/** A tensor to be written: where its base comes from and what is added. */
interface Plan {
  readonly name: string
  readonly base: Initializer
  readonly deltas: readonly WeightDelta[]
}

/**
 * What each tensor of the output is made of, by its name. An adapted output head whose weight is tied to the embedding
 * becomes a tensor of its own: the embedding itself was not adapted.
 */
function plan(
  checkpoint: Source,
  names: ReadonlyMap<string, string>,
  request: MergeRequest,
): { plans: Map<string, Plan>; untied: Map<string, string> } {
  const fileNames = new Map([...names].map(([inFile, inGraph]) => [inGraph, inFile]))
  const plans = new Map([...checkpoint.weights].map(([name, base]): [string, Plan] => [name, { name, base, deltas: [] }]))
  /** New tensor to the tensor that it was tied to. */
  const untied = new Map<string, string>()
  for (const [weight, deltas] of request.deltas) {
    const inFile = fileNames.get(weight)
    const base = inFile === undefined ? undefined : checkpoint.weights.get(inFile)
    if (inFile === undefined || base === undefined)
      throw new InvalidAdapterError(`${request.source} has no tensor "${weight}" for the adapter to be merged into`)
    for (const delta of deltas) {
      checkFit(inFile, base, delta)
      const tied = untiesWeight(delta, weight)
      const target = tied ? `${delta.module}.weight` : inFile
      if (tied) untied.set(target, inFile)
      const before = tied && plans.get(target)?.base !== base ? [] : (plans.get(target)?.deltas ?? [])
      plans.set(target, { name: target, base, deltas: [...before, delta] })
      const keeper = 'keeps' in delta && delta.keeps !== undefined ? `${delta.keeps}.weight` : undefined
      if (keeper === undefined || plans.has(keeper)) continue
      untied.set(keeper, inFile)
      plans.set(keeper, { name: keeper, base, deltas: [] })
    }
  }
  return { plans, untied }
}

function checkFit(name: string, { dtype, shape }: Initializer, delta: WeightDelta): void {
  if (!['float32', 'float16', 'bfloat16'].includes(dtype))
    throw new InvalidModelError(`tensor "${name}" has element type ${dtype}; an adapter can be merged into F32, F16 and BF16`)
  const problem = misfit(delta, shape)
  if (problem !== undefined)
    throw new InvalidAdapterError(
      `the adapter of ${delta.module} (${problem}) does not fit tensor "${name}" ${formatShape(shape)}`,
    )
}

/** Loads a tensor and adds its deltas; the element type stays. */
async function mergeTensor(files: Files, { name, base, deltas }: Plan, onDelta: (maxAbs: number) => void): Promise<Uint8Array> {
  if (deltas.length === 0)
    return isFileTensor(base) ? files.read(base.file.path, { offset: base.file.offset, length: base.file.length }) : bytesOf(base)
  const before = toFloat32(isFileTensor(base) ? await loadTensor(files, base) : base)
  const { weight: values, maxAbsDelta } = applyDeltas(before, base.shape, deltas)
  onDelta(maxAbsDelta)
  const data = base.dtype === 'float32' ? values : narrow(base.dtype as 'float16' | 'bfloat16', values)
  const merged: HostTensor = { dtype: base.dtype, shape: base.shape, data }
  const bad = firstNonFinite(merged)
  if (bad >= 0)
    throw new InvalidAdapterError(
      `merging gives ${String(values[bad])} in tensor "${name}", element ${bad}` +
        (Number.isFinite(values[bad])
          ? `, which ${base.dtype} cannot hold`
          : '; the base or the adapter holds NaN or infinity, or values too large'),
    )
  return bytesOf(merged)
}

async function readConfig(files: Files, folder: string): Promise<Record<string, Json>> {
  const path = `${folder}/config.json`
  if (!(await files.exists(path)))
    throw new InvalidModelError(`"${folder}" holds no config.json; expected a Hugging Face model folder`)
  try {
    const json: unknown = parseJson(await files.readText(path))
    if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Record<string, Json>
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
  }
  throw new InvalidModelError(`${path} must hold a JSON object`)
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

const byteLength = ({ dtype, shape }: Initializer): number =>
  elementCount(shape) * bytesPerElement[dtype as keyof typeof bytesPerElement]

/** A checkpoint of other tensors, or of the same by other names. @param named by what each is called now */
function reordered(
  { index, shards }: Source,
  weights: ReadonlyMap<string, Initializer>,
  named: (tensors: readonly string[]) => string[],
): Source {
  const kept = shards.map((shard) => ({ ...shard, tensors: named(shard.tensors) })).filter(({ tensors }) => tensors.length > 0)
  const weightMap = Object.fromEntries(kept.flatMap(({ file, tensors }) => tensors.map((name) => [name, file])))
  const bytes = [...weights.values()].reduce((total, tensor) => total + byteLength(tensor), 0)
  const metadata = { ...(index?.['metadata'] as object | undefined), total_size: bytes }
  return { weights, shards: kept, index: index && { ...index, metadata, weight_map: weightMap } }
}

/**
 * The checkpoint as the class of the head's task names its tensors, without heads of other tasks and with the fresh weights,
 * which come last. What the graph never reads (a vision tower) stays as it is.
 */
function withHead(checkpoint: Source, { config, task, weights }: MergeHead, source: string): Source {
  const reader = new ConfigReader(config, `${source}/config.json`)
  const names = graphNames(findArchitecture(reader), checkpoint.weights.keys(), task)
  const isFresh = (name: string): boolean => weights.has(name) && !isFileTensor(weights.get(name)!)
  const renamed = (tensors: readonly string[]): [string, string][] =>
    tensors.flatMap((from) => {
      const to = names.get(from)
      if (to === undefined) return [[from, from]]
      return weights.has(to) && !isFresh(to) ? [[from, to]] : []
    })
  const kept = new Map(renamed([...checkpoint.weights.keys()]).map(([from, to]) => [to, checkpoint.weights.get(from)!]))
  const fresh = [...weights].filter(([name]) => isFresh(name))
  const last = checkpoint.shards.at(-1)
  return reordered(checkpoint, new Map([...kept, ...fresh]), (tensors) => [
    ...renamed(tensors).map(([, to]) => to),
    ...(tensors === last?.tensors ? fresh.map(([name]) => name) : []),
  ])
}

/** The checkpoint and its config, with the layers that the ranges say: a copy is stored whole, beside the layer it is taken from. */
async function readSource(
  files: Files,
  source: string,
  ranges: LayerRanges | undefined,
  head: MergeHead | undefined,
): Promise<{ checkpoint: Source; config: Record<string, Json> }> {
  const stored = await openCheckpoint(files, source)
  const checkpoint = head === undefined ? stored : withHead(stored, head, source)
  const json = head === undefined ? await readConfig(files, source) : { ...head.config }
  if (ranges === undefined) return { checkpoint, config: json }
  const { config, sources } = replicatedConfig(new ConfigReader(json, `${source}/config.json`), ranges, checkpoint.weights.keys())
  const names = replicatedNames(checkpoint.weights.keys(), sources)
  const weights = new Map([...names].map(([name, from]) => [name, checkpoint.weights.get(from)!]))
  const replicated = reordered(checkpoint, weights, (tensors) => [...replicatedNames(tensors, sources).keys()])
  return { checkpoint: replicated, config: { ...config.json } }
}

/** Tables of tokens that heads share, by the last parts of their names. */
const EMBEDDING = /(^|\.)(embed_tokens|wte|embed_in|word_embeddings)\.weight$/

/**
 * Whether merging made two matrices of one: some checkpoints store the head beside the embedding that it equals, and a
 * loader that takes `tie_word_embeddings` at its word would lose the change of one of them.
 */
function headLeavesEmbedding(
  plans: ReadonlyMap<string, Plan>,
  names: ReadonlyMap<string, string>,
  config: Readonly<Record<string, Json>>,
): boolean {
  if (config['tie_word_embeddings'] === false) return false
  const merged = (fits: (name: string) => boolean): Plan[] =>
    [...plans.values()].filter(({ name }) => fits(names.get(name) ?? name))
  const [head] = merged((name) => name === 'lm_head.weight')
  if (head === undefined) return false
  return [head, ...merged((name) => EMBEDDING.test(name))].some(({ deltas }) => deltas.length > 0)
}

/**
 * Writes `source` with the deltas added to `out`: same shards, names, element types and metadata; sums are computed in
 * float32 and rounded once. config.json comes last, so that an interrupted merge is no model.
 * @throws InvalidOptionError if `out` is the source, or a folder that holds anything but an earlier merge
 * @throws InvalidAdapterError if a delta fits no tensor, or the result is not finite (the tensor is named)
 */
export async function mergeCheckpoint(files: Files, request: MergeRequest): Promise<MergeSummary> {
  const { source, out } = request
  if ((await files.realPath(source)) === (await files.realPath(out)))
    throw new InvalidOptionError(
      `"${out}" is the source model's own folder; merging never changes the source, choose another folder`,
    )
  const { head, layerReplication: ranges } = request
  const { checkpoint, config } = await readSource(files, source, ranges, head)
  const reader = new ConfigReader(config, `${source}/config.json`)
  const architecture = findArchitecture(reader)
  const names = graphNames(architecture, checkpoint.weights.keys(), head?.task ?? readTask(reader, tasksOf(architecture)), true)
  const known = new Set(names.values())
  const carried = [...(request.carried ?? [])]
  const lacking = carried.filter(([weight]) => !known.has(weight))
  const deltas = new Map([...request.deltas, ...carried.filter(([weight]) => known.has(weight))])
  const { plans, untied } = plan(checkpoint, names, { ...request, deltas })
  let maxAbsDelta = 0
  const onDelta = (size: number): void => {
    maxAbsDelta = Math.max(maxAbsDelta, size)
  }
  /** Untied tensors go to the shard of the tensor they were tied to. */
  const shardOf = new Map(checkpoint.shards.flatMap(({ file, tensors }) => tensors.map((name): [string, string] => [name, file])))
  const added = new Map(
    [...untied].map(([name, tied]) => [
      name,
      { file: shardOf.get(name) ?? shardOf.get(tied)!, bytes: byteLength(checkpoint.weights.get(tied)!) },
    ]),
  )
  for (const [name, { file }] of added) shardOf.set(name, file)

  const weightFiles = [...checkpoint.shards.map(({ file }) => file), ...(checkpoint.index === undefined ? [] : [INDEX_FILE])]
  const { more = new Map<string, Uint8Array>() } = request
  await checkModelFolderName(files, out)
  return whileLocked(files, out, async () => {
    const written = await prepareOutput(files, source, out, [...weightFiles, ...more.keys()])
    for (const { file, metadata } of checkpoint.shards) {
      const lazy = [...plans.values()]
        .filter(({ name }) => shardOf.get(name) === file)
        .map((p): LazyTensor => ({
          name: p.name,
          dtype: p.base.dtype,
          shape: p.base.shape,
          load: () => mergeTensor(files, p, onDelta),
        }))
      await files.write(`${out}/${file}`, safetensorsChunks(lazy, metadata))
    }
    const mergedTensors = [...plans.values()].filter(({ deltas }) => deltas.length > 0).length
    if (checkpoint.index !== undefined)
      await files.write(`${out}/${INDEX_FILE}`, extendIndex(checkpoint.index, checkpoint, added))
    await copySmallFiles(files, source, out)
    for (const [name, bytes] of more) await files.write(`${out}/${name}`, bytes)
    const isUntied = untied.size > 0 || headLeavesEmbedding(plans, names, config)
    const configText =
      !isUntied && ranges === undefined && head === undefined
        ? await files.read(`${source}/config.json`)
        : `${JSON.stringify({ ...config, ...(isUntied && { tie_word_embeddings: false }) }, null, 2)}\n`
    await files.write(`${out}/config.json`, configText)
    return { mergedTensors, maxAbsDelta, files: written, notMerged: lacking.map(([weight]) => weight) }
  })
}
