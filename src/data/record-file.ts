/**
 * @file Random access to the records of a text file: a first pass notes where each record begins, later reads fetch them.
 *
 * The index costs 12 bytes a record, whatever the records hold, so a file may be far larger than memory.
 */
import { InvalidDataError } from '../errors.js'
import { JsonArrayIndex } from './json-array.js'
import { Places } from './places.js'
import { chunksOf, type RowFile } from './row-file.js'

const NEWLINE = 0x0a
const QUOTE = 0x22
/** Bytes read to find the first that is no blank. */
const FIRST_BYTES = 4 << 10
/** Bytes of one read while scanning. */
const SCAN_BYTES = 4 << 20
/** Bytes fetched ahead while records are read in order. */
const READ_AHEAD_BYTES = 1 << 20
/** Files up to this size are fetched once, whatever the order of reading. */
const SMALL_FILE_BYTES = 4 << 20

/**
 * Bytes of the longest row. A picture as numbers takes some MB; what is longer is several rows in one, a quote that was
 * never closed, or a whole book, and reading it would take many times its size in memory.
 */
export const MAX_ROW_BYTES = 32 << 20

/** @param bytes of the row, or at least as many */
export const tooLong = (file: string, line: number, bytes: number, most = MAX_ROW_BYTES): InvalidDataError =>
  new InvalidDataError(`${file}, line ${line}: the row has ${bytes} bytes, and ${most} are the most; cut it into several rows.`)

/**
 * What a record is: a line that is not blank (`lines`); such a line whose newline is not inside double quotes (`quoted`); an
 * element of the JSON array that the file is (`array`).
 */
export type RecordKind = 'lines' | 'quoted' | 'array'

/** Where the text begins behind a byte order mark, which belongs to no record. @throws InvalidDataError if it is UTF-16 */
function textStart(file: string, chunk: Uint8Array): number {
  if ((chunk[0] === 0xff && chunk[1] === 0xfe) || (chunk[0] === 0xfe && chunk[1] === 0xff))
    throw new InvalidDataError(`${file}, line 1: the file is UTF-16; save it as UTF-8 and run again.`)
  return chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf ? 3 : 0
}

/** The first byte that is no blank, behind a byte order mark; undefined in a file without any. */
export async function firstByte(source: RowFile): Promise<number | undefined> {
  let offset = 0
  for await (const chunk of chunksOf(source, FIRST_BYTES)) {
    const start = offset === 0 ? textStart(source.name, chunk) : 0
    const found = chunk.subarray(start).find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0d && byte !== NEWLINE)
    if (found !== undefined) return found
    offset += chunk.length
  }
  return undefined
}

export class RecordFile {
  private window: { readonly start: number; readonly bytes: Uint8Array } | undefined
  private lastRead = -1

  private constructor(
    private readonly source: RowFile,
    private readonly kind: RecordKind,
    /** Byte offset of each record. */
    private readonly starts: Float64Array,
    /** Line of each record's first byte, counted from 1. */
    private readonly lines: Uint32Array,
  ) {}

  /**
   * Finds the records.
   * @throws FileError if the file is missing; InvalidDataError if it is UTF-16, a quote is never closed, or an array is not whole
   */
  static async open(source: RowFile, kind: RecordKind): Promise<RecordFile> {
    const places = new Places()
    const index =
      kind === 'array' ? new JsonArrayIndex(source.name, places) : new LineIndex(source.name, kind === 'quoted', places)
    let offset = 0
    for await (const chunk of chunksOf(source, SCAN_BYTES)) {
      index.scan(chunk, offset === 0 ? textStart(source.name, chunk) : 0, offset)
      offset += chunk.length
    }
    index.finish()
    return new RecordFile(source, kind, ...places.toArrays())
  }

  /** Size of the file in bytes. */
  get size(): number {
    return this.source.size
  }

  get length(): number {
    return this.starts.length
  }

  /** Line on which a record begins, counted from 1. */
  line(index: number): number {
    return this.lines[index] ?? 0
  }

  /**
   * A record's text, with the whitespace that follows it; of an array's element without what separates it from the next.
   * @throws InvalidDataError if its bytes are not UTF-8
   */
  async text(index: number): Promise<string> {
    const start = this.starts[index]
    if (start === undefined) throw new RangeError(`record ${index} of ${this.length}`)
    const end = this.starts[index + 1] ?? this.size
    if (end - start > MAX_ROW_BYTES) throw tooLong(this.source.name, this.line(index), end - start)
    const bytes = await this.bytes(start, end, index === this.lastRead + 1)
    this.lastRead = index
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
      return this.kind === 'array' ? text.trimEnd().slice(0, -1) : text
    } catch (cause) {
      throw new InvalidDataError(
        `${this.source.name}, line ${this.line(index)}: the bytes are not valid UTF-8; save the file as UTF-8 and run again.`,
        { cause },
      )
    }
  }

  private async bytes(start: number, end: number, inOrder: boolean): Promise<Uint8Array> {
    let window = this.window
    if (window === undefined || start < window.start || end > window.start + window.bytes.length) {
      const small = this.size <= SMALL_FILE_BYTES
      const from = small ? 0 : start
      const to = small ? this.size : inOrder ? Math.min(this.size, Math.max(end, start + READ_AHEAD_BYTES)) : end
      window = { start: from, bytes: await this.source.read(from, to - from) }
      this.window = window
    }
    return window.bytes.subarray(start - window.start, end - window.start)
  }
}

/** Finds record starts in chunks of bytes. A newline or quote byte never lies inside a UTF-8 character. */
class LineIndex {
  private line = 1
  /** Whether a record has begun that no newline has ended yet. */
  private inRecord = false
  private inQuotes = false

  constructor(
    private readonly file: string,
    private readonly quoted: boolean,
    private readonly places: Places,
  ) {}

  scan(chunk: Uint8Array, start: number, offset: number): void {
    let from = start
    // Found once, however many lines lie before it: looking anew from each line would read the chunk as often as it has lines.
    let quote = this.quoted ? chunk.indexOf(QUOTE, from) : -1
    while (from < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, from)
      const to = newline < 0 ? chunk.length : newline
      if (!this.inRecord) this.begin(chunk, from, to, offset)
      for (; quote >= 0 && quote < to; quote = chunk.indexOf(QUOTE, quote + 1)) this.inQuotes = !this.inQuotes
      if (newline < 0) return
      this.line++
      if (!this.inQuotes) this.inRecord = false
      from = newline + 1
    }
  }

  finish(): void {
    if (!this.inQuotes) return
    throw new InvalidDataError(
      `${this.file}, line ${this.places.lastLine}: a double quote opens a field and none closes it; close it, or write "" for a quote inside a field.`,
    )
  }

  private begin(chunk: Uint8Array, from: number, to: number, offset: number): void {
    for (let i = from; i < to; i++) {
      const byte = chunk[i]
      if (byte === 0x20 || byte === 0x09 || byte === 0x0d) continue
      // Leading blanks stay: in a table they belong to the first fields.
      this.places.add(offset + from, this.line)
      this.inRecord = true
      return
    }
  }
}
