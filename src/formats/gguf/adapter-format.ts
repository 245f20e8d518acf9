/**
 * @file LoRA adapters of llama.cpp: one GGUF file with A and B of each layer under the base file's tensor names.
 *
 * llama.cpp scales by `adapter.lora.alpha` over the rank of each tensor, so one alpha serves all layers; scales that do
 * not fit it (alpha_pattern, rsLoRA with several ranks) are multiplied into B. B's rows stand in the order of the base
 * file, which for some architectures is not that of transformers, see `architectures.ts`.
 */
import { transposeHost } from '../../graph/transpose.js'
import { PREFIX } from '../../adapters/lora.js'
import { InvalidAdapterError, InvalidOptionError } from '../../errors.js'
import type { HostTensor } from '../../graph/types.js'
import type { Files } from '../../io/files.js'
import {
  configFor,
  isPowerOfTwo,
  refuseVariants,
  scaled,
  splitAdapter,
  type AdapterFile,
  type AdapterFormat,
  type AdapterReadOptions,
  type ConversionNote,
  type LoraPair,
  type RankAndAlpha,
} from '../adapter-file.js'
import {
  ggufArchitectures,
  ggufWeight,
  moduleOfWeight,
  rowOrderOf,
  rowSources,
  type GgufArchitecture,
  type RowOrder,
} from './architectures.js'
import { headsOf, readGgufBase, type GgufBase, type Heads } from './base-model.js'
import { loadGgufTensor, readGgufHeader, type GgufHeader } from './read.js'
import { MAGIC, type GgufValue } from './types.js'
import { encodeGguf } from './write.js'

const EMBEDDING = 'token_embd.weight'

/** The tensor with its rows gathered, or put back. */
function reorder(tensor: HostTensor, sources: Uint32Array, back: boolean): HostTensor {
  const [rows, columns] = tensor.shape as [number, number]
  const data = tensor.data.slice()
  for (let row = 0; row < rows; row++) {
    const [to, from] = back ? [sources[row]!, row] : [row, sources[row]!]
    for (let j = 0; j < columns; j++) data[to * columns + j] = tensor.data[from * columns + j]!
  }
  return { ...tensor, data }
}

/** @throws InvalidAdapterError if the rows are no whole heads */
function withRows(order: RowOrder, B: HostTensor, base: Heads, module: string, back: boolean): HostTensor {
  const rows = B.shape[0]!
  const heads = headsOf(order, base)
  if (rows % (order === 'by-part' ? 3 * heads : 2 * heads) !== 0)
    throw new InvalidAdapterError(
      `${module}: the ${rows} rows of B are no ${heads} heads of even width; the adapter is of another base model`,
    )
  return reorder(B, rowSources(order, rows, heads), back)
}

/** Multimodal checkpoints hold the text model one level deeper; llama.cpp's files do not. */
const textModule = (module: string): string => module.replace(/^(model\.language_model\.|language_model\.model\.)/, 'model.')

function weightOf(pair: LoraPair, { architecture, tied }: GgufBase): string {
  const { module, isEmbedding, r } = pair
  const weight = ggufWeight(architecture, textModule(module))
  if (weight === undefined)
    throw new InvalidAdapterError(
      `${module}: llama.cpp applies no adapter to this layer of a ${architecture.name} model; adapt other layers, or merge the adapter into the model`,
    )
  if (r === 0) throw new InvalidAdapterError(`${module} has rank 0, which a GGUF file cannot hold`)
  if (isEmbedding !== (weight === EMBEDDING))
    throw new InvalidAdapterError(
      `${module} is ${isEmbedding ? 'an embedding' : 'no embedding'}, unlike the layer of that name in a ${architecture.name} model`,
    )
  if (tied && (isEmbedding || weight === 'output.weight'))
    throw new InvalidAdapterError(
      `${module}: the base model uses one table as embedding and head, and llama.cpp cannot adapt one of them alone; merge the adapter into the model instead`,
    )
  return weight
}

/** The number that most layers' scale times rank is, which llama.cpp takes for all; it reads 0 as "no scaling". */
function commonAlpha(pairs: readonly LoraPair[]): number {
  const alphas = pairs.map(({ scale, r }) => scale * r).filter((alpha) => alpha !== 0)
  return alphas.length === 0 ? 1 : Math.fround(configFor(alphas.map((alpha) => ({ module: '', r: 1, alpha }))).loraAlpha)
}

