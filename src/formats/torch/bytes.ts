/** @file Reading little-endian numbers and text out of bytes, never past the end. */
import { InvalidModelError } from '../../errors.js'

/** Raised where a pickle goes on after the bytes at hand; a longer window may hold the rest. */
export class OutOfBytes extends InvalidModelError {}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** A cursor over bytes. */
export class ByteReader {
  private readonly view: DataView

  constructor(
    readonly bytes: Uint8Array,
    public position = 0,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Moves over `count` bytes and returns where they begin. */
  private advance(count: number): number {
    const start = this.position
    if (count > this.bytes.length - start)
      throw new OutOfBytes(
        `the pickle ends too early: ${count} bytes are needed at offset ${start}; the file is truncated, get it again`,
      )
    this.position += count
    return start
  }

  u8(): number {
    return this.bytes[this.advance(1)]!
  }

  u16(): number {
    return this.view.getUint16(this.advance(2), true)
  }

  u32(): number {
    return this.view.getUint32(this.advance(4), true)
  }

  i32(): number {
    return this.view.getInt32(this.advance(4), true)
  }

  /** A length of 8 bytes; those beyond 2^53 are longer than any file. */
  u64(): number {
    return Number(this.view.getBigUint64(this.advance(8), true))
  }

  /** Big-endian, as pickles store floats. */
  f64(): number {
    return this.view.getFloat64(this.advance(8), false)
  }

  take(count: number): Uint8Array {
    const start = this.advance(count)
    return this.bytes.subarray(start, start + count)
  }

  text(count: number): string {
    const bytes = this.take(count)
    try {
      return utf8.decode(bytes)
    } catch {
      throw new InvalidModelError(`the pickle holds text at offset ${this.position - count} that is not valid UTF-8`)
    }
  }

  /** Up to the next line feed, which is left out. */
  line(): string {
    const end = this.bytes.indexOf(10, this.position)
    if (end < 0)
      throw new OutOfBytes(`the pickle ends inside a line at offset ${this.position}; the file is truncated, get it again`)
    const text = this.text(end - this.position)
    this.position += 1
    return text
  }

  /** A signed integer of any length in two's complement; a number where it is exact. */
  long(count: number): number | bigint {
    if (count > 1024) throw new InvalidModelError(`the pickle holds an integer of ${count} bytes; the file is damaged`)
    let value = 0n
    const bytes = this.take(count)
    for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!)
    if (count > 0 && bytes[count - 1]! >= 128) value -= 1n << BigInt(8 * count)
    return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
  }
}
