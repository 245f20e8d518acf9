/** @file Reading safetensors files: a length, a JSON header, and the tensors' bytes without a gap. */
import { InvalidModelError } from '../errors.js'
import { fromBytes } from '../graph/constants.js'
import { byteLength, isFileTensor, type FileTensor, type HostTensor, type Initializer } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { narrow, widen } from '../util/half.js'
import { duplicateKey } from './json-keys.js'
import { safetensorsTypes } from './safetensors-types.js'
import { isObject, parseJson } from '../util/json.js'

export { DEFAULT_METADATA, encodeSafetensors, safetensorsChunks, type LazyTensor } from './safetensors-write.js'

/** The format's own limit for the header, 100 MB. */
const MAX_HEADER = 100_000_000

/** Far above what any file holds (the largest checkpoints have a thousand tensors in a shard), and read within a second. */
const MAX_TENSORS = 100_000

/** The head of a safetensors file. */
export interface SafetensorsHeader {
  /** In the order of their bytes. */
  readonly tensors: Map<string, FileTensor>
  /** Its `__metadata__`. */
  readonly metadata: Readonly<Record<string, string>>
}

/** Every element is an integer that a double holds exactly, and none is negative. */
const isIndexArray = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((v) => typeof v === 'number' && Number.isSafeInteger(v) && v >= 0)

/** How often a text holds another, counted to a limit. */
function occurrences(text: string, part: string, limit: number): number {
  let count = 0
  for (let at = text.indexOf(part); at >= 0 && count <= limit; at = text.indexOf(part, at + part.length)) count++
  return count
}

function parseHeader(text: string, path: string): Record<string, unknown> {
  if (occurrences(text, '"data_offsets"', MAX_TENSORS) > MAX_TENSORS)
    throw new InvalidModelError(
      `${path}: the safetensors header names more than ${MAX_TENSORS} tensors, which no checkpoint has; split the file if it is one`,
    )
  let header: unknown
  try {
    header = parseJson(text)
  } catch (error) {
    throw new InvalidModelError(
      `${path}: the safetensors header is not valid JSON (${(error as Error).message}); the file is damaged, get it again`,
    )
  }
  if (!isObject(header) || !text.startsWith('{'))
    throw new InvalidModelError(`${path}: the safetensors header must be a JSON object; the file is damaged`)
  const duplicate = duplicateKey(text, header)
  if (duplicate !== undefined)
    throw new InvalidModelError(`${path}: the safetensors header has the key "${duplicate}" twice; the file is damaged`)
  return header
}

function parseMetadata(value: unknown, path: string): Record<string, string> {
  if (value === undefined || value === null) return {}
  if (!isObject(value)) throw new InvalidModelError(`${path}: "__metadata__" must be an object, got ${JSON.stringify(value)}`)
  const metadata: Record<string, string> = {}
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string')
      throw new InvalidModelError(`${path}: "__metadata__" key "${key}" must be a string, got ${JSON.stringify(text)}`)
    metadata[key] = text
  }
  return metadata
}

