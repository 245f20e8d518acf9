/**
 * @file What sentence-transformers keeps beside a model: modules.json, and with it the pooling, layers behind it, the longest
 * text, lower case and prompts.
 */
import { InvalidModelError } from '../errors.js'
import { formatShape, type HostTensor } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { poolings, type EmbeddingLayer, type Pooling } from '../losses/embedding.js'
import { loadTensor, readSafetensorsHeader } from './safetensors.js'
import { readTorchTensors } from './torch/index.js'
import { readJson, readJsonObject } from '../util/json.js'

/** How a folder says that its embeddings are made. */
export interface SentenceSettings {
  /** How states become one vector; several are put side by side. */
  readonly pooling: readonly Pooling[]
  /** Whether tokens of the prompt are pooled as well. */
  readonly includePrompt: boolean
  /** Layers behind the pooling, in order. */
  readonly layers: readonly EmbeddingLayer[]
  /** Longest text in tokens; longer ones are cut. */
  readonly maxLength?: number
  /** Texts are written in lower case before they are tokenised. */
  readonly lowercase: boolean
  /** Texts to put before a text, by name. */
  readonly prompts: Readonly<Record<string, string>>
  /** Name of the prompt that is used unless another is asked for. */
  readonly defaultPrompt?: string
  /** Why embeddings cannot be made as the folder says; the rest then says nothing of the pooling. */
  readonly unsupported?: string
}

type Json = Record<string, unknown>

const MODULES_FILE = 'modules.json'
const PROMPTS_FILE = 'config_sentence_transformers.json'

/** Names that the settings of the transformer had, by the family, the usual one first. */
const TRANSFORMER_FILES = [
  'sentence_bert_config.json',
  ...['roberta', 'distilbert', 'camembert', 'albert', 'xlm-roberta', 'xlnet'].map((name) => `sentence_${name}_config.json`),
]

/** Keys of `1_Pooling/config.json` before version 5.3, in the order in which the vectors are put side by side. */
const legacyPoolings: readonly (readonly [string, Pooling])[] = [
  ['pooling_mode_cls_token', 'cls'],
  ['pooling_mode_max_tokens', 'max'],
  ['pooling_mode_mean_tokens', 'mean'],
  ['pooling_mode_mean_sqrt_len_tokens', 'mean_sqrt_len_tokens'],
  ['pooling_mode_weightedmean_tokens', 'weightedmean'],
  ['pooling_mode_lasttoken', 'lasttoken'],
]

/** Our names of PyTorch's functions, by their class. */
const activations: Readonly<Record<string, string>> = {
  Identity: 'linear',
  Tanh: 'tanh',
  ReLU: 'relu',
  GELU: 'gelu',
  SiLU: 'silu',
  Sigmoid: 'sigmoid',
}

interface ModuleEntry {
  readonly path: string
  /** Last part of the class. */
  readonly type: string
}

/** A module's folder lies in the model's, and nowhere else. */
const PLAIN = /^[A-Za-z0-9_][\w.-]*$/

const readObject = async (files: Files, path: string): Promise<Json> =>
  (await files.exists(path)) ? readJsonObject(files, path, InvalidModelError) : {}

/** The modules of a folder, in order; undefined where it is none of sentence-transformers. */
async function readModules(files: Files, folder: string): Promise<ModuleEntry[] | undefined> {
  const path = `${folder}/${MODULES_FILE}`
  if (!(await files.exists(path))) return undefined
  const list = await readJson(files, path, InvalidModelError)
  if (!Array.isArray(list)) throw new InvalidModelError(`${path}: expected a list of modules`)
  return list.map((entry: unknown, i) => {
    const { path: place = '', type } = (entry ?? {}) as { path?: unknown; type?: unknown }
    if (typeof place !== 'string' || typeof type !== 'string' || (place !== '' && !PLAIN.test(place)))
      throw new InvalidModelError(
        `${path}: module ${i} needs a "type" and the "path" of a folder beside the file, got ${JSON.stringify(entry)}`,
      )
    return { path: place, type: type.slice(type.lastIndexOf('.') + 1) }
  })
}

/** Names of the folders in a model's folder that hold its modules. */
export async function moduleFolders(files: Files, folder: string): Promise<string[]> {
  const modules = (await readModules(files, folder)) ?? []
  return [...new Set(modules.map(({ path }) => path).filter((path) => path !== ''))]
}

/**
 * The settings of a folder; undefined where modules.json is absent or names no pooling (a model of another kind).
 * @throws InvalidModelError for damaged files
 */
export async function readSentenceSettings(files: Files, folder: string): Promise<SentenceSettings | undefined> {
  const modules = await readModules(files, folder)
  const pooling = modules?.find(({ type }) => type === 'Pooling')
  if (modules === undefined || pooling === undefined) return undefined
  const transformer = await transformerSettings(files, folder)
  const { prompts, default_prompt_name: defaultPrompt } = await readObject(files, `${folder}/${PROMPTS_FILE}`)
  const poolingFile = `${folder}/${pooling.path}/config.json`
  const poolingConfig = await readObject(files, poolingFile)
  const layers: EmbeddingLayer[] = []
  let unsupported: string | undefined
  if (modules[0]!.type !== 'Transformer' || modules.indexOf(pooling) !== 1)
    unsupported = `${folder}/${MODULES_FILE}: module "${modules.find(({ type }, i) => type !== (['Transformer', 'Pooling'][i] ?? type))?.type}" before the pooling is not supported`
  for (const { type, path } of modules.slice(modules.indexOf(pooling) + 1)) {
    if (type === 'Normalize') layers.push({ kind: 'normalize' })
    else if (type === 'Dense') {
      const layer = await readDense(files, `${folder}/${path}`)
      if (typeof layer === 'string') unsupported ??= layer
      else layers.push(layer)
    }
    // Dropout is off outside of training, and the base is frozen.
    else if (type !== 'Dropout')
      unsupported ??= `${folder}/${MODULES_FILE}: module "${type}" (${path}) is not supported; supported are Transformer, Pooling, Dense, Normalize and Dropout`
  }
  return {
    ...transformer,
    pooling: readPoolings(poolingConfig, poolingFile),
    includePrompt: poolingConfig['include_prompt'] !== false,
    layers,
    prompts: readPrompts(prompts, folder),
    ...(typeof defaultPrompt === 'string' && { defaultPrompt }),
    ...(unsupported !== undefined && { unsupported }),
  }
}

