/** @file PEFT adapter folders: `adapter_config.json` and `adapter_model.safetensors` (or the older `.bin`), read strictly and written exactly. */
import { InvalidAdapterError } from '../errors.js'
import type { LoraConfig } from '../adapters/lora-config.js'
import type { HostTensor } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { checkIsFolderName } from '../io/places.js'
import { formatAdapterConfig, parseAdapterConfig, type ParsedAdapterConfig } from './peft-config.js'
import { plainKeys } from './peft-keys.js'
import { encodeSafetensors, loadTensor, readSafetensorsHeader } from './safetensors.js'
import { readTorchTensors } from './torch/index.js'

export const CONFIG_FILE = 'adapter_config.json'
export const TENSORS_FILE = 'adapter_model.safetensors'
/** The tensors of adapters that PEFT wrote before 0.6, or with `safe_serialization=False`. */
export const TORCH_TENSORS_FILE = 'adapter_model.bin'
/**
 * What an adapter's folder says of its head beside PEFT's own files, in the words of config.json. It cannot be a config.json:
 * transformers takes a folder with one for a whole model.
 */
export const HEAD_FILE = 'head_config.json'

/** An adapter as its folder holds it; nothing is checked against a model yet. */
export interface AdapterFolder extends ParsedAdapterConfig {
  /** By the keys of PEFT's own files, `base_model.model.<module>.lora_A.weight`, in the order of the file. */
  readonly tensors: Map<string, HostTensor>
}

/** Folders below that hold an adapter: PEFT stores adapters not named "default" in a folder of their name. */
async function adaptersBelow(files: Files, folder: string): Promise<string[]> {
  const found: string[] = []
  for (const name of await files.list(folder)) {
    const path = `${folder}/${name}`
    if ((await files.isDirectory(path)) && (await files.exists(`${path}/${CONFIG_FILE}`))) found.push(path)
  }
  return found
}

/**
 * The file of a folder that holds the tensors; safetensors where both are there, as PEFT takes it.
 * @throws InvalidAdapterError if the folder is no adapter or incomplete
 */
export async function tensorsFile(files: Files, folder: string): Promise<string> {
  if (!(await files.isDirectory(folder))) throw new InvalidAdapterError(`adapter folder "${folder}" does not exist`)
  if (!(await files.exists(`${folder}/${CONFIG_FILE}`))) {
    const below = await adaptersBelow(files, folder)
    throw new InvalidAdapterError(
      `"${folder}" holds no ${CONFIG_FILE}; expected a PEFT adapter folder${below.length === 0 ? '' : `; did you mean ${below.join(' or ')}?`}`,
    )
  }
  for (const name of [TENSORS_FILE, TORCH_TENSORS_FILE]) if (await files.exists(`${folder}/${name}`)) return `${folder}/${name}`
  throw new InvalidAdapterError(`"${folder}" holds neither ${TENSORS_FILE} nor ${TORCH_TENSORS_FILE}; the adapter is incomplete`)
}

async function readTensors(files: Files, path: string): Promise<Map<string, HostTensor>> {
  if (path.endsWith(TORCH_TENSORS_FILE)) return (await readTorchTensors(files, path)).loaded
  const { tensors: header } = await readSafetensorsHeader(files, path)
  const tensors = new Map<string, HostTensor>()
  for (const [name, tensor] of header) tensors.set(name, await loadTensor(files, tensor))
  return tensors
}

/**
 * Reads a PEFT adapter folder whole; adapters are small.
 * @throws InvalidAdapterError if a file is missing or the configuration asks for maths that is not supported;
 * InvalidModelError if the file of the tensors is damaged
 * @example
 * const { config, tensors } = await readAdapterFolder(environment.files, 'my-adapter')
 */
export async function readAdapterFolder(files: Files, folder: string): Promise<AdapterFolder> {
  const path = await tensorsFile(files, folder)
  const source = `${folder}/${CONFIG_FILE}`
  const parsed = parseAdapterConfig(await files.readText(source), source)
  return { ...parsed, tensors: plainKeys(await readTensors(files, path), path) }
}

/** What is written: the configuration with its targets as they shall be stored, and the tensors by PEFT's keys. */
export interface AdapterToWrite {
  /** PEFT's configuration in camelCase. */
  readonly config: LoraConfig
  /** Tensors by PEFT's keys. */
  readonly tensors: ReadonlyMap<string, HostTensor>
  /** Keys of adapter_config.json that PEFT does not know. */
  readonly unknownKeys?: Readonly<Record<string, unknown>>
  /** Further files of the folder, by name. */
  readonly more?: ReadonlyMap<string, Uint8Array>
}

/** @throws InvalidOptionError for the name of a file */
export const checkAdapterFolderName = (files: Files, folder: string): Promise<void> =>
  checkIsFolderName(files, folder, `${CONFIG_FILE} and ${TENSORS_FILE}; \`lowrank convert\` makes files of other formats of it`)

/**
 * Writes a PEFT adapter folder that Python's `PeftModel.from_pretrained` loads. Each file appears whole or not at all;
 * the configuration comes last, so that a folder with one has its tensors.
 * @example
 * await writeAdapterFolder(environment.files, 'my-adapter', { config, tensors, unknownKeys: {} })
 */
export async function writeAdapterFolder(files: Files, folder: string, adapter: AdapterToWrite): Promise<void> {
  await checkAdapterFolderName(files, folder)
  await files.makeFolder(folder)
  await files.write(`${folder}/${TENSORS_FILE}`, encodeSafetensors(adapter.tensors))
  for (const [name, bytes] of adapter.more ?? []) await files.write(`${folder}/${name}`, bytes)
  await files.write(`${folder}/${CONFIG_FILE}`, formatAdapterConfig(adapter))
}