async function write(
  files: Files,
  path: string,
  adapter: AdapterFile,
  options: Pick<AdapterReadOptions, 'baseConfig' | 'modules'>,
): Promise<ConversionNote[]> {
  const { pairs, rest } = splitAdapter(adapter)
  refuseVariants(pairs, 'a GGUF adapter')
  const copies = [...rest.keys()].filter((name) => name.endsWith('.base_layer.weight'))
  const whole = [...rest.keys()].filter((name) => !copies.includes(name))
  if (whole.length > 0)
    throw new InvalidAdapterError(
      `a GGUF adapter holds LoRA matrices only, and this adapter trains ${whole.slice(0, 5).join(', ')}${whole.length > 5 ? `, … (${whole.length} tensors)` : ''} besides; merge it into the model instead`,
    )
  if (pairs.length === 0) throw new InvalidAdapterError('the adapter has no LoRA matrices to write')
  if (options.baseConfig === undefined)
    throw new InvalidOptionError(
      "a GGUF adapter names llama.cpp's tensors and follows its order of rows, so the base model must be told: give model (--model)",
    )
  const base = readGgufBase(options.baseConfig, options.modules)
  const { architecture } = base
  const alpha = commonAlpha(pairs)
  const tensors = new Map<string, HostTensor>()
  const baked: number[] = []
  for (const pair of pairs) {
    const weight = weightOf(pair, base)
    const factor = (pair.scale * pair.r) / alpha
    // √r is rounded once in alpha; a factor that is 1 but for that rounding changes nothing worth a multiplication.
    const exact = Math.abs(factor - 1) < 2 ** -23
    if (!exact) baked.push(factor)
    const B = scaled(pair.B, exact ? 1 : factor)
    const order = rowOrderOf(architecture, weight)
    tensors.set(`${weight}.lora_a`, weight === EMBEDDING ? transposeHost(pair.A) : pair.A)
    tensors.set(`${weight}.lora_b`, order === undefined ? B : withRows(order, B, base, pair.module, false))
  }
  const baseName = adapter.config.baseModelNameOrPath
  const string = (value: string): GgufValue => ({ type: 'string', value })
  const count = (value: number): GgufValue => ({ type: 'uint32', value })
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', string(architecture.name)],
    ['general.type', string('adapter')],
    ['adapter.type', string('lora')],
    ['adapter.lora.alpha', { type: 'float32', value: alpha }],
    // llama.cpp takes these from the base; here they make the file readable without it.
    [`${architecture.name}.attention.head_count`, count(base.heads)],
    [`${architecture.name}.attention.head_count_kv`, count(base.kvHeads)],
    ...(baseName === null
      ? []
      : ([
          ['general.base_model.count', count(1)],
          ['general.base_model.0.name', string(baseName)],
        ] as const)),
  ])
  await files.write(path, encodeGguf(metadata, tensors))
  const notes: ConversionNote[] = []
  if (baked.length > 0)
    notes.push({
      text: `llama.cpp has one alpha, ${alpha}: B of ${baked.length} layers with another scale is multiplied`,
      loss: baked.some((factor) => !isPowerOfTwo(factor)),
    })
  if (copies.length > 0) notes.push({ text: `left out, as the base model has them: ${copies.join(', ')}`, loss: false })
  return notes
}

const text = (header: GgufHeader, key: string): string | undefined => {
  const value = header.metadata.get(key)
  return value?.type === 'string' ? value.value : undefined
}

const number = (header: GgufHeader, key: string): number | undefined => {
  const value = header.metadata.get(key)
  return typeof value?.value === 'number' ? value.value : undefined
}

function architectureOf(header: GgufHeader, path: string): GgufArchitecture {
  const name = text(header, 'general.architecture')
  const found = ggufArchitectures.find((architecture) => architecture.name === name)
  if (found !== undefined) return found
  throw new InvalidAdapterError(
    `${path}: adapters for the architecture ${JSON.stringify(name ?? null)} cannot be read; known are ${ggufArchitectures.map((a) => a.name).join(', ')}`,
  )
}

