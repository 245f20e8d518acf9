/**
 * @file Files of `torch.save`: a zip archive (PyTorch 1.6 and later) or a stream of pickles followed by raw storages
 * (before). Only the pickle is read; tensors stay in the file until they are asked for. No code of a file is executed.
 */
import { InvalidModelError } from '../../errors.js'
import { bytesPerElement, type DType } from '../../graph/types.js'
import type { Files } from '../../io/files.js'
import { ByteReader, OutOfBytes } from './bytes.js'
import { readPickle } from './pickle.js'
import { describePickle, PickleDict, PickleTuple, StorageValue, TorchTensor, type PickleValue } from './values.js'
import { readEntry, readZip, type ZipEntry } from './zip.js'

/** Where a storage's bytes are. */
export interface StoragePlace {
  /** Offset in the file, or of the packed bytes. */
  readonly offset: number
  /** Bytes of the storage. */
  readonly size: number
  /** The archive's entry where its bytes are deflated. */
  readonly deflated?: ZipEntry
}

/** An open torch file. */
export interface TorchFile {
  /** The file. */
  readonly path: string
  /** A zip archive (PyTorch 1.6 and later), or a stream of pickles. */
  readonly container: 'zip' | 'legacy'
  /** Bytes of the file. */
  readonly bytes: number
  /** @internal What was saved. */
  readonly value: PickleValue
  /** @internal Places of the storages by their keys. */
  readonly storages: ReadonlyMap<string, StoragePlace>
}

/** A checkpoint of 100,000 tensors has a pickle of about 15 MB. */
const LARGEST_PICKLE = 32 << 20
const FIRST_WINDOW = 64 << 10

const bytesOfStorage = ({ dtype, elements }: { dtype: DType | undefined; elements: number }): number =>
  elements * (dtype === undefined ? 1 : bytesPerElement[dtype as keyof typeof bytesPerElement])

/** Says which file an error of the pickle is about. */
function inFile<T>(path: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof OutOfBytes || !(error instanceof InvalidModelError)) throw error
    throw new InvalidModelError(`${path}: ${error.message}`, { cause: error })
  }
}

/** Every storage that a value refers to, once; a value is a graph that may share its parts. */
function storagesOf(value: PickleValue): Map<string, StorageValue> {
  const found = new Map<string, StorageValue>()
  const seen = new Set<PickleValue>()
  const open = [value]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next !== 'object' || next === null || seen.has(next)) continue
    seen.add(next)
    const storage = next instanceof TorchTensor ? next.storage : next instanceof StorageValue ? next : undefined
    if (storage !== undefined) {
      const before = found.get(storage.key)
      if (before !== undefined && bytesOfStorage(before) !== bytesOfStorage(storage))
        throw new InvalidModelError(
          `storage "${storage.key}" is said to hold ${bytesOfStorage(before)} and ${bytesOfStorage(storage)} bytes; the file is damaged`,
        )
      found.set(storage.key, storage)
    } else if (next instanceof PickleDict) for (const [key, item] of next.entries) open.push(key, item)
    else if (next instanceof PickleTuple) for (const item of next.items) open.push(item)
    else if (Array.isArray(next)) for (const item of next) open.push(item)
  }
  return found
}

async function openZip(files: Files, path: string, bytes: number): Promise<TorchFile> {
  const entries = await readZip(files, path)
  const pickle = [...entries.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name))
  if (pickle === undefined)
    throw new InvalidModelError(
      entries.has('constants.pkl') ||
        [...entries.keys()].some((name) => name.endsWith('/constants.pkl') || name.endsWith('/code/'))
        ? `${path} is a TorchScript archive; save the tensors alone (in Python: torch.save(model.state_dict(), path))`
        : `${path} is a zip archive without data.pkl; expected a file of torch.save`,
    )
  if ([...entries.keys()].some((name) => /^[^/]+\/constants\.pkl$/.test(name)))
    throw new InvalidModelError(
      `${path} is a TorchScript archive, which holds code; save the tensors alone (in Python: torch.save(model.state_dict(), path))`,
    )
  const prefix = pickle.slice(0, -'data.pkl'.length)
  const order = entries.get(`${prefix}byteorder`)
  if (order !== undefined && new TextDecoder().decode(await readEntry(files, path, order)) === 'big')
    throw new InvalidModelError(`${path} was written on a big-endian machine; save it anew on a little-endian one`)
  const entry = entries.get(pickle)!
  if (entry.size > LARGEST_PICKLE)
    throw new InvalidModelError(`${path}: its pickle of ${entry.size} bytes is larger than any checkpoint's`)
  const reader = new ByteReader(await readEntry(files, path, entry))
  const value = inFile(path, () => {
    try {
      return readPickle(reader)
    } catch (error) {
      throw error instanceof OutOfBytes ? new InvalidModelError(error.message) : error
    }
  })
  const storages = new Map<string, StoragePlace>()
  for (const [key, storage] of inFile(path, () => storagesOf(value))) {
    const data = entries.get(`${prefix}data/${key}`)
    const size = bytesOfStorage(storage)
    if (data === undefined || data.size < size)
      throw new InvalidModelError(
        `${path}: storage "${key}" needs ${size} bytes, ${data === undefined ? 'but the archive has no such entry' : `its entry has ${data.size}`}; the file is damaged`,
      )
    storages.set(key, { offset: data.offset, size, ...(!data.stored && { deflated: data }) })
  }
  return { path, container: 'zip', bytes, value, storages }
}

