/** @file What is merged into: the tensors of a checkpoint, with the layers and the head of the model that was adapted. */
import { InvalidModelError } from '../errors.js'
import { openCheckpoint, type Checkpoint } from '../formats/checkpoint.js'
import { byteLength, isFileTensor, type Initializer } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { ConfigReader, type Json } from '../models/config-reader.js'
import { findArchitecture, graphNames, tasksOf } from '../models/registry.js'
import { replicatedConfig, replicatedNames, type LayerRanges } from '../models/replicate-layers.js'
import { readTask, type Task } from '../models/task.js'
import { readJsonObject } from '../util/json.js'

export interface MergeHead {
  readonly task: Task
  readonly config: Readonly<Record<string, Json>>
  readonly weights: ReadonlyMap<string, Initializer>
}

/** What is merged into: a checkpoint, or one with the layers and the head of the model that was adapted. */
export interface Source extends Omit<Checkpoint, 'weights'> {
  readonly weights: ReadonlyMap<string, Initializer>
}

async function readConfig(files: Files, folder: string): Promise<Record<string, Json>> {
  const path = `${folder}/config.json`
  if (!(await files.exists(path)))
    throw new InvalidModelError(`"${folder}" holds no config.json; expected a Hugging Face model folder`)
  return (await readJsonObject(files, path, InvalidModelError)) as Record<string, Json>
}

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

/** The checkpoint, its config, and the names that its tensors have in the model's graph. */
export interface SourceModel {
  readonly checkpoint: Source
  readonly config: Readonly<Record<string, Json>>
  /** By the names in the file. */
  readonly names: ReadonlyMap<string, string>
}

/**
 * What is merged into.
 * @param ranges of layers that the model consists of: a copy is stored whole, beside the layer it is taken from
 */
export async function readSource(
  files: Files,
  source: string,
  ranges: LayerRanges | undefined,
  head: MergeHead | undefined,
): Promise<SourceModel> {
  const stored = await openCheckpoint(files, source)
  const json = head === undefined ? await readConfig(files, source) : head.config
  const path = `${source}/config.json`
  const { checkpoint, reader } = withLayers(
    head === undefined ? stored : withHead(stored, head, source),
    new ConfigReader(json, path),
    ranges,
  )
  const architecture = findArchitecture(reader)
  const task = head?.task ?? readTask(reader, tasksOf(architecture))
  return { checkpoint, config: reader.json, names: graphNames(architecture, checkpoint.weights.keys(), task, true) }
}

function withLayers(
  checkpoint: Source,
  reader: ConfigReader,
  ranges: LayerRanges | undefined,
): { readonly checkpoint: Source; readonly reader: ConfigReader } {
  if (ranges === undefined) return { checkpoint, reader }
  const { config, sources } = replicatedConfig(reader, ranges, checkpoint.weights.keys())
  const names = replicatedNames(checkpoint.weights.keys(), sources)
  const weights = new Map([...names].map(([name, from]) => [name, checkpoint.weights.get(from)!]))
  return {
    checkpoint: reordered(checkpoint, weights, (tensors) => [...replicatedNames(tensors, sources).keys()]),
    reader: config,
  }
}
