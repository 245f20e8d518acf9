/** @file What every adapter format is read into and written from: PEFT's configuration and PEFT's tensor names. */
import type { LoraConfig } from '../adapters/lora-config.js'
import { loraDefaults } from '../adapters/lora-fields.js'
import { PREFIX, scaleOf } from '../adapters/lora.js'
import { compilePatterns, firstValue, lastPart } from '../adapters/targets.js'
import { InvalidAdapterError } from '../errors.js'
import { elementCount, type HostTensor } from '../graph/types.js'
import type { TargetModule } from '../graph/target-module.js'
import type { Files } from '../io/files.js'
import { toFloat32 } from './safetensors.js'

/** Something that a person should know of a conversion. */
export interface ConversionNote {
  /** What it is. */
  readonly text: string
  /** Whether the result differs from the source: something is left out, rounded or assumed. */
  readonly loss: boolean
}

/** An adapter, whatever file it comes from. */
export interface AdapterFile {
  /** PEFT's configuration in camelCase. */
  readonly config: LoraConfig
  /** By PEFT's keys, `base_model.model.<module>.lora_A.weight`. */
  readonly tensors: ReadonlyMap<string, HostTensor>
  /** Keys of adapter_config.json that PEFT does not know. */
  readonly unknownKeys?: Readonly<Record<string, unknown>>
  /** What was assumed, rounded or left out. */
  readonly notes: readonly ConversionNote[]
}

/** What a file itself may not tell. */
export interface AdapterReadOptions {
  /** Numerator of the scale. */
  readonly alpha?: number
  /** Which slices of fused projections loralib's MergedLinear adapts. */
  readonly enableLora?: readonly boolean[]
  /** Kernel sizes of loralib's convolutions, by the end of the module's name. */
  readonly kernelSizes?: Readonly<Record<string, number>>
  /** Ends of the names of embeddings. */
  readonly embeddings?: readonly string[]
  /** Which part of a pipeline: `unet`, `text_encoder`. */
  readonly component?: string
  /** PEFT's task, `SEQ_CLS`. */
  readonly taskType?: string
  /** What the configuration shall call the base model. */
  readonly baseModel?: string
  /** For inspection only: slices whose place in a fused projection is not told are taken as all there are. */
  readonly anyPlace?: boolean
  /** Layers of the base model by name. */
  readonly modules?: ReadonlyMap<string, TargetModule>
  /** The base model's config.json. */
  readonly baseConfig?: Readonly<Record<string, unknown>>
}

/** What the written file depends on beside the adapter. */
export interface AdapterWriteOptions extends Pick<AdapterReadOptions, 'modules' | 'baseConfig'> {
  /** Names and orientation in `.onnx_adapter`: PEFT's, or Olive's (transposed, without prefix). */
  readonly layout?: 'peft' | 'olive'
}

/** One file format of adapters. */
export interface AdapterFormat {
  /** What `convert` calls it. */
  readonly name: string
  /** What its path is: `folder with adapters.safetensors`. */
  readonly description: string
  /** Whether it is a folder, not one file. */
  readonly isFolder?: boolean
  /** Whether the path holds it, by the names and heads of files. */
  holds(files: Files, path: string): Promise<boolean>
  /** Whether a path that is to be written is of it, by its ending. */
  takes(path: string): boolean
  /** Reads the adapter. @throws InvalidAdapterError if it is damaged or lacks what an option must tell */
  read(files: Files, path: string, options: AdapterReadOptions): Promise<AdapterFile>
  /** Missing where a format is read only. */
  write?(files: Files, path: string, adapter: AdapterFile, options: AdapterWriteOptions): Promise<readonly ConversionNote[]>
}

/** A and B of one layer. */
export interface LoraPair {
  readonly module: string
  readonly isEmbedding: boolean
  readonly A: HostTensor
  readonly B: HostTensor
  readonly r: number
  /** Numerator of the scale, after patterns. */
  readonly alpha: number
  /** alpha/r, or alpha/√r with rsLoRA. */
  readonly scale: number
  /** Of DoRA. */
  readonly magnitude?: HostTensor
  /** Of `lora_bias`. */
  readonly bias?: HostTensor
}

/** An adapter by layers, and what it holds beside them, by the names of the model. */
export interface SplitAdapter {
  readonly pairs: readonly LoraPair[]
  /** Biases and modules saved whole. */
  readonly rest: ReadonlyMap<string, HostTensor>
}

const SUFFIX = /^(.*)\.(lora_A\.weight|lora_embedding_A)$/

