/** @file Reading zip archives by their directory: entries stay in the file. Stored and deflated entries, zip64. */
import { InvalidModelError } from '../../errors.js'
import type { Files } from '../../io/files.js'

/** A file in the archive. */
export interface ZipEntry {
  readonly name: string
  readonly stored: boolean
  /** Where the bytes begin in the archive. */
  readonly offset: number
  /** Bytes in the archive. */
  readonly packed: number
  /** Bytes when unpacked. */
  readonly size: number
}

const END = 0x06054b50
const END64 = 0x06064b50
const LOCATOR64 = 0x07064b50
const CENTRAL = 0x02014b50
const LOCAL = 0x04034b50

/** The end record may be followed by a comment of 64 KiB. */
const LONGEST_TAIL = 22 + 0xffff
const LARGEST_DIRECTORY = 64 << 20
/** Far above the number of tensors in any checkpoint, each of which is an entry. */
const MOST_ENTRIES = 16_384
/** Local headers lie between the entries' bytes: of small entries many are read at once. */
const HEADER_WINDOW = 8192

/** What deflated entries may grow to in memory: so many times the archive. Weights shrink by less than half. */
const LARGEST_GROWTH = 8

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

interface Directory {
  readonly offset: number
  readonly size: number
  readonly entries: number
}

/** Where the directory lies, from the record at the end of the file. */
async function findDirectory(files: Files, path: string, size: number): Promise<Directory> {
  const length = Math.min(size, LONGEST_TAIL)
  const start = size - length
  const tail = await files.read(path, { offset: start, length })
  const view = viewOf(tail)
  for (let at = length - 22; at >= 0; at--) {
    if (view.getUint32(at, true) !== END) continue
    const small = {
      entries: view.getUint16(at + 10, true),
      size: view.getUint32(at + 12, true),
      offset: view.getUint32(at + 16, true),
    }
    const is64 = at >= 20 && view.getUint32(at - 20, true) === LOCATOR64
    if (!is64) return small
    const where = Number(view.getBigUint64(at - 20 + 8, true))
    if (where > size - 56) throw new InvalidModelError(`${path}: the zip64 record lies outside the file; the file is damaged`)
    const record = viewOf(await files.read(path, { offset: where, length: 56 }))
    if (record.getUint32(0, true) !== END64) throw new InvalidModelError(`${path}: the zip64 record is damaged`)
    return {
      entries: Number(record.getBigUint64(32, true)),
      size: Number(record.getBigUint64(40, true)),
      offset: Number(record.getBigUint64(48, true)),
    }
  }
  throw new InvalidModelError(`${path}: the zip archive has no end record; the file is truncated, get it again`)
}

/** Sizes and offset of 64 bits, from the extra field with id 1, for those that the entry itself has at their maximum. */
function extend(extra: DataView, fields: [size: number, packed: number, offset: number]): [number, number, number] {
  const result: [number, number, number] = [...fields]
  for (let at = 0; at + 4 <= extra.byteLength;) {
    const id = extra.getUint16(at, true)
    const length = extra.getUint16(at + 2, true)
    if (id === 1) {
      let next = at + 4
      result.forEach((value, i) => {
        if (value !== 0xffffffff || next + 8 > Math.min(extra.byteLength, at + 4 + length)) return
        result[i] = Number(extra.getBigUint64(next, true))
        next += 8
      })
    }
    at += 4 + length
  }
  return result
}

/**
 * The entries of a zip archive by name. The local headers are read too: only they tell where the bytes begin.
 * @throws InvalidModelError if it is damaged, encrypted, or unpacks to far more than its own size
 */
