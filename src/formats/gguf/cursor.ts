/** @file Reading the head of a GGUF file value by value. */
import { InvalidModelError } from '../../errors.js'
import { valueTypes, type GgufItem, type GgufValue, type GgufValueType } from './types.js'

/** The bytes at hand end before the value does: more of the file is needed. */
export class NeedMore extends Error {}

/** Arrays inside arrays: no file has them deeper, and a hostile one shall not exhaust the stack. */
const MAX_DEPTH = 4

/** Steps through little-endian bytes from the beginning of a file. */
export class Cursor {
  private readonly view: DataView
  private readonly text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  offset = 0

  constructor(
    private readonly bytes: Uint8Array,
    /** The file, for messages. */
    private readonly path: string,
    /** Bytes of the whole file. */
    private readonly size: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  private take(length: number): number {
    const start = this.offset
    if (start + length > this.size)
      throw new InvalidModelError(
        `${this.path}: ${length} bytes are announced at offset ${start}, but the file has ${this.size}; it is truncated or damaged`,
      )
    if (start + length > this.bytes.length) throw new NeedMore()
    this.offset += length
    return start
  }

  uint32(): number {
    return this.view.getUint32(this.take(4), true)
  }

  /** A count or an offset. @throws InvalidModelError if it is beyond what a double holds */
  length(what: string): number {
    const value = this.view.getBigUint64(this.take(8), true)
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw new InvalidModelError(`${this.path}: ${what} is ${value} at offset ${this.offset - 8}; the file is damaged`)
    return Number(value)
  }

  /** A count of things that take at least `least` bytes each. */
  count(what: string, least: number): number {
    const value = this.length(what)
    if (value * least > this.size)
      throw new InvalidModelError(
        `${this.path}: ${what} is ${value}, more than a file of ${this.size} bytes can hold; it is damaged`,
      )
    return value
  }

  string(what: string): string {
    const length = this.length(`the length of ${what}`)
    const start = this.take(length)
    try {
      return this.text.decode(this.bytes.subarray(start, start + length))
    } catch {
      throw new InvalidModelError(`${this.path}: ${what} at offset ${start} is not valid UTF-8; the file is damaged`)
    }
  }

  valueType(what: string): GgufValueType {
    const number = this.uint32()
    const type = valueTypes[number]
    if (type === undefined)
      throw new InvalidModelError(`${this.path}: ${what} has the unknown type ${number} (known: 0 to ${valueTypes.length - 1})`)
    return type
  }

  value(what: string): GgufValue {
    const type = this.valueType(what)
    const value = this.item(type, what, 0)
    return typeof value === 'object' ? value : ({ type, value } as GgufValue)
  }

  private item(type: GgufValueType, what: string, depth: number): GgufItem {
    const { view } = this
    switch (type) {
      case 'uint8':
        return view.getUint8(this.take(1))
      case 'int8':
        return view.getInt8(this.take(1))
      case 'uint16':
        return view.getUint16(this.take(2), true)
      case 'int16':
        return view.getInt16(this.take(2), true)
      case 'uint32':
        return view.getUint32(this.take(4), true)
      case 'int32':
        return view.getInt32(this.take(4), true)
      case 'float32':
        return view.getFloat32(this.take(4), true)
      case 'float64':
        return view.getFloat64(this.take(8), true)
      case 'uint64':
        return view.getBigUint64(this.take(8), true)
      case 'int64':
        return view.getBigInt64(this.take(8), true)
      case 'bool': {
        const byte = view.getUint8(this.take(1))
        if (byte > 1) throw new InvalidModelError(`${this.path}: ${what} is a bool with the byte ${byte}; expected 0 or 1`)
        return byte === 1
      }
      case 'string':
        return this.string(what)
      case 'array': {
        if (depth === MAX_DEPTH) throw new InvalidModelError(`${this.path}: ${what} has arrays more than ${MAX_DEPTH} deep`)
        const items = this.valueType(what)
        const count = this.count(`the number of items of ${what}`, 1)
        const value: GgufItem[] = []
        for (let i = 0; i < count; i++) value.push(this.item(items, what, depth + 1))
        return { type, items, value }
      }
    }
  }
}
