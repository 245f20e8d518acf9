/**
 * @file `.onnx_adapter`, ONNX Runtime's file of LoRA tensors: a FlatBuffer with the identifier TORT
 * (onnxruntime/lora/adapter_format/adapter_schema.fbs). It holds tensors by the names of graph inputs, no rank and no alpha.
 */
import { InvalidAdapterError } from '../errors.js'
import { bytesOf, fromBytes } from '../graph/constants.js'
import { byteLength, type DType, type HostTensor } from '../graph/types.js'

/** Element types by their numbers in ONNX's TensorProto. */
const types: Readonly<Record<number, DType>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
  16: 'bfloat16',
}

/** What an `.onnx_adapter` holds. */
export interface OnnxAdapter {
  readonly adapterVersion: number
  readonly modelVersion: number
  /** By names of graph inputs. */
  readonly parameters: ReadonlyMap<string, HostTensor>
}

const IDENTIFIER = 'TORT'
const FORMAT_VERSION = 1
/** Several parameters may share bytes of the file; together they hold at most so many times its size. */
const LARGEST_GROWTH = 8

/** Reads tables of a FlatBuffer; every offset is checked. */
class FlatReader {
  private readonly view: DataView

  constructor(
    private readonly bytes: Uint8Array,
    private readonly source: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  fail(what: string): InvalidAdapterError {
    return new InvalidAdapterError(`${this.source}: ${what}; the file is damaged, get it again`)
  }

  private check(at: number, length: number): number {
    if (at < 0 || at + length > this.bytes.length)
      throw this.fail(`an offset points to byte ${at}, outside the ${this.bytes.length} of the file`)
    return at
  }

  u16 = (at: number): number => this.view.getUint16(this.check(at, 2), true)
  i32 = (at: number): number => this.view.getInt32(this.check(at, 4), true)
  u32 = (at: number): number => this.view.getUint32(this.check(at, 4), true)
  i64 = (at: number): number => Number(this.view.getBigInt64(this.check(at, 8), true))
  /** What an offset at `at` points to. */
  follow = (at: number): number => at + this.u32(at)

  /** Where field `index` of a table lies, or undefined where it has its default. */
  field(table: number, index: number): number | undefined {
    const layout = table - this.i32(table)
    const entry = 4 + 2 * index
    const offset = entry + 2 > this.u16(layout) ? 0 : this.u16(layout + entry)
    return offset === 0 ? undefined : table + offset
  }

  int(table: number, index: number, otherwise: number): number {
    const at = this.field(table, index)
    return at === undefined ? otherwise : this.i32(at)
  }

  /** First byte and length of a vector of elements of `size` bytes; empty where it is missing. */
  vector(table: number, index: number, size: number): { at: number; length: number } {
    const field = this.field(table, index)
    if (field === undefined) return { at: 0, length: 0 }
    const at = this.follow(field)
    const length = this.u32(at)
    this.check(at + 4, length * size)
    return { at: at + 4, length }
  }

  slice = (at: number, length: number): Uint8Array => this.bytes.slice(at, at + length)
}

/**
 * Reads an `.onnx_adapter`.
 * @param source the file, for messages
 * @throws InvalidAdapterError if it is damaged or of another kind
 */
export function decodeOnnxAdapter(bytes: Uint8Array, source: string): OnnxAdapter {
  const reader = new FlatReader(bytes, source)
  if (bytes.length < 8 || new TextDecoder().decode(bytes.subarray(4, 8)) !== IDENTIFIER)
    throw new InvalidAdapterError(`${source} is no .onnx_adapter: its identifier is not ${IDENTIFIER}`)
  const root = reader.follow(0)
  const version = reader.int(root, 0, 0)
  if (version !== FORMAT_VERSION)
    throw new InvalidAdapterError(`${source}: format version ${version} is unknown; version ${FORMAT_VERSION} can be read`)
  const parameters = new Map<string, HostTensor>()
  const list = reader.vector(root, 3, 4)
  let total = 0
  for (let i = 0; i < list.length; i++) {
    const table = reader.follow(list.at + 4 * i)
    const label = reader.vector(table, 0, 1)
    const name = new TextDecoder().decode(reader.slice(label.at, label.length))
    const dimensions = reader.vector(table, 1, 8)
    if (dimensions.length > 64) throw reader.fail(`parameter "${name.slice(0, 100)}" has ${dimensions.length} dimensions`)
    const shape = Array.from({ length: dimensions.length }, (_, k) => reader.i64(dimensions.at + 8 * k))
    const type = reader.int(table, 2, 0)
    const dtype = Object.hasOwn(types, type) ? types[type] : undefined
    if (dtype === undefined)
      throw new InvalidAdapterError(
        `${source}: parameter "${name.slice(0, 100)}" has element type ${type}, which is not supported`,
      )
    const data = reader.vector(table, 3, 1)
    const needed = byteLength({ dtype, shape })
    if (name === '' || parameters.has(name)) throw reader.fail(`parameter ${i} has the name "${name}", which is empty or taken`)
    if (shape.some((d) => d < 0) || needed !== data.length)
      throw reader.fail(`parameter "${name.slice(0, 100)}" ${dtype} [${shape.join(', ')}] holds ${data.length} bytes`)
    total += needed + label.length
    if (total > LARGEST_GROWTH * bytes.length) throw reader.fail('its parameters claim more bytes than the file has')
    parameters.set(name, fromBytes(dtype, shape, reader.slice(data.at, data.length)))
  }
  return { adapterVersion: reader.int(root, 1, 0), modelVersion: reader.int(root, 2, 0), parameters }
}

/** Both kinds of table have four fields of four bytes behind an offset to their layout. */
const LAYOUT = [12, 20, 4, 8, 12, 16]
const LAYOUT_AT = 8
const TABLE_BYTES = 20
const ALIGNMENT = 16

/** An `.onnx_adapter` in memory, as `onnxruntime.AdapterFormat.export_adapter` writes it but for the order of its parts. */
export function encodeOnnxAdapter({ adapterVersion, modelVersion, parameters }: OnnxAdapter): Uint8Array {
  const list = [...parameters].map(([name, tensor]) => ({ name: new TextEncoder().encode(name), tensor, data: bytesOf(tensor) }))
  const root = LAYOUT_AT + 12
  const vector = root + TABLE_BYTES
  const tables = vector + 4 + 4 * list.length
  /** The smallest place from `at` on at which what follows `head` bytes is aligned. */
  const align = (at: number, head: number, to: number): number => Math.ceil((at + head) / to) * to - head
  let end = tables + TABLE_BYTES * list.length
  const places = list.map(({ name, tensor, data }) => {
    const label = align(end, 0, 4)
    const dims = align(label + 4 + name.length + 1, 4, 8)
    const raw = align(dims + 4 + 8 * tensor.shape.length, 4, ALIGNMENT)
    end = raw + 4 + data.length
    return { label, dims, raw }
  })
  const bytes = new Uint8Array(align(end, 0, 8))
  const view = new DataView(bytes.buffer)
  const u32 = (at: number, value: number): void => view.setUint32(at, value, true)
  const point = (at: number, to: number): void => u32(at, to - at)
  point(0, root)
  bytes.set(new TextEncoder().encode(IDENTIFIER), 4)
  LAYOUT.forEach((value, i) => view.setUint16(LAYOUT_AT + 2 * i, value, true))
  const table = (at: number): void => view.setInt32(at, at - LAYOUT_AT, true)
  table(root)
  u32(root + 4, FORMAT_VERSION)
  view.setInt32(root + 8, adapterVersion, true)
  view.setInt32(root + 12, modelVersion, true)
  point(root + 16, vector)
  u32(vector, list.length)
  list.forEach(({ name, tensor, data }, i) => {
    const at = tables + TABLE_BYTES * i
    const { label, dims, raw } = places[i]!
    point(vector + 4 + 4 * i, at)
    table(at)
    point(at + 4, label)
    point(at + 8, dims)
    const type = Object.keys(types).find((key) => types[Number(key)] === tensor.dtype)
    if (type === undefined) throw new InvalidAdapterError(`element type ${tensor.dtype} cannot be stored in an .onnx_adapter`)
    u32(at + 12, Number(type))
    point(at + 16, raw)
    u32(label, name.length)
    bytes.set(name, label + 4)
    u32(dims, tensor.shape.length)
    tensor.shape.forEach((size, k) => view.setBigInt64(dims + 4 + 8 * k, BigInt(size), true))
    u32(raw, data.length)
    bytes.set(data, raw + 4)
  })
  return bytes
}