/** 0x1950a86a20f9469cfc6c: the number that older files begin with. */
const MAGIC = 119547037146038801333356n
const PROTOCOL = 1001

/**
 * The pickles at the head of an older file: magic number, protocol, system, the object, the keys of its storages. Their
 * length is not told, so the window grows until they fit.
 */
async function legacyHead(
  files: Files,
  path: string,
  bytes: number,
): Promise<{ value: PickleValue; keys: PickleValue; end: number }> {
  for (let window = FIRST_WINDOW; ; window *= 4) {
    const length = Math.min(window, bytes, LARGEST_PICKLE)
    const reader = new ByteReader(await files.read(path, { offset: 0, length }))
    try {
      return inFile(path, () => {
        const magic = readPickle(reader)
        if (magic !== MAGIC)
          throw new InvalidModelError(`the file begins with ${describePickle(magic)}; expected a file of torch.save`)
        const protocol = readPickle(reader)
        if (protocol !== PROTOCOL)
          throw new InvalidModelError(`protocol ${describePickle(protocol)} is unknown; expected ${PROTOCOL}`)
        const system = readPickle(reader)
        const little = system instanceof PickleDict ? system.entries.get('little_endian') : undefined
        if (little === false)
          throw new InvalidModelError('the file was written on a big-endian machine; save it anew on a little-endian one')
        const value = readPickle(reader)
        return { value, keys: readPickle(reader), end: reader.position }
      })
    } catch (error) {
      if (!(error instanceof OutOfBytes)) throw error
      if (length === bytes || length === LARGEST_PICKLE)
        throw new InvalidModelError(`${path}: ${error.message}`, { cause: error })
    }
  }
}

async function openLegacy(files: Files, path: string, bytes: number): Promise<TorchFile> {
  const { value, keys, end } = await legacyHead(files, path, bytes)
  const used = inFile(path, () => storagesOf(value))
  if (!Array.isArray(keys) || new Set(keys).size !== keys.length || keys.length !== used.size)
    throw new InvalidModelError(
      `${path}: the list of storages must name each of the ${used.size} in use once; the file is damaged`,
    )
  const storages = new Map<string, StoragePlace>()
  let offset = end
  for (const key of keys) {
    const storage = typeof key === 'string' ? used.get(key) : undefined
    if (storage === undefined)
      throw new InvalidModelError(`${path}: no tensor uses storage "${describePickle(key)}"; the file is damaged`)
    const size = bytesOfStorage(storage)
    if (offset + 8 + size > bytes)
      throw new InvalidModelError(
        `${path}: storage "${storage.key}" of ${size} bytes at offset ${offset + 8} ends outside the file of ${bytes}; the file is truncated, get it again`,
      )
    const head = await files.read(path, { offset, length: 8 })
    const elements = Number(new DataView(head.buffer, head.byteOffset, 8).getBigInt64(0, true))
    if (elements !== storage.elements)
      throw new InvalidModelError(
        `${path}: storage "${storage.key}" holds ${elements} elements, the pickle says ${storage.elements}; the file is damaged`,
      )
    storages.set(storage.key, { offset: offset + 8, size })
    offset += 8 + size
  }
  return { path, container: 'legacy', bytes, value, storages }
}

/**
 * Opens a file of `torch.save`, as `.pt`, `.pth`, `.th`, `.bin` and `.ckpt` are: reads the pickle and the places of the
 * storages, no tensor.
 * @throws InvalidModelError if it is damaged, of another kind, or asks for anything but data; the name it asks for is told
 * @example
 * const file = await openTorch(files, 'model.pt')
 */
export async function openTorch(files: Files, path: string): Promise<TorchFile> {
  const bytes = await files.size(path)
  const head = await files.read(path, { offset: 0, length: Math.min(bytes, 4) })
  if (head[0] === 0x50 && head[1] === 0x4b) return openZip(files, path, bytes)
  if (head[0] === 0x80) return openLegacy(files, path, bytes)
  throw new InvalidModelError(`${path} is no file of torch.save: it begins neither as a zip archive nor as a pickle`)
}
