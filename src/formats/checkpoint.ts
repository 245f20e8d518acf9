/** @file Model checkpoints: `model.safetensors`, or shards listed in `model.safetensors.index.json`. */
import { InvalidModelError } from '../errors.js'
import type { FileTensor } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { readSafetensorsHeader } from './safetensors.js'

/** A file of a checkpoint, by its name in the folder. */
export interface Shard {
  readonly file: string
  readonly tensors: readonly string[]
  /** The file's own `__metadata__`. */
  readonly metadata: Readonly<Record<string, string>>
}

export interface Checkpoint {
  /** Every tensor of the model by its name; none is in memory. */
  readonly weights: ReadonlyMap<string, FileTensor>
  /** One entry for a single file. */
  readonly shards: readonly Shard[]
  /** The whole `model.safetensors.index.json`, or undefined for a single file. */
  readonly index: Readonly<Record<string, unknown>> | undefined
}

export const SINGLE_FILE = 'model.safetensors'
export const INDEX_FILE = 'model.safetensors.index.json'

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Tensor name to file name, checked: a file is a plain name inside the folder. */
function readWeightMap(index: unknown, path: string): Map<string, string> {
  const map = isObject(index) ? index['weight_map'] : undefined
  if (!isObject(map) || Object.keys(map).length === 0)
    throw new InvalidModelError(
      `${path}: expected an object with a "weight_map" from tensor names to files; the file is damaged, get it again`,
    )
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== 'string' || file === '' || file.startsWith('.') || /[/\\:\0]/.test(file))
      throw new InvalidModelError(
        `${path}: tensor "${tensor}" is said to be in ${JSON.stringify(file)}; expected the name of a file in the same folder`,
      )
  }
  return new Map(Object.entries(map) as [string, string][])
}

async function openShards(files: Files, folder: string): Promise<Checkpoint> {
  const path = `${folder}/${INDEX_FILE}`
  let index: unknown
  try {
    index = JSON.parse(await files.readText(path))
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new InvalidModelError(`${path} is not valid JSON: ${cause.message}`, { cause })
  }
  const weightMap = readWeightMap(index, path)
  const names = [...new Set(weightMap.values())]
  const missing: string[] = []
  for (const file of names) if (!(await files.exists(`${folder}/${file}`))) missing.push(file)
  if (missing.length > 0)
    throw new InvalidModelError(
      `${folder}: ${missing.length} of ${names.length} shards listed in ${INDEX_FILE} are missing: ${missing.join(', ')}; get them and run again`,
    )
  const weights = new Map<string, FileTensor>()
  const shards: Shard[] = []
  for (const file of names) {
    const { tensors, metadata } = await readSafetensorsHeader(files, `${folder}/${file}`)
    for (const [name, tensor] of tensors) {
      const listed = weightMap.get(name)
      if (listed !== file)
        throw new InvalidModelError(
          `${folder}/${file}: holds tensor "${name}", which ${INDEX_FILE} ${listed === undefined ? 'does not list' : `says is in ${listed}`}; the files do not belong together`,
        )
      weights.set(name, tensor)
    }
    shards.push({ file, tensors: [...tensors.keys()], metadata })
  }
  const absent = [...weightMap].filter(([name]) => !weights.has(name))
  if (absent.length > 0)
    throw new InvalidModelError(
      `${folder}: ${absent.length} tensors listed in ${INDEX_FILE} are not in their shards: ` +
        `${absent
          .slice(0, 10)
          .map(([name, file]) => `"${name}" in ${file}`)
          .join(', ')}${absent.length > 10 ? ', …' : ''}`,
    )
  return { weights, shards, index: index as Record<string, unknown> }
}

/**
 * Reads the headers of a model folder's weights.
 * @throws InvalidModelError for a damaged file, a missing shard, or weights in another format than safetensors
 */
export async function openCheckpoint(files: Files, folder: string): Promise<Checkpoint> {
  // As transformers does: the single file is taken where both are there.
  if (await files.exists(`${folder}/${SINGLE_FILE}`)) {
    const { tensors, metadata } = await readSafetensorsHeader(files, `${folder}/${SINGLE_FILE}`)
    return { weights: tensors, shards: [{ file: SINGLE_FILE, tensors: [...tensors.keys()], metadata }], index: undefined }
  }
  if (await files.exists(`${folder}/${INDEX_FILE}`)) return openShards(files, folder)
  if (!(await files.isDirectory(folder))) throw new InvalidModelError(`model folder "${folder}" does not exist`)
  const pickles = (await files.list(folder)).filter((name) => /^pytorch_model.*\.(bin|bin\.index\.json)$/.test(name))
  if (pickles.length > 0)
    throw new InvalidModelError(
      `${folder} holds its weights as ${pickles[0]!}, a Python pickle; convert it to safetensors ` +
        '(in Python: AutoModelForCausalLM.from_pretrained(folder).save_pretrained(other, safe_serialization=True))',
    )
  throw new InvalidModelError(`${folder} holds no weights: expected ${SINGLE_FILE}, or ${INDEX_FILE} with its shards`)
}