export async function readZip(files: Files, path: string): Promise<Map<string, ZipEntry>> {
  const fail = (what: string): InvalidModelError => new InvalidModelError(`${path}: ${what}; the file is damaged, get it again`)
  const total = await files.size(path)
  if (total < 22) throw fail(`${total} bytes are too few for a zip archive`)
  const directory = await findDirectory(files, path, total)
  if (directory.offset + directory.size > total || directory.size > LARGEST_DIRECTORY || directory.entries * 46 > directory.size)
    throw fail(
      `the zip directory of ${directory.entries} entries in ${directory.size} bytes at ${directory.offset} does not fit the file of ${total}`,
    )
  if (directory.entries > MOST_ENTRIES)
    throw new InvalidModelError(
      `${path}: the zip archive has ${directory.entries} entries, more than ${MOST_ENTRIES}, which no checkpoint has; save the model as safetensors if it is one`,
    )
  const bytes = await files.read(path, { offset: directory.offset, length: directory.size })
  const headers = new HeaderReader(files, path, total)
  const view = viewOf(bytes)
  const entries = new Map<string, ZipEntry>()
  let unpacked = 0
  for (let at = 0, n = 0; n < directory.entries; n++) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== CENTRAL) throw fail(`entry ${n} of the zip directory is damaged`)
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((o) => view.getUint16(at + o, true)) as [
      number,
      number,
      number,
    ]
    const end = at + 46 + nameLength + extraLength + commentLength
    if (end > bytes.length) throw fail(`entry ${n} of the zip directory is cut off`)
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength))
    const extra = viewOf(bytes.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength))
    const [size, packed, header] = extend(extra, [
      view.getUint32(at + 24, true),
      view.getUint32(at + 20, true),
      view.getUint32(at + 42, true),
    ])
    const method = view.getUint16(at + 10, true)
    if ((view.getUint16(at + 8, true) & 1) !== 0) throw new InvalidModelError(`${path}: entry "${name}" is encrypted`)
    if (method !== 0 && method !== 8)
      throw new InvalidModelError(
        `${path}: entry "${name}" is packed by method ${method}; stored and deflated entries can be read`,
      )
    if (entries.has(name)) throw fail(`entry "${name}" occurs twice`)
    if (method === 0 && packed !== size) throw fail(`stored entry "${name}" has two sizes, ${packed} and ${size}`)
    unpacked += size
    if (unpacked > LARGEST_GROWTH * total + 65536)
      throw fail(`the archive of ${total} bytes claims to hold ${unpacked} bytes and more`)
    entries.set(name, {
      name,
      stored: method === 0,
      offset: await headers.dataOffset(name, header, packed),
      packed,
      size,
    })
    at = end
  }
  return entries
}

/** Reads local headers, neighbours together. */
class HeaderReader {
  private start = 0
  private window: Uint8Array = new Uint8Array(0)

  constructor(
    private readonly files: Files,
    private readonly path: string,
    private readonly total: number,
  ) {}

  /** Where an entry's bytes begin: PyTorch pads the local header so that they are aligned. */
  async dataOffset(name: string, header: number, packed: number): Promise<number> {
    const { path, total } = this
    const outside = (): InvalidModelError =>
      new InvalidModelError(
        `${path}: entry "${name}" lies outside the file of ${total} bytes; the file is truncated, get it again`,
      )
    if (header + 30 > total) throw outside()
    if (header < this.start || header + 30 > this.start + this.window.length) {
      this.window = await this.files.read(path, { offset: header, length: Math.min(HEADER_WINDOW, total - header) })
      this.start = header
    }
    const local = viewOf(this.window.subarray(header - this.start))
    if (local.getUint32(0, true) !== LOCAL) throw new InvalidModelError(`${path}: the header of entry "${name}" is damaged`)
    const offset = header + 30 + local.getUint16(26, true) + local.getUint16(28, true)
    if (offset + packed > total) throw outside()
    return offset
  }
}

/** The bytes of an entry. @throws InvalidModelError if a deflated entry is damaged or of another size than it claims */
export async function readEntry(files: Files, path: string, entry: ZipEntry): Promise<Uint8Array> {
  const packed = await files.read(path, { offset: entry.offset, length: entry.packed })
  return entry.stored ? packed : inflate(packed, entry, path)
}

async function inflate(packed: Uint8Array, { name, size }: ZipEntry, path: string): Promise<Uint8Array> {
  const result = new Uint8Array(size)
  const damaged = (what: string, cause?: unknown): InvalidModelError =>
    new InvalidModelError(`${path}: deflated entry "${name}" ${what}; the file is damaged, get it again`, { cause })
  const stream = new Blob([packed as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream('deflate-raw'))
  const reader = stream.getReader()
  let done = 0
  try {
    for (;;) {
      const chunk = await reader.read()
      if (chunk.done) break
      const begin = done
      done += chunk.value.length
      if (done > size) {
        await reader.cancel()
        break
      }
      result.set(chunk.value, begin)
    }
  } catch (cause) {
    throw damaged('cannot be unpacked', cause)
  }
  if (done !== size) throw damaged(`does not unpack to its ${size} bytes`)
  return result
}