/** @throws InvalidAdapterError if a matrix has no partner */
export function splitAdapter({ config, tensors }: AdapterFile): SplitAdapter {
  const rest = new Map([...tensors].map(([key, tensor]) => [key.startsWith(PREFIX) ? key.slice(PREFIX.length) : key, tensor]))
  const alphas = compilePatterns(config.alphaPattern)
  const pairs: LoraPair[] = []
  for (const [name, A] of [...rest]) {
    const match = SUFFIX.exec(name)
    if (match === null) continue
    const module = match[1]!
    const isEmbedding = match[2] === 'lora_embedding_A'
    const bName = isEmbedding ? `${module}.lora_embedding_B` : `${module}.lora_B.weight`
    const B = rest.get(bName)
    const r = A.shape[0]
    if (B === undefined || r === undefined)
      throw new InvalidAdapterError(`${module} has ${name}, but no "${bName}" that fits; the adapter is incomplete`)
    const alpha = firstValue(alphas, module) ?? config.loraAlpha
    const magnitude = rest.get(`${module}.lora_magnitude_vector`)
    const bias = rest.get(`${module}.lora_B.bias`)
    pairs.push({
      ...{ module, isEmbedding, A, B, r, alpha, scale: scaleOf(alpha, r, config.useRslora) },
      ...(magnitude !== undefined && { magnitude }),
      ...(bias !== undefined && { bias }),
    })
    for (const used of [name, bName, `${module}.lora_magnitude_vector`, `${module}.lora_B.bias`]) rest.delete(used)
  }
  const orphan = [...rest.keys()].find((name) => /\.lora_(embedding_)?[AB](\.weight)?$/.test(name))
  if (orphan !== undefined) throw new InvalidAdapterError(`the adapter has "${orphan}", but not the other matrix of its layer`)
  return { pairs, rest }
}

/** What a configuration says of a layer. */
export interface RankAndAlpha {
  readonly module: string
  readonly r: number
  readonly alpha: number
}

function mostCommon(values: readonly number[]): number {
  const counts = new Map<number, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].reduce((a, b) => (b[1] > a[1] ? b : a))[0]
}

/**
 * Names for `target_modules`: the last part of each name where every layer of the list 0, 1, … has the same modules, else
 * whole names, which match nothing but themselves.
 */
export function targetNames(modules: readonly string[]): string[] {
  const parts = modules.map((name) => /^(.*?\.)(\d+)\.(.*)$/.exec(name))
  const layers = new Map<string, Set<string>>()
  for (const match of parts) {
    if (match === null) return [...modules]
    const layer = `${match[1]}${match[2]}`
    layers.set(layer, (layers.get(layer) ?? new Set()).add(match[3]!))
  }
  const lists = new Set(parts.map((match) => match![1]))
  const [first] = layers.values()
  const regular =
    lists.size === 1 &&
    [...layers.keys()].every((_, i) => layers.has(`${[...lists][0]}${i}`)) &&
    [...layers.values()].every((set) => set.size === first!.size && [...set].every((name) => first!.has(name)))
  if (!regular) return [...modules]
  const endings = [...first!].map(lastPart)
  // Two modules of a block with the same last part keep enough of their names to be told apart.
  return new Set(endings).size === endings.length ? endings : [...first!]
}

/** A configuration for layers with their own rank and alpha: the most common ones on top, patterns for the others. */
export function configFor(layers: readonly RankAndAlpha[], fields: Partial<LoraConfig> = {}): LoraConfig {
  const r = mostCommon(layers.map((layer) => layer.r))
  const loraAlpha = mostCommon(layers.map((layer) => layer.alpha))
  return {
    ...loraDefaults,
    r,
    loraAlpha,
    targetModules: targetNames(layers.map(({ module }) => module)),
    rankPattern: Object.fromEntries(layers.filter((l) => l.r !== r).map((l) => [l.module, l.r])),
    alphaPattern: Object.fromEntries(layers.filter((l) => l.alpha !== loraAlpha).map((l) => [l.module, l.alpha])),
    ...fields,
  }
}

export const reshape = (tensor: HostTensor, shape: readonly number[]): HostTensor => {
  if (elementCount(shape) !== elementCount(tensor.shape))
    throw new InvalidAdapterError(`a tensor of shape [${tensor.shape.join(', ')}] cannot be read as [${shape.join(', ')}]`)
  return { ...tensor, shape }
}

/** The tensor times a number, in float32; itself where the number is 1. */
export const scaled = (tensor: HostTensor, factor: number): HostTensor =>
  factor === 1
    ? tensor
    : { dtype: 'float32', shape: tensor.shape, data: toFloat32(tensor).map((value) => Math.fround(value * factor)) }

/** Whether multiplying by a number only changes exponents. */
export const isPowerOfTwo = (factor: number): boolean => Math.log2(factor) % 1 === 0

/** Refuses what a format of plain pairs cannot say. @throws InvalidAdapterError */
export function refuseVariants(
  pairs: readonly LoraPair[],
  format: string,
  allowed: { dora?: boolean; conv?: boolean } = {},
): void {
  for (const { module, magnitude, bias, A } of pairs) {
    const what =
      magnitude !== undefined && allowed.dora !== true
        ? 'DoRA (a magnitude vector)'
        : bias !== undefined
          ? 'a bias of B (lora_bias)'
          : A.shape.length !== 2 && allowed.conv !== true
            ? `a convolution's matrix A [${A.shape.join(', ')}]`
            : undefined
    if (what !== undefined)
      throw new InvalidAdapterError(
        `${module} has ${what}, which ${format} cannot hold; merge the adapter into the model instead`,
      )
  }
}