/** One tensor's entry; offsets are relative to the end of the header. */
function parseTensor(name: string, info: unknown, path: string, dataStart: number): FileTensor {
  const fail = (what: string): InvalidModelError => new InvalidModelError(`${path}: tensor "${name}": ${what}`)
  if (!isObject(info)) throw fail(`expected an object with dtype, shape and data_offsets, got ${JSON.stringify(info)}`)
  const { dtype: typeName, shape, data_offsets: offsets } = info
  const dtype = typeof typeName === 'string' && Object.hasOwn(safetensorsTypes, typeName) ? safetensorsTypes[typeName] : undefined
  if (dtype === undefined)
    throw fail(
      `element type ${JSON.stringify(typeName)} is not supported (known: ${Object.keys(safetensorsTypes).join(', ')}); convert the checkpoint to one of these`,
    )
  if (!isIndexArray(shape)) throw fail(`shape must be a list of non-negative integers, got ${JSON.stringify(shape)}`)
  if (!isIndexArray(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!)
    throw fail(`data_offsets must be [begin, end] with 0 <= begin <= end, got ${JSON.stringify(offsets)}`)
  const [begin, end] = offsets as [number, number]
  const needed = byteLength({ dtype, shape })
  if (end - begin !== needed)
    throw fail(
      `${String(typeName)} [${shape.join(', ')}] needs ${needed} bytes, but data_offsets [${begin}, ${end}] hold ${end - begin}`,
    )
  return { dtype, shape, file: { path, offset: dataStart + begin, length: needed } }
}

/**
 * The header of a safetensors file: names, types, shapes and places of its tensors; no tensor is read.
 * As strict as the reference: known types, sizes that match shapes, no overlap, no gap, no bytes left over.
 * @throws InvalidModelError naming the file and the tensor; FileError if the file cannot be read
 * @example
 * const { tensors } = await readSafetensorsHeader(files, 'model.safetensors')
 */
export async function readSafetensorsHeader(files: Files, path: string): Promise<SafetensorsHeader> {
  const size = await files.size(path)
  if (size < 8)
    throw new InvalidModelError(
      `${path}: ${size} bytes are too few for a safetensors file (at least 8); the file is truncated, get it again`,
    )
  const prefix = await files.read(path, { offset: 0, length: 8 })
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true)
  if (length > BigInt(MAX_HEADER))
    throw new InvalidModelError(
      `${path}: header length ${length} is above the limit of ${MAX_HEADER} bytes; this is no safetensors file, or it is damaged`,
    )
  const headerLength = Number(length)
  const dataStart = 8 + headerLength
  if (dataStart > size)
    throw new InvalidModelError(
      `${path}: the header needs ${headerLength} bytes, but only ${size - 8} follow its length; the file is truncated, get it again`,
    )
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      await files.read(path, { offset: 8, length: headerLength }),
    )
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new InvalidModelError(`${path}: the safetensors header is not valid UTF-8; the file is damaged, get it again`)
  }
  const header = parseHeader(text, path)
  const list = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, info]) => ({ name, tensor: parseTensor(name, info, path, dataStart) }))
  const endOf = ({ file }: FileTensor): number => file.offset + file.length
  list.sort((a, b) => a.tensor.file.offset - b.tensor.file.offset || endOf(a.tensor) - endOf(b.tensor))
  let end = dataStart
  let previous = 'the header'
  for (const { name, tensor } of list) {
    const { offset } = tensor.file
    if (offset !== end) {
      const what =
        offset < end ? `overlaps ${previous} by ${end - offset} bytes` : `leaves a gap of ${offset - end} bytes after ${previous}`
      throw new InvalidModelError(`${path}: tensor "${name}" at data offset ${offset - dataStart} ${what}; the file is damaged`)
    }
    end = endOf(tensor)
    previous = `tensor "${name}"`
  }
  if (end > size)
    throw new InvalidModelError(
      `${path}: ${previous} ends at byte ${end}, but the file has ${size} bytes; the file is truncated, get it again`,
    )
  if (end < size)
    throw new InvalidModelError(`${path}: ${size - end} bytes follow ${previous}; the file is damaged or holds two files`)
  return {
    tensors: new Map(list.map(({ name, tensor }) => [name, tensor])),
    metadata: parseMetadata(header['__metadata__'], path),
  }
}

/**
 * A tensor in memory, read where it lies in a file.
 * @throws FileError if the file has become shorter or cannot be read
 * @example
 * const host = await loadTensor(files, tensors.get('weight')!)
 */
export async function loadTensor(files: Files, tensor: Initializer): Promise<HostTensor> {
  if (!isFileTensor(tensor)) return tensor
  const { path, offset, length } = tensor.file
  return fromBytes(tensor.dtype, tensor.shape, await files.read(path, { offset, length }))
}

/**
 * A floating-point tensor as float32: 16-bit formats widened exactly, float64 rounded; float32 without a copy.
 * @throws InvalidModelError for integer and boolean tensors
 * @example
 * const values = toFloat32(await loadTensor(files, tensors.get('weight')!))
 */
export function toFloat32(tensor: HostTensor): Float32Array {
  const { dtype, data } = tensor
  if (dtype === 'float32') return data as Float32Array
  if (dtype === 'float16' || dtype === 'bfloat16') return widen(dtype, data as Uint16Array)
  if (dtype === 'float64') return Float32Array.from(data as Float64Array)
  throw new InvalidModelError(`a tensor of element type ${dtype} [${tensor.shape.join(', ')}] is no floating-point tensor`)
}

/**
 * A floating-point tensor in one of the types that weights are stored in, rounded to nearest even; itself if it has that type.
 * @throws InvalidModelError for integer and boolean tensors
 * @example
 * const half = castFloats(weight, 'float16')
 */
export function castFloats(tensor: HostTensor, dtype: 'float32' | 'float16' | 'bfloat16'): HostTensor {
  if (tensor.dtype === dtype) return tensor
  const data = toFloat32(tensor)
  return { dtype, shape: tensor.shape, data: dtype === 'float32' ? data : narrow(dtype, data) }
}
