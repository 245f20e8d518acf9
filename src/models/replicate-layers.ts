/**
 * @file PEFT's `layer_replication`: ranges of a model's layers in a row, some of them more than once, with the weights of
 * the layers they are taken from. Every copy is a layer by its new number, and has adapters of its own.
 */
import { InvalidOptionError } from '../errors.js'
import { ConfigReader, type Json } from './config-reader.js'

/** [first, end) of each range, in order. */
export type LayerRanges = readonly (readonly [number, number])[]

/** The lists of layers that PEFT finds: `model.layers`, of BERT `encoder.layer`; without prefix in models for features. */
const LAYER = /^((?:model\.)?layers|(?:bert\.)?encoder\.layer)\.(\d+)\./

/** Far above what people stack: the graph is built whole. */
const MAX_LAYERS = 512

/** Families whose layers differ by their number, unless `layer_types` says how. */
const byNumber: ReadonlySet<string> = new Set(['gemma2', 'gemma3', 'gemma3_text'])

/**
 * The layer that each new layer is taken from.
 * @throws InvalidOptionError for a range that is empty or outside the model
 */
export function layerSources(ranges: LayerRanges, layers: number): number[] {
  const wrong = ranges.find(([first, end]) => first >= end || end > layers)
  if (wrong !== undefined || ranges.length === 0)
    throw new InvalidOptionError(
      `"layerReplication" must be ranges [first, end) of the model's ${layers} layers, got ${JSON.stringify(wrong ?? ranges)}`,
    )
  const total = ranges.reduce((sum, [first, end]) => sum + end - first, 0)
  if (total > MAX_LAYERS)
    throw new InvalidOptionError(
      `"layerReplication" asks for ${total} layers, in ${ranges.length} ranges; the largest number is ${MAX_LAYERS}`,
    )
  return ranges.flatMap(([first, end]) => Array.from({ length: end - first }, (_, i) => first + i))
}

/** Names of tensors as the replicated model has them, with the name each is taken from; tensors outside layers stay. */
export function replicatedNames(names: Iterable<string>, sources: readonly number[]): Map<string, string> {
  const result = new Map<string, string>()
  for (const name of names) {
    const layer = LAYER.exec(name)
    if (layer === null) {
      result.set(name, name)
      continue
    }
    const rest = name.slice(layer[0].length)
    sources.forEach((source, i) => {
      if (source === Number(layer[2])) result.set(`${layer[1]}.${i}.${rest}`, name)
    })
  }
  return result
}

/**
 * config.json of the replicated model.
 * @param names tensors of the model
 * @throws InvalidOptionError for a model that PEFT finds no list of layers in, and for one whose layers differ by number
 */
export function replicatedConfig(config: ConfigReader, ranges: LayerRanges, names: Iterable<string>): ReplicatedConfig {
  const type = config.string('model_type')
  if (![...names].some((name) => LAYER.test(name)))
    throw new InvalidOptionError(
      `"layerReplication" needs a list of layers called model.layers (or encoder.layer of BERT); a model of type "${type}" has none`,
    )
  const sources = layerSources(ranges, config.integer('num_hidden_layers'))
  const types = config.strings('layer_types')
  if (types === undefined && (byNumber.has(type) || config.json['use_sliding_window'] === true))
    throw new InvalidOptionError(
      `"layerReplication": the layers of ${config.source} differ by their number, and it does not list their "layer_types"`,
    )
  const json: Record<string, Json> = {
    ...config.json,
    num_hidden_layers: sources.length,
    ...(types && { layer_types: sources.map((source) => types[source]!) }),
  }
  return { config: new ConfigReader(json, config.source), sources }
}

interface ReplicatedConfig {
  readonly config: ConfigReader
  readonly sources: readonly number[]
}
