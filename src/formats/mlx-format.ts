/**
 * @file Adapters of mlx-lm: a folder with `adapters.safetensors` and `adapter_config.json`. Matrices are transposed against
 * PEFT's (lora_a [in, r], lora_b [r, out]), names have no prefix, and one `scale` multiplies the product: alpha/r in PEFT.
 */
import { transposeHost } from '../graph/transpose.js'
import { PREFIX } from '../adapters/lora.js'
import { lastPart } from '../adapters/targets.js'
import { InvalidAdapterError } from '../errors.js'
import type { HostTensor } from '../graph/types.js'
import { PythonFloat, pythonJson, type JsonValue } from '../util/python-json.js'
import {
  configFor,
  isPowerOfTwo,
  refuseVariants,
  scaled,
  splitAdapter,
  type AdapterFormat,
  type ConversionNote,
  type LoraPair,
  type RankAndAlpha,
} from './adapter-file.js'
import { encodeSafetensors, loadTensor, readSafetensorsHeader } from './safetensors.js'
import { parseJsonObject } from '../util/json.js'

const TENSORS = 'adapters.safetensors'
const CONFIG = 'adapter_config.json'

const EMBEDDINGS = ['embed_tokens', 'wte', 'wpe', 'tok_embeddings', 'word_embeddings', 'embedding', 'embeddings']

/** The largest number that occurs, or undefined for none. */
const commonScale = (pairs: readonly LoraPair[]): number => Math.max(...pairs.map(({ scale }) => scale))

/** Rows of zeros below A and columns beside B: the product stays. Inputs and results are in mlx's orientation. */
function padded(tensor: HostTensor, shape: readonly [number, number]): HostTensor {
  const [rows, columns] = tensor.shape as [number, number]
  if (rows === shape[0] && columns === shape[1]) return tensor
  const data = new (tensor.data.constructor as new (n: number) => HostTensor['data'])(shape[0] * shape[1])
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) data[i * shape[1] + j] = tensor.data[i * columns + j]!
  return { dtype: tensor.dtype, shape, data }
}

/** Names for `keys`: relative to a block where all blocks are alike, else whole names; mlx-lm takes both. */
function keysOf(modules: readonly string[]): string[] {
  const relative = modules.map((name) => /^(.*?\.)(\d+)\.(.*)$/.exec(name))
  if (relative.some((match) => match === null)) return [...modules]
  const names = new Set(relative.map((match) => match![3]!))
  const layers = new Set(relative.map((match) => match![2]!))
  const lists = new Set(relative.map((match) => match![1]!))
  const regular =
    lists.size === 1 && names.size * layers.size === modules.length && [...layers].every((_, i) => layers.has(String(i)))
  return regular ? [...names] : [...modules]
}

async function readConfig(
  text: string,
  path: string,
): Promise<{ scale: number; dropout: number; dora: boolean; model: string | null }> {
  const config = parseJsonObject(text, path, InvalidAdapterError)
  const type = config['fine_tune_type'] ?? 'lora'
  if (type !== 'lora' && type !== 'dora')
    throw new InvalidAdapterError(`${path}: "fine_tune_type" ${JSON.stringify(type)} is no adapter; expected "lora" or "dora"`)
  const parameters = (config['lora_parameters'] ?? {}) as Record<string, unknown>
  const { scale, dropout = 0 } = parameters
  if (typeof scale !== 'number' || !Number.isFinite(scale) || typeof dropout !== 'number')
    throw new InvalidAdapterError(
      `${path}: "lora_parameters" must hold numbers "scale" and "dropout", got ${JSON.stringify(parameters)}`,
    )
  const model = config['model']
  return { scale, dropout, dora: type === 'dora', model: typeof model === 'string' ? model : null }
}

