/** @file Which files of a repository lowrank needs. */
import { HubError } from '../errors.js'
import { isNamedTemplate, TEMPLATE_FOLDER, TOKENIZER_FILE, TOKENIZER_FILES } from '../formats/tokenizer-files.js'

/** What a repository may hold: a base model, with its weights or what reads rows alone; a PEFT adapter; a tokenizer, with a model or without. */
type Holding = 'model' | 'outline' | 'adapter' | 'tokenizer'

/** What to take from it; `outline` takes what tells how a model reads rows, without its weights, and `any` what there is. */
export type RepositoryKind = Holding | 'any'

/** The weights of each kind, in the order in which they are taken: safetensors goes before torch files. */
const SINGLES = ['model.safetensors', 'pytorch_model.bin'] as const
const INDEXES = ['model.safetensors.index.json', 'pytorch_model.bin.index.json'] as const
const ADAPTERS = ['adapter_model.safetensors', 'adapter_model.bin'] as const

/** Whole files and indexes in the order in which the reader of checkpoints looks for them. */
const WEIGHTS = [SINGLES[0], INDEXES[0], SINGLES[1], INDEXES[1]] as const

/** A tokenizer, and where texts end. */
const TOKENIZER = ['generation_config.json', ...TOKENIZER_FILES]

/** Files that describe a model, its tokenizer among them. */
const DESCRIBING = ['config.json', ...TOKENIZER]

/** Files that describe a model, and how embeddings are made of it. */
const OUTLINE = [...DESCRIBING, ...['modules.json', 'sentence_bert_config.json', 'config_sentence_transformers.json']]

const SMALL: Readonly<Record<Holding, readonly string[]>> = {
  model: OUTLINE,
  outline: OUTLINE,
  tokenizer: [...DESCRIBING, 'sentence_bert_config.json'],
  // Of an adapter for a larger vocabulary the base's tokenizer lacks tokens.
  adapter: ['adapter_config.json', 'head_config.json', ...TOKENIZER],
}

/** Folders in which some of the files lie: of sentence-transformers' modules (`1_Pooling`, `2_Dense`), and of chat templates. */
export const isFolderToList = (path: string): boolean => /^\d+_[A-Za-z]\w*$/.test(path) || path === TEMPLATE_FOLDER

/** What lies in them: `1_Pooling/config.json`, `2_Dense/model.safetensors`. */
const MODULE_FILE = /^(\d+_[A-Za-z]\w*)\/(config\.json|model\.safetensors|pytorch_model\.bin)$/

/** Those of a listing; of a module's weights one kind. */
function moduleFiles(listed: ReadonlySet<string>): string[] {
  if (!listed.has('modules.json')) return []
  return [...listed].filter((path) => {
    const [, folder, file] = MODULE_FILE.exec(path) ?? []
    return folder !== undefined && !(file === 'pytorch_model.bin' && listed.has(`${folder}/model.safetensors`))
  })
}

/** Whether a file names others, in which the weights are. */
export const isIndex = (file: string): boolean => (INDEXES as readonly string[]).includes(file)

/** The files that hold the weights, or name those that do, in the order in which they are taken. */
export const tensorFiles: Readonly<Record<'model' | 'adapter', readonly string[]>> = { model: WEIGHTS, adapter: ADAPTERS }

/** Those files of a listing that describe what it holds: configuration, tokenizer, chat templates, further modules. */
export function describingFiles(kind: Holding, listed: ReadonlySet<string>): string[] {
  const templates = [...listed].filter((path) => isNamedTemplate(path) && !TOKENIZER_FILES.includes(path))
  return [...SMALL[kind].filter((path) => listed.has(path)), ...templates, ...(kind === 'model' ? moduleFiles(listed) : [])]
}

/** Every file by which the weights are told. */
export const weightFiles: readonly string[] = [...WEIGHTS, ...ADAPTERS]

/** The file without which a folder is none of that kind. */
export const configFile: Readonly<Record<Holding, string>> = {
  model: 'config.json',
  outline: 'config.json',
  adapter: 'adapter_config.json',
  tokenizer: TOKENIZER_FILE,
}