/** What its tokenizer says where the settings say nothing, as later versions write it there alone; 10^30 means no limit. */
async function tokenizerLimit(files: Files, folder: string): Promise<Pick<SentenceSettings, 'maxLength'>> {
  const { model_max_length: limit } = await readObject(files, `${folder}/tokenizer_config.json`)
  return Number.isSafeInteger(limit) && (limit as number) > 0 ? { maxLength: limit as number } : {}
}

async function transformerSettings(files: Files, folder: string): Promise<Pick<SentenceSettings, 'maxLength' | 'lowercase'>> {
  for (const name of TRANSFORMER_FILES) {
    const path = `${folder}/${name}`
    if (!(await files.exists(path))) continue
    const { max_seq_length: maxLength, do_lower_case: lowercase } = await readObject(files, path)
    if (maxLength !== undefined && maxLength !== null && !(Number.isInteger(maxLength) && (maxLength as number) > 0))
      throw new InvalidModelError(
        `${path}: "max_seq_length" must be a whole number of at least 1, got ${JSON.stringify(maxLength)}`,
      )
    const own = typeof maxLength === 'number' ? { maxLength } : await tokenizerLimit(files, folder)
    return { lowercase: lowercase === true, ...own }
  }
  return { lowercase: false, ...(await tokenizerLimit(files, folder)) }
}

function readPoolings(config: Json, source: string): readonly Pooling[] {
  const given = config['pooling_mode']
  if (given === undefined) {
    const legacy = legacyPoolings.filter(([key]) => config[key] === true).map(([, mode]) => mode)
    return legacy.length === 0 ? ['mean'] : legacy
  }
  const modes = Array.isArray(given) ? (given as unknown[]) : [given]
  const wrong = modes.find((mode) => !poolings.includes(mode as Pooling))
  if (wrong !== undefined || modes.length === 0)
    throw new InvalidModelError(`${source}: "pooling_mode" is ${JSON.stringify(given)}; supported are ${poolings.join(', ')}`)
  return modes as Pooling[]
}

function readPrompts(value: unknown, folder: string): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {}
  const entries = typeof value === 'object' && !Array.isArray(value) ? Object.entries(value) : undefined
  if (entries?.every(([, text]) => typeof text === 'string' || text === null) !== true)
    throw new InvalidModelError(`${folder}/${PROMPTS_FILE}: "prompts" must be an object of texts by name`)
  return Object.fromEntries(entries.map(([name, text]) => [name, (text as string | null) ?? '']))
}

/** A dense layer, or why it cannot be. */
async function readDense(files: Files, folder: string): Promise<EmbeddingLayer | string> {
  const source = `${folder}/config.json`
  const config = await readObject(files, source)
  const name = config['activation_function']
  const activation = typeof name === 'string' ? activations[name.slice(name.lastIndexOf('.') + 1)] : activations['Tanh']
  if (activation === undefined)
    return `${source}: "activation_function" ${JSON.stringify(name)} is not supported; supported are ${Object.keys(activations).join(', ')}`
  for (const key of ['module_input_name', 'module_output_name'])
    if (![undefined, null, 'sentence_embedding'].includes(config[key] as undefined))
      return `${source}: "${key}" ${JSON.stringify(config[key])} is not supported; only "sentence_embedding" is`
  const tensors = await denseTensors(files, folder)
  const sizes = [config['out_features'], config['in_features']]
  const need = (key: string, shape: readonly unknown[]): HostTensor => {
    const tensor = tensors.get(key)
    if (tensor === undefined || tensor.dtype !== 'float32' || formatShape(tensor.shape) !== formatShape(shape as number[]))
      throw new InvalidModelError(
        `${folder}: expected a float32 tensor "${key}" ${formatShape(shape as number[])} by its config.json, found ${tensor === undefined ? 'none' : `${tensor.dtype} ${formatShape(tensor.shape)}`}`,
      )
    return tensor
  }
  const residual = config['use_residual'] === true
  return {
    kind: 'dense',
    activation,
    weight: need('linear.weight', sizes),
    ...(config['bias'] !== false && { bias: need('linear.bias', sizes.slice(0, 1)) }),
    ...(residual && { residual: sizes[0] === sizes[1] ? ('input' as const) : need('residual.weight', sizes) }),
  }
}

async function denseTensors(files: Files, folder: string): Promise<Map<string, HostTensor>> {
  const path = `${folder}/model.safetensors`
  if (!(await files.exists(path))) return (await readTorchTensors(files, `${folder}/pytorch_model.bin`)).loaded
  const loaded = new Map<string, HostTensor>()
  for (const [name, tensor] of (await readSafetensorsHeader(files, path)).tensors)
    loaded.set(name, await loadTensor(files, tensor))
  return loaded
}
