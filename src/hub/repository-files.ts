/** @file Which files of a repository lowrank needs. */
import { HubError } from '../errors.js'

/** What a repository may hold: a base model or a PEFT adapter. */
type Holding = 'model' | 'adapter'

/** What to take from it; `any` takes what there is. */
export type RepositoryKind = Holding | 'any'

export const INDEX = 'model.safetensors.index.json'
const SINGLE = 'model.safetensors'

const SMALL: Readonly<Record<Holding, readonly string[]>> = {
  model: [
    'config.json',
    'generation_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'special_tokens_map.json',
    'added_tokens.json',
    'chat_template.jinja',
    'chat_template.json',
    'vocab.json',
    'merges.txt',
    'tokenizer.model',
  ],
  adapter: ['adapter_config.json'],
}

/** The file without which a folder is none of that kind. */
export const configFile: Readonly<Record<Holding, string>> = { model: 'config.json', adapter: 'adapter_config.json' }

export interface Selection {
  /** Files to get now, small ones first, so that a mistake shows before gigabytes are on their way. */
  readonly files: readonly string[]
  /** Whether the shards must still be looked up in the index. */
  readonly sharded: boolean
}

/**
 * Chooses files out of a repository's listing. Other formats of the same weights (`consolidated.safetensors`,
 * `pytorch_model.bin`, sub-folders) are left alone.
 * @throws HubError if the repository does not hold a model or an adapter that we can read
 */
export function selectFiles(asked: RepositoryKind, listed: ReadonlySet<string>, repository: string): Selection {
  const kind = asked === 'any' ? (listed.has(configFile.adapter) ? 'adapter' : 'model') : asked
  const config = configFile[kind]
  const bin = [...listed].filter((path) => /\.(bin|pt|pth|h5|gguf|msgpack|onnx)$/.test(path))
  const instead = bin.length > 0 ? `; it has ${bin.slice(0, 3).join(', ')}: convert it to safetensors first` : ''
  if (!listed.has(config)) {
    const other: Holding = kind === 'model' ? 'adapter' : 'model'
    const hint = listed.has(configFile[other]) ? `; it holds ${other === 'adapter' ? 'an adapter' : 'a model'}` : ''
    throw new HubError(`repository "${repository}" has no ${config}, so it holds no ${kind} that lowrank can read${hint}`)
  }
  const small = SMALL[kind].filter((path) => listed.has(path))
  if (kind === 'adapter') {
    if (!listed.has('adapter_model.safetensors'))
      throw new HubError(`repository "${repository}" has no adapter_model.safetensors${instead}`)
    return { files: [...small, 'adapter_model.safetensors'], sharded: false }
  }
  if (listed.has(SINGLE)) return { files: [...small, SINGLE], sharded: false }
  if (listed.has(INDEX)) return { files: [...small, INDEX], sharded: true }
  throw new HubError(`repository "${repository}" has neither ${SINGLE} nor ${INDEX}${instead}`)
}

/**
 * The shards that an index names, sorted.
 * @throws HubError if the index is damaged or names a file outside the repository's root
 */
export function shardsOf(indexText: string, where: string): string[] {
  let map: unknown
  try {
    map = (JSON.parse(indexText) as { weight_map?: unknown } | null)?.weight_map
  } catch (cause) {
    throw new HubError(`${where} is not valid JSON: ${(cause as Error).message}`, { cause })
  }
  if (typeof map !== 'object' || map === null) throw new HubError(`${where} has no "weight_map"`)
  const shards = [...new Set(Object.values(map as Record<string, unknown>))].sort()
  for (const shard of shards)
    if (typeof shard !== 'string' || !/^[A-Za-z0-9][\w.-]*\.safetensors$/.test(shard))
      throw new HubError(`${where} names ${JSON.stringify(shard)}; expected .safetensors files beside the index`)
  return shards as string[]
}

/** Files that a complete folder has at least; `undefined` content of the index means there is none. */
export function requiredFiles(kind: Holding, indexText: string | undefined, where: string): string[] {
  if (kind === 'adapter') return [configFile.adapter, 'adapter_model.safetensors']
  return [configFile.model, ...(indexText === undefined ? [SINGLE] : shardsOf(indexText, where))]
}
