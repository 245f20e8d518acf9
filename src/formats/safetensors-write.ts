/** @file Writing safetensors files, byte for byte as the Python library lays them out. */
import { bytesOf } from '../graph/constants.js'
import { byteLength, type DType, type HostTensor } from '../graph/types.js'
import { InvalidModelError } from '../errors.js'
import { compareCodePoints } from '../util/python-json.js'
import { safetensorsTypes } from './safetensors-types.js'

/** What `save_file` of transformers and PEFT writes. */
export const DEFAULT_METADATA: Readonly<Record<string, string>> = { format: 'pt' }

/** Rank of an element type in the file: the reference sorts by its enumeration, widest first, then by name. */
const ORDER = ['U64', 'I64', 'F64', 'F32', 'U32', 'I32', 'BF16', 'F16', 'U16', 'I16', 'I8', 'U8', 'BOOL']

const nameOfType = new Map(Object.entries(safetensorsTypes).map(([name, dtype]) => [dtype, name]))

/** A tensor to be written, whose bytes are asked for when their turn comes. */
export interface LazyTensor {
  /** Its name in the file. */
  readonly name: string
  /** Element type. */
  readonly dtype: DType
  /** Lengths of the axes. */
  readonly shape: readonly number[]
  /** The tensor's bytes, little-endian, row-major. Called once, in the order of the file. */
  readonly load: () => Promise<Uint8Array>
}

function typeName(name: string, dtype: DType): string {
  const found = nameOfType.get(dtype)
  if (found === undefined)
    throw new InvalidModelError(`tensor "${name}": element type ${dtype} cannot be stored in a safetensors file`)
  return found
}

type Described = Pick<LazyTensor, 'name' | 'dtype' | 'shape'>

/** The tensors in the order of the file, and the bytes that come before their data. */
function layOut<T extends Described>(
  tensors: Iterable<T>,
  metadata: Readonly<Record<string, string>>,
): { sorted: T[]; head: Uint8Array } {
  const sorted = [...tensors]
  const rank = new Map(sorted.map((t) => [t, ORDER.indexOf(typeName(t.name, t.dtype))]))
  sorted.sort((a, b) => rank.get(a)! - rank.get(b)! || compareCodePoints(a.name, b.name))
  const header: [string, unknown][] = Object.keys(metadata).length === 0 ? [] : [['__metadata__', metadata]]
  const names = new Set<string>()
  let offset = 0
  for (const tensor of sorted) {
    if (names.has(tensor.name)) throw new InvalidModelError(`tensor "${tensor.name}" is given twice`)
    names.add(tensor.name)
    const end = offset + byteLength(tensor)
    header.push([tensor.name, { dtype: typeName(tensor.name, tensor.dtype), shape: tensor.shape, data_offsets: [offset, end] }])
    offset = end
  }
  // Not an object literal: JavaScript would move names that look like numbers to the front.
  const text = `{${header.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`
  const json = new TextEncoder().encode(text)
  const padded = Math.ceil(json.length / 8) * 8
  const head = new Uint8Array(8 + padded).fill(0x20)
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true)
  head.set(json, 8)
  return { sorted, head }
}

/**
 * A safetensors file in memory.
 * @param metadata strings for `__metadata__`; `{ format: 'pt' }` by default
 * @throws InvalidModelError for an element type that the format lacks, or a name given twice
 * @example
 * await files.write('tensors.safetensors', encodeSafetensors(new Map([['x', float32([1], Float32Array.of(1))]])))
 */
export function encodeSafetensors(
  tensors: Iterable<readonly [string, HostTensor]>,
  metadata: Readonly<Record<string, string>> = DEFAULT_METADATA,
): Uint8Array {
  const { sorted, head } = layOut(
    Array.from(tensors, ([name, tensor]) => ({ name, dtype: tensor.dtype, shape: tensor.shape, bytes: bytesOf(tensor) })),
    metadata,
  )
  const result = new Uint8Array(sorted.reduce((total, { bytes }) => total + bytes.length, head.length))
  result.set(head)
  let offset = head.length
  for (const tensor of sorted) {
    checkLength(tensor, tensor.bytes)
    result.set(tensor.bytes, offset)
    offset += tensor.bytes.length
  }
  return result
}

function checkLength(tensor: Described, bytes: Uint8Array): void {
  if (bytes.length !== byteLength(tensor))
    throw new InvalidModelError(
      `tensor "${tensor.name}": ${tensor.dtype} [${tensor.shape.join(', ')}] needs ${byteLength(tensor)} bytes, got ${bytes.length}`,
    )
}

/**
 * A safetensors file as a stream that holds one tensor at a time; same bytes as `encodeSafetensors`.
 * @example
 * await files.write('large.safetensors', safetensorsChunks(tensors))
 */
export async function* safetensorsChunks(
  tensors: Iterable<LazyTensor>,
  metadata: Readonly<Record<string, string>> = DEFAULT_METADATA,
): AsyncIterable<Uint8Array> {
  const { sorted, head } = layOut(tensors, metadata)
  yield head
  for (const tensor of sorted) {
    const bytes = await tensor.load()
    checkLength(tensor, bytes)
    yield bytes
  }
}