export interface Selection {
  /** Files to get now, small ones first, so that a mistake shows before gigabytes are on their way. */
  readonly files: readonly string[]
  /** The index in which the shards must still be looked up. */
  readonly index?: string
}

/** A repository may hold a tokenizer and nothing else. */
const outlineOf = (there: ReadonlySet<string>): Holding =>
  !there.has(configFile.outline) && there.has(configFile.tokenizer) ? 'tokenizer' : 'outline'

/**
 * Chooses files out of a repository's listing. Other formats of the same weights (`consolidated.safetensors`,
 * `tf_model.h5`, sub-folders, torch files beside safetensors) are left alone.
 * @throws HubError if the repository does not hold a model or an adapter that we can read
 */
export function selectFiles(asked: RepositoryKind, listed: ReadonlySet<string>, repository: string): Selection {
  const kind =
    asked === 'any' ? (listed.has(configFile.adapter) ? 'adapter' : 'model') : asked === 'outline' ? outlineOf(listed) : asked
  const config = configFile[kind]
  const bin = [...listed].filter((path) => /\.(bin|pt|pth|h5|gguf|msgpack|onnx)$/.test(path))
  const instead = bin.length > 0 ? `; it has ${bin.slice(0, 3).join(', ')}: convert it to safetensors first` : ''
  if (!listed.has(config)) {
    const other: Holding = kind === 'model' ? 'adapter' : 'model'
    const hint = listed.has(configFile[other]) ? `; it holds ${other === 'adapter' ? 'an adapter' : 'a model'}` : ''
    throw new HubError(`repository "${repository}" has no ${config}, so it holds no ${kind} that lowrank can read${hint}`)
  }
  const small = describingFiles(kind, listed)
  if (kind === 'tokenizer') return { files: small }
  if (kind === 'outline') return { files: [...small, ...moduleFiles(listed)] }
  if (kind === 'adapter') {
    const tensors = ADAPTERS.find((file) => listed.has(file))
    if (tensors === undefined) throw new HubError(`repository "${repository}" has neither ${ADAPTERS.join(' nor ')}${instead}`)
    return { files: [...small, tensors] }
  }
  const weights = WEIGHTS.find((file) => listed.has(file))
  if (weights === undefined) throw new HubError(`repository "${repository}" has none of ${WEIGHTS.join(', ')}${instead}`)
  return { files: [...small, weights], ...(isIndex(weights) && { index: weights }) }
}

/**
 * The shards that an index names, sorted; all of the index's own kind.
 * @throws HubError if the index is damaged or names a file outside the repository's root
 */
export function shardsOf(indexText: string, where: string): string[] {
  const ending = where.endsWith(INDEXES[1]) ? '.bin' : '.safetensors'

  let map: unknown
  try {
    map = (JSON.parse(indexText) as { weight_map?: unknown } | null)?.weight_map
  } catch (cause) {
    throw new HubError(`${where} is not valid JSON: ${(cause as Error).message}`, { cause })
  }
  if (typeof map !== 'object' || map === null) throw new HubError(`${where} has no "weight_map"`)
  const shards = [...new Set(Object.values(map as Record<string, unknown>))].sort()
  for (const shard of shards)
    if (typeof shard !== 'string' || !/^[A-Za-z0-9][\w.-]*$/.test(shard) || !shard.endsWith(ending))
      throw new HubError(`${where} names ${JSON.stringify(shard)}; expected ${ending} files beside the index`)
  return shards as string[]
}

/**
 * Files that a complete folder has at least.
 * @param there files of the folder
 * @param textOf content of an index, asked for where it decides
 */
export async function requiredFiles(
  kind: Holding,
  there: ReadonlySet<string>,
  textOf: (index: string) => Promise<string>,
): Promise<string[]> {
  if (kind === 'tokenizer') return [configFile.tokenizer]
  if (kind === 'outline') return [configFile[outlineOf(there)]]
  if (kind === 'adapter') return [configFile.adapter, ADAPTERS.find((file) => there.has(file)) ?? ADAPTERS[0]]
  const weights = WEIGHTS.find((file) => there.has(file)) ?? WEIGHTS[0]
  return [configFile.model, ...(isIndex(weights) ? shardsOf(await textOf(weights), weights) : [weights])]
}