/** Heads by the file itself, or by the base model's config. */
function headsFor(header: GgufHeader, architecture: GgufArchitecture, options: AdapterReadOptions, path: string): Heads {
  if (options.baseConfig !== undefined) {
    const base = readGgufBase(options.baseConfig, options.modules)
    if (base.architecture === architecture) return base
    throw new InvalidAdapterError(`${path} is an adapter for ${architecture.name}, but the model is a ${base.architecture.name}`)
  }
  const heads = number(header, `${architecture.name}.attention.head_count`)
  if (heads !== undefined) return { heads, kvHeads: number(header, `${architecture.name}.attention.head_count_kv`) ?? heads }
  throw new InvalidOptionError(
    `${path} orders rows of B by attention heads and does not tell their number; give the base model (--model)`,
  )
}

async function read(files: Files, path: string, options: AdapterReadOptions): Promise<AdapterFile> {
  const header = await readGgufHeader(files, path)
  if (text(header, 'adapter.type') !== 'lora')
    throw new InvalidAdapterError(
      `${path}: "adapter.type" must be "lora", got ${JSON.stringify(text(header, 'adapter.type') ?? null)}`,
    )
  if (header.metadata.has('adapter.alora.invocation_tokens'))
    throw new InvalidAdapterError(`${path} is an activated LoRA (adapter.alora.invocation_tokens), which is not supported`)
  const architecture = architectureOf(header, path)
  // llama.cpp leaves the product as it is where alpha is missing or 0.
  const alpha = number(header, 'adapter.lora.alpha') ?? 0
  const deep = [...(options.modules?.keys() ?? [])].some((name) => name.startsWith('model.language_model.'))
  const tensors = new Map<string, HostTensor>()
  const layers: RankAndAlpha[] = []
  for (const [name, info] of header.tensors) {
    const weight = /^(.*)\.lora_a$/.exec(name)?.[1]
    if (weight === undefined) {
      if (header.tensors.has(name.replace(/\.lora_b$/, '.lora_a')) && name.endsWith('.lora_b')) continue
      throw new InvalidAdapterError(`${path}: tensor "${name}" is no half of a pair of .lora_a and .lora_b`)
    }
    const other = header.tensors.get(`${weight}.lora_b`)
    const module = moduleOfWeight(architecture, weight)
    if (module === undefined)
      throw new InvalidAdapterError(`${path}: tensor "${name}" belongs to no layer of a ${architecture.name} model`)
    if (other === undefined || info.shape.length !== 2 || other.shape.length !== 2)
      throw new InvalidAdapterError(`${path}: "${name}" needs a partner "${weight}.lora_b", and both must be matrices`)
    const [a, b] = [await loadGgufTensor(files, path, name, info), await loadGgufTensor(files, path, `${weight}.lora_b`, other)]
    const isEmbedding = weight === EMBEDDING
    const A = isEmbedding ? transposeHost(a) : a
    const r = A.shape[0]!
    if (b.shape[1] !== r)
      throw new InvalidAdapterError(
        `${path}: "${name}" [${a.shape.join(', ')}] and its partner [${b.shape.join(', ')}] have no common rank`,
      )
    const order = rowOrderOf(architecture, weight)
    const B =
      order === undefined || options.anyPlace === true
        ? b
        : withRows(order, b, headsFor(header, architecture, options, path), module, true)
    const full = PREFIX + (deep ? module.replace(/^model\./, 'model.language_model.') : module)
    tensors.set(isEmbedding ? `${full}.lora_embedding_A` : `${full}.lora_A.weight`, A)
    tensors.set(isEmbedding ? `${full}.lora_embedding_B` : `${full}.lora_B.weight`, B)
    layers.push({ module: full.slice(PREFIX.length), r, alpha: alpha === 0 ? r : alpha })
  }
  if (layers.length === 0) throw new InvalidAdapterError(`${path} holds no tensors`)
  return {
    config: configFor(layers, {
      baseModelNameOrPath: options.baseModel ?? text(header, 'general.base_model.0.name') ?? null,
      taskType: options.taskType ?? 'CAUSAL_LM',
    }),
    tensors,
    notes: [],
  }
}

export const ggufFormat: AdapterFormat = {
  name: 'gguf',
  description: 'a .gguf file with an adapter of llama.cpp',
  async holds(files, path) {
    if (await files.isDirectory(path)) return false
    if ((await files.size(path)) < 8) return false
    const head = new TextDecoder('latin1').decode(await files.read(path, { offset: 0, length: MAGIC.length }))
    return head === MAGIC && text(await readGgufHeader(files, path), 'general.type') === 'adapter'
  },
  takes: (path) => path.endsWith('.gguf'),
  read,
  write,
}