export const mlxFormat: AdapterFormat = {
  name: 'mlx',
  description: 'a folder of mlx-lm with adapters.safetensors and adapter_config.json',
  isFolder: true,
  holds: (files, path) => files.exists(`${path}/${TENSORS}`),
  takes: () => false,

  async read(files, path, options) {
    const config = await readConfig(await files.readText(`${path}/${CONFIG}`), `${path}/${CONFIG}`)
    const { tensors: header } = await readSafetensorsHeader(files, `${path}/${TENSORS}`)
    const tensors = new Map<string, HostTensor>()
    const layers: RankAndAlpha[] = []
    for (const [name, place] of header) {
      const match = /^(.*)\.(lora_a|lora_b|m)$/.exec(name)
      if (match === null)
        throw new InvalidAdapterError(
          `${path}/${TENSORS}: tensor "${name}" is no lora_a, lora_b or m; only adapters can be converted`,
        )
      const [, module, kind] = match as unknown as [string, string, string]
      const found = options.modules?.get(module)
      const isEmbedding = found === undefined ? EMBEDDINGS.includes(lastPart(module)) : found.kind === 'Embedding'
      const stored = await loadTensor(files, place)
      const key = `${PREFIX}${module}`
      if (kind === 'm') {
        if (isEmbedding)
          throw new InvalidAdapterError(
            `${path}/${TENSORS}: "${name}" has a magnitude for each row of an embedding; PEFT's has one for each column`,
          )
        tensors.set(`${key}.lora_magnitude_vector`, stored)
        continue
      }
      const other = header.get(`${module}.${kind === 'lora_a' ? 'lora_b' : 'lora_a'}`)
      const r = kind === 'lora_a' ? stored.shape[1] : stored.shape[0]
      if (stored.shape.length !== 2 || other?.shape.length !== 2 || (kind === 'lora_a' ? other.shape[0] : other.shape[1]) !== r)
        throw new InvalidAdapterError(
          `${path}/${TENSORS}: "${name}" [${stored.shape.join(', ')}] and its partner must be matrices [in, r] and [r, out]; layers of experts cannot be converted`,
        )
      tensors.set(
        `${key}.${isEmbedding ? 'lora_embedding_' : 'lora_'}${kind === 'lora_a' ? 'A' : 'B'}${isEmbedding ? '' : '.weight'}`,
        transposeHost(stored),
      )
      if (kind === 'lora_a') layers.push({ module, r: r!, alpha: config.scale * r! })
    }
    if (layers.length === 0) throw new InvalidAdapterError(`${path}/${TENSORS} holds no lora_a; the adapter is empty`)
    return {
      config: configFor(layers, {
        loraDropout: config.dropout,
        useDora: config.dora,
        baseModelNameOrPath: options.baseModel ?? config.model,
        taskType: options.taskType ?? 'CAUSAL_LM',
      }),
      tensors,
      notes: [],
    }
  },

  async write(files, path, adapter) {
    const { pairs, rest } = splitAdapter(adapter)
    refuseVariants(pairs, 'mlx-lm', { dora: true })
    const notes: ConversionNote[] = []
    const dora = pairs.some(({ magnitude }) => magnitude !== undefined)
    const rank = Math.max(...pairs.map(({ r }) => r))
    const scale = commonScale(pairs)
    const tensors = new Map<string, HostTensor>()
    for (const { module, isEmbedding, A, B, scale: own, magnitude } of pairs) {
      if (dora && (isEmbedding || magnitude === undefined))
        throw new InvalidAdapterError(`${module}: in mlx-lm DoRA is for all layers or none, and for no embedding`)
      const [a, b] = [transposeHost(A), transposeHost(scaled(B, own === scale ? 1 : own / scale))]
      tensors.set(`${module}.lora_a`, padded(a, [a.shape[0]!, rank]))
      tensors.set(`${module}.lora_b`, padded(b, [rank, b.shape[1]!]))
      if (magnitude !== undefined) tensors.set(`${module}.m`, magnitude)
    }
    if (pairs.some(({ r }) => r !== rank))
      notes.push({ text: `mlx-lm has one rank: smaller ones are filled up to ${rank} with zeros`, loss: false })
    if (pairs.some((pair) => pair.scale !== scale))
      notes.push({
        text: `mlx-lm has one scale, ${scale}: B of layers with another is multiplied`,
        loss: pairs.some((pair) => !isPowerOfTwo(pair.scale / scale)),
      })
    if (rest.size > 0)
      notes.push({ text: `left out, as mlx-lm loads only LoRA matrices: ${[...rest.keys()].join(', ')}`, loss: true })
    const config: Record<string, JsonValue | PythonFloat> = {
      fine_tune_type: dora ? 'dora' : 'lora',
      model: adapter.config.baseModelNameOrPath,
      // All layers; `keys` says which modules of each.
      num_layers: -1,
    }
    await files.makeFolder(path)
    await files.write(`${path}/${TENSORS}`, encodeSafetensors(tensors))
    const lora = {
      dropout: new PythonFloat(adapter.config.loraDropout),
      keys: keysOf(pairs.map(({ module }) => module)),
      rank,
      scale: new PythonFloat(scale),
    }
    await files.write(`${path}/${CONFIG}`, pythonJson({ ...config, lora_parameters: lora } as never))
    return notes
  },
}
