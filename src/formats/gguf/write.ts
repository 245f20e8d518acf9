/** @file Writing GGUF files, version 3, little-endian. */
import { InvalidModelError } from '../../errors.js'
import { bytesOf } from '../../graph/constants.js'
import type { HostTensor } from '../../graph/types.js'
import {
  alignUp,
  DEFAULT_ALIGNMENT,
  ggmlTypes,
  MAGIC,
  MAX_AXES,
  valueTypes,
  type GgufItem,
  type GgufValue,
  type GgufValueType,
} from './types.js'

const VERSION = 3

const numberOfType = new Map([...ggmlTypes].flatMap(([id, { dtype }]) => (dtype === undefined ? [] : [[dtype, id] as const])))

type Setter = (this: DataView, offset: number, value: number, littleEndian: boolean) => void

const { prototype } = DataView

/** Size and setter of the types of numbers that a double holds. */
const setters: Readonly<Record<Exclude<GgufValueType, 'string' | 'array' | 'uint64' | 'int64'>, readonly [number, Setter]>> = {
  uint8: [1, prototype.setUint8],
  int8: [1, prototype.setInt8],
  bool: [1, prototype.setUint8],
  uint16: [2, prototype.setUint16],
  int16: [2, prototype.setInt16],
  uint32: [4, prototype.setUint32],
  int32: [4, prototype.setInt32],
  float32: [4, prototype.setFloat32],
  float64: [8, prototype.setFloat64],
}

/** Bytes that grow. */
class Writer {
  private bytes = new Uint8Array(1 << 12)
  private view = new DataView(this.bytes.buffer)
  length = 0

  private grow(by: number): number {
    const start = this.length
    this.length += by
    if (this.length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.length, 2 * this.bytes.length))
      larger.set(this.bytes)
      this.bytes = larger
      this.view = new DataView(larger.buffer)
    }
    return start
  }

  /** Makes room before anything is looked at, for the buffer may be another one afterwards. */
  private put(size: number, set: (view: DataView, offset: number) => void): void {
    const offset = this.grow(size)
    set(this.view, offset)
  }

  raw(bytes: Uint8Array): void {
    const offset = this.grow(bytes.length)
    this.bytes.set(bytes, offset)
  }

  uint32(value: number): void {
    this.put(4, (view, offset) => view.setUint32(offset, value, true))
  }

  uint64(value: number | bigint): void {
    this.put(8, (view, offset) => view.setBigUint64(offset, BigInt.asUintN(64, BigInt(value)), true))
  }

  string(text: string): void {
    const bytes = new TextEncoder().encode(text)
    this.uint64(bytes.length)
    this.raw(bytes)
  }

  value(value: GgufValue): void {
    this.uint32(valueTypes.indexOf(value.type))
    this.item(value.type, value.type === 'array' ? value : value.value)
  }

  private item(type: GgufValueType, value: GgufItem): void {
    if (type === 'string') return this.string(value as string)
    if (type === 'uint64' || type === 'int64') return this.uint64(value as bigint)
    if (type === 'array') {
      const { items, value: list } = value as Extract<GgufValue, { type: 'array' }>
      this.uint32(valueTypes.indexOf(items))
      this.uint64(list.length)
      for (const item of list) this.item(items, item)
      return
    }
    const [size, set] = setters[type]
    this.put(size, (view, offset) => set.call(view, offset, Number(value), true))
  }

  /** Zeros up to the next multiple. */
  pad(alignment: number): void {
    this.grow(alignUp(this.length, alignment) - this.length)
  }

  done(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }
}

/**
 * A GGUF file in memory. Shapes are row-major and are written in ggml's order, innermost first.
 * @throws InvalidModelError for a tensor of an element type that ggml lacks, or of more than 4 axes
 * @example
 * const bytes = encodeGguf({ 'general.type': { type: 'string', value: 'adapter' } }, tensors)
 */
export function encodeGguf(
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: ReadonlyMap<string, HostTensor>,
  alignment = DEFAULT_ALIGNMENT,
): Uint8Array {
  const out = new Writer()
  out.raw(new TextEncoder().encode(MAGIC))
  out.uint32(VERSION)
  out.uint64(tensors.size)
  const keys =
    alignment === DEFAULT_ALIGNMENT
      ? [...metadata]
      : [...metadata, ['general.alignment', { type: 'uint32', value: alignment }] as const]
  out.uint64(keys.length)
  for (const [key, value] of keys) {
    out.string(key)
    out.value(value)
  }
  let offset = 0
  for (const [name, tensor] of tensors) {
    const type = numberOfType.get(tensor.dtype)
    if (type === undefined || tensor.shape.length > MAX_AXES)
      throw new InvalidModelError(
        `tensor "${name}": ${tensor.dtype} [${tensor.shape.join(', ')}] cannot be stored in a GGUF file; expected at most ${MAX_AXES} axes of a plain type`,
      )
    out.string(name)
    out.uint32(tensor.shape.length)
    for (const dim of [...tensor.shape].reverse()) out.uint64(dim)
    out.uint32(type)
    out.uint64(offset)
    offset = alignUp(offset + tensor.data.byteLength, alignment)
  }
  for (const tensor of tensors.values()) {
    out.pad(alignment)
    out.raw(bytesOf(tensor))
  }
  // ggml wants the padding behind the last tensor too.
  out.pad(alignment)
  return out.done()
}
