/**
 * @file Random access to the records of a text file: a first pass notes where each record begins, later reads fetch them.
 *
 * The index costs 12 bytes a record, whatever the records hold, so a file may be far larger than memory.
 */
import { InvalidDataError } from '../errors.js'
import type { Files } from '../io/files.js'

const NEWLINE = 0x0a
const QUOTE = 0x22
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
export const tooLong = (file: string, line: number, bytes: number): InvalidDataError =>
  new InvalidDataError(
    `${file}, line ${line}: the row has ${bytes} bytes, and ${MAX_ROW_BYTES} are the most; cut it into several rows.`,
  )

export class RecordFile {
  private window: { readonly start: number; readonly bytes: Uint8Array } | undefined
  private lastRead = -1

  private constructor(
    private readonly files: Files,
    readonly file: string,
    readonly size: number,
    /** Byte offset of each record. */
    private readonly starts: Float64Array,
    /** Line of each record's first byte, counted from 1. */
    private readonly lines: Uint32Array,
  ) {}

  /**
   * Finds the records: lines that are not blank, or, with `quoted`, lines whose newline is not inside double quotes.
   * @throws FileError if the file is missing; InvalidDataError if it is UTF-16 or a quote is never closed
   */
  static async open(files: Files, path: string, options: { readonly quoted: boolean }): Promise<RecordFile> {
    const size = await files.size(path)
    const index = new RecordIndex(path, options.quoted)
    for (let offset = 0; offset < size; offset += SCAN_BYTES) {
      const chunk = await files.read(path, { offset, length: Math.min(SCAN_BYTES, size - offset) })
      index.scan(chunk, offset)
    }
    index.finish()
    return new RecordFile(files, path, size, index.starts.toArray(), index.lines.toArray())
  }

  get length(): number {
    return this.starts.length
  }

  /** Line on which a record begins, counted from 1. */
  line(index: number): number {
    return this.lines[index] ?? 0
  }

  /**
   * A record's text, with the whitespace that follows it.
   * @throws InvalidDataError if its bytes are not UTF-8
   */
  async text(index: number): Promise<string> {
    const start = this.starts[index]
    if (start === undefined) throw new RangeError(`record ${index} of ${this.length}`)
    const end = this.starts[index + 1] ?? this.size
    if (end - start > MAX_ROW_BYTES) throw tooLong(this.file, this.line(index), end - start)
    const bytes = await this.bytes(start, end, index === this.lastRead + 1)
    this.lastRead = index
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    } catch (cause) {
      throw new InvalidDataError(
        `${this.file}, line ${this.line(index)}: the bytes are not valid UTF-8; save the file as UTF-8 and run again.`,
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
      window = { start: from, bytes: await this.files.read(this.file, { offset: from, length: to - from }) }
      this.window = window
    }
    return window.bytes.subarray(start - window.start, end - window.start)
  }
}

/** Finds record starts in chunks of bytes. A newline or quote byte never lies inside a UTF-8 character. */
class RecordIndex {
  readonly starts = new GrowingArray(Float64Array)
  readonly lines = new GrowingArray(Uint32Array)
  private line = 1
  /** Whether a record has begun that no newline has ended yet. */
  private inRecord = false
  private inQuotes = false

  constructor(
    private readonly file: string,
    private readonly quoted: boolean,
  ) {}

  scan(chunk: Uint8Array, offset: number): void {
    let from = 0
    if (offset === 0) {
      if ((chunk[0] === 0xff && chunk[1] === 0xfe) || (chunk[0] === 0xfe && chunk[1] === 0xff)) {
        throw new InvalidDataError(`${this.file}, line 1: the file is UTF-16; save it as UTF-8 and run again.`)
      }
      // The byte order mark of UTF-8 belongs to no record.
      if (chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) from = 3
    }
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
      `${this.file}, line ${this.lines.last}: a double quote opens a field and none closes it; close it, or write "" for a quote inside a field.`,
    )
  }

  private begin(chunk: Uint8Array, from: number, to: number, offset: number): void {
    for (let i = from; i < to; i++) {
      const byte = chunk[i]
      if (byte === 0x20 || byte === 0x09 || byte === 0x0d) continue
      // Leading blanks stay: in a table they belong to the first fields.
      this.starts.push(offset + from)
      this.lines.push(this.line)
      this.inRecord = true
      return
    }
  }
}

class GrowingArray<T extends Float64Array | Uint32Array> {
  private values: T
  private length = 0

  constructor(private readonly make: new (length: number) => T) {
    this.values = new make(1024)
  }

  get last(): number {
    return this.values[this.length - 1] ?? 0
  }

  push(value: number): void {
    if (this.length === this.values.length) {
      const larger = new this.make(this.length * 2)
      larger.set(this.values)
      this.values = larger
    }
    this.values[this.length++] = value
  }

  toArray(): T {
    return this.values.slice(0, this.length) as T
  }
}
