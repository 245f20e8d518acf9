/** @file Reading GGUF files: metadata and the places of tensors; tensors of plain types also into memory. */
import { InvalidModelError } from '../../errors.js'
import { fromBytes } from '../../graph/constants.js'
import { elementCount, type HostTensor } from '../../graph/types.js'
import type { Files } from '../../io/files.js'
import { Cursor, NeedMore } from './cursor.js'
import { alignUp, DEFAULT_ALIGNMENT, ggmlTypes, MAGIC, MAX_AXES, type GgufTensor, type GgufValue } from './types.js'

/** The head of a GGUF file. */
export interface GgufHeader {
  /** Version of the format. */
  readonly version: number
  /** In the order of the file. */
  readonly metadata: ReadonlyMap<string, GgufValue>
  /** By ggml's names, in the order of the file. */
  readonly tensors: ReadonlyMap<string, GgufTensor>
}

/** First piece that is read; vocabularies make heads of several megabytes, which are read by doubling. */
const FIRST_READ = 1 << 18

const dtypeOf = new Map([...ggmlTypes.values()].map(({ name, dtype }) => [name, dtype]))

/**
 * The metadata and tensor infos of a GGUF file (versions 2 and 3, little-endian); no tensor is read.
 * @throws InvalidModelError naming the file, the key or tensor and the offset if it is damaged
 * @example
 * const { metadata } = await readGgufHeader(environment.files, 'model.gguf')
 */
export async function readGgufHeader(files: Files, path: string): Promise<GgufHeader> {
  const size = await files.size(path)
  for (let length = Math.min(size, FIRST_READ); ; length = Math.min(size, 2 * length)) {
    const bytes = await files.read(path, { offset: 0, length })
    try {
      return parse(new Cursor(bytes, path, size), bytes, path, size)
    } catch (error) {
      if (!(error instanceof NeedMore)) throw error
    }
  }
}

function parse(cursor: Cursor, bytes: Uint8Array, path: string, size: number): GgufHeader {
  const fail = (what: string): InvalidModelError => new InvalidModelError(`${path}: ${what}`)
  const magic = new TextDecoder('latin1').decode(bytes.subarray(0, 4))
  if (magic !== MAGIC) throw fail(`the file begins with ${JSON.stringify(magic)}, not "${MAGIC}": it is no GGUF file`)
  cursor.uint32()
  const version = cursor.uint32()
  if (version !== 0 && (version & 0xffff) === 0)
    throw fail('it is a big-endian GGUF file, which is not supported; convert it to little-endian')
  if (version !== 2 && version !== 3) throw fail(`GGUF version ${version} is not supported; expected 2 or 3`)
  const tensorCount = cursor.count('the number of tensors', 24)
  const keyCount = cursor.count('the number of metadata keys', 13)

  const metadata = new Map<string, GgufValue>()
  for (let i = 0; i < keyCount; i++) {
    const key = cursor.string(`the name of metadata key ${i}`)
    if (metadata.has(key)) throw fail(`the metadata key "${key}" is there twice; the file is damaged`)
    metadata.set(key, cursor.value(`metadata key "${key}"`))
  }

  const infos: { name: string; shape: number[]; type: number; offset: number }[] = []
  const names = new Set<string>()
  for (let i = 0; i < tensorCount; i++) {
    const name = cursor.string(`the name of tensor ${i}`)
    if (names.has(name)) throw fail(`tensor "${name}" is there twice; the file is damaged`)
    names.add(name)
    const axes = cursor.uint32()
    if (axes > MAX_AXES) throw fail(`tensor "${name}" has ${axes} axes; expected at most ${MAX_AXES}`)
    const shape = Array.from({ length: axes }, () => cursor.length(`a dimension of tensor "${name}"`)).reverse()
    infos.push({ name, shape, type: cursor.uint32(), offset: cursor.length(`the offset of tensor "${name}"`) })
  }
  const alignment = alignmentOf(metadata, path)
  const start = alignUp(cursor.offset, alignment)
  const tensors = new Map(
    infos.map(({ name, shape, type, offset }): [string, GgufTensor] => {
      if (offset % alignment !== 0) throw fail(`tensor "${name}" begins at ${offset}, no multiple of the alignment ${alignment}`)
      const ggml = ggmlTypes.get(type)
      const count = elementCount(shape)
      const row = shape.at(-1) ?? 1
      if (ggml !== undefined && row % ggml.block !== 0)
        throw fail(`tensor "${name}" has rows of ${row} elements, no multiple of the blocks of ${ggml.block} of ${ggml.name}`)
      const length = ggml === undefined ? undefined : (count / ggml.block) * ggml.bytes
      const end = start + offset + (length ?? 0)
      if (!(end <= size)) throw fail(`tensor "${name}" ends at byte ${end}, but the file has ${size} bytes; it is truncated`)
      return [name, { type: ggml?.name ?? `type ${type}`, shape, offset: start + offset, bytes: length }]
    }),
  )
  return { version, metadata, tensors }
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>, path: string): number {
  const said = metadata.get('general.alignment')
  if (said === undefined) return DEFAULT_ALIGNMENT
  if (said.type !== 'uint32' || said.value < 8 || said.value % 8 !== 0)
    throw new InvalidModelError(
      `${path}: "general.alignment" must be a uint32 that is a multiple of 8, got ${said.type} ${String(said.value)}`,
    )
  return said.value
}

/**
 * Reads one tensor into memory.
 * @throws InvalidModelError if it is quantised in blocks
 * @example
 * const { tensors } = await readGgufHeader(files, path)
 * const host = await loadGgufTensor(files, path, name, tensors.get(name)!)
 */
export async function loadGgufTensor(files: Files, path: string, name: string, tensor: GgufTensor): Promise<HostTensor> {
  const dtype = dtypeOf.get(tensor.type)
  if (dtype === undefined)
    throw new InvalidModelError(
      `${path}: tensor "${name}" is quantised (${tensor.type}), which cannot be read back; expected F32, F16 or BF16`,
    )
  return fromBytes(dtype, tensor.shape, await files.read(path, { offset: tensor.offset, length: tensor.bytes! }))
}
