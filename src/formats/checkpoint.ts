/**
 * @file Model checkpoints: `model.safetensors` or `pytorch_model.bin`, or shards listed in the `.index.json` of either.
 * Where both are there, safetensors is taken, as transformers does.
 */
import { InvalidModelError } from '../errors.js'
import type { FileTensor } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { DEFAULT_METADATA, readSafetensorsHeader, type SafetensorsHeader } from './safetensors.js'
import { inPlace, namedTensors, openTorch } from './torch/index.js'
import { isObject, readJsonObject } from '../util/json.js'

/** A file of a checkpoint. */
export interface Shard {
  /** Its name in the folder; of a torch file the name that a safetensors file in its place has. */
  readonly file: string
  /** Names of its tensors. */
  readonly tensors: readonly string[]
  /** The file's own `__metadata__`. */
  readonly metadata: Readonly<Record<string, string>>
}

/** The weights of a model folder. */
export interface Checkpoint {
  /** Every tensor of the model by its name; none is in memory. */
  readonly weights: ReadonlyMap<string, FileTensor>
  /** One entry for a single file. */
  readonly shards: readonly Shard[]
  /** The whole `.index.json`, or undefined for a single file. */
  readonly index: Readonly<Record<string, unknown>> | undefined
}

const SINGLE_FILE = 'model.safetensors'
export const INDEX_FILE = 'model.safetensors.index.json'
export const TORCH_FILE = 'pytorch_model.bin'
const TORCH_INDEX_FILE = 'pytorch_model.bin.index.json'

/**
 * The tensors of a `pytorch_model.bin`, each as a range of the file; tensors that share memory share it.
 * @throws InvalidModelError for tensors whose bytes are packed or not in row-major order
 */
async function readTorchHeader(files: Files, path: string): Promise<SafetensorsHeader> {
  const file = await openTorch(files, path)
  const tensors = new Map<string, FileTensor>()
  const scattered: string[] = []
  for (const [name, tensor] of namedTensors(file).tensors) {
    const place = inPlace(file, tensor)
    if (place === undefined) scattered.push(name)
    else tensors.set(name, place)
  }
  if (scattered.length > 0)
    throw new InvalidModelError(
      `${path}: ${scattered.length} tensors are deflated or not in row-major order and cannot be used where they lie: ${scattered.slice(0, 5).join(', ')}; ` +
        'save the model as safetensors (in Python: model.save_pretrained(folder))',
    )
  return { tensors, metadata: DEFAULT_METADATA }
}

/** `pytorch_model-00001-of-00002.bin` as `model-00001-of-00002.safetensors`; names of safetensors files stay. */
const safetensorsName = (file: string): string =>
  file.endsWith('.safetensors') ? file : `${file.replace(/^pytorch_/, '').replace(/\.bin$/, '')}.safetensors`

const readHeader = (files: Files, path: string): Promise<SafetensorsHeader> =>
  path.endsWith('.safetensors') ? readSafetensorsHeader(files, path) : readTorchHeader(files, path)

/** Tensor name to file name, checked: a file is a plain name inside the folder. */
function readWeightMap({ weight_map: map }: Readonly<Record<string, unknown>>, path: string): Map<string, string> {
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

async function openShards(files: Files, folder: string, indexFile: string): Promise<Checkpoint> {
  const path = `${folder}/${indexFile}`
  const index = await readJsonObject(files, path, InvalidModelError)
  const weightMap = readWeightMap(index, path)
  const names = [...new Set(weightMap.values())]
  const missing: string[] = []
  for (const file of names) if (!(await files.exists(`${folder}/${file}`))) missing.push(file)
  if (missing.length > 0)
    throw new InvalidModelError(
      `${folder}: ${missing.length} of ${names.length} shards listed in ${indexFile} are missing: ${missing.join(', ')}; get them and run again`,
    )
  const weights = new Map<string, FileTensor>()
  const shards: Shard[] = []
  for (const file of names) {
    const { tensors, metadata } = await readHeader(files, `${folder}/${file}`)
    for (const [name, tensor] of tensors) {
      const listed = weightMap.get(name)
      if (listed !== file)
        throw new InvalidModelError(
          `${folder}/${file}: holds tensor "${name}", which ${indexFile} ${listed === undefined ? 'does not list' : `says is in ${listed}`}; the files do not belong together`,
        )
      weights.set(name, tensor)
    }
    shards.push({ file: safetensorsName(file), tensors: [...tensors.keys()], metadata })
  }
  const absent = [...weightMap].filter(([name]) => !weights.has(name))
  if (absent.length > 0)
    throw new InvalidModelError(
      `${folder}: ${absent.length} tensors listed in ${indexFile} are not in their shards: ` +
        `${absent
          .slice(0, 10)
          .map(([name, file]) => `"${name}" in ${file}`)
          .join(', ')}${absent.length > 10 ? ', …' : ''}`,
    )
  const renamed = Object.fromEntries([...weightMap].map(([name, file]) => [name, safetensorsName(file)]))
  return { weights, shards, index: { ...index, weight_map: renamed } }
}

async function openSingle(files: Files, folder: string, file: string): Promise<Checkpoint> {
  const { tensors, metadata } = await readHeader(files, `${folder}/${file}`)
  return { weights: tensors, shards: [{ file: safetensorsName(file), tensors: [...tensors.keys()], metadata }], index: undefined }
}

/** Whether a folder holds weights in a file that {@link openCheckpoint} looks for. */
export async function hasCheckpoint(files: Files, folder: string): Promise<boolean> {
  for (const file of [SINGLE_FILE, INDEX_FILE, TORCH_FILE, TORCH_INDEX_FILE])
    if (await files.exists(`${folder}/${file}`)) return true
  return false
}

/**
 * Reads the headers of a model folder's weights.
 * @throws InvalidModelError for a damaged file, a missing shard, or a folder without weights
 * @example
 * const { weights } = await openCheckpoint(environment.files, './SmolLM2-135M')
 */
export async function openCheckpoint(files: Files, folder: string): Promise<Checkpoint> {
  // As transformers does: the single file is taken where both are there.
  if (await files.exists(`${folder}/${SINGLE_FILE}`)) return openSingle(files, folder, SINGLE_FILE)
  if (await files.exists(`${folder}/${INDEX_FILE}`)) return openShards(files, folder, INDEX_FILE)
  if (!(await files.isDirectory(folder))) throw new InvalidModelError(`model folder "${folder}" does not exist`)
  if (await files.exists(`${folder}/${TORCH_FILE}`)) return openSingle(files, folder, TORCH_FILE)
  if (await files.exists(`${folder}/${TORCH_INDEX_FILE}`)) return openShards(files, folder, TORCH_INDEX_FILE)
  throw new InvalidModelError(
    `${folder} holds no weights: expected ${SINGLE_FILE} or ${TORCH_FILE}, or ${INDEX_FILE} or ${TORCH_INDEX_FILE} with their shards`,
  )
}
