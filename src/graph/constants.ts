/** @file Tensors made in TypeScript, and reading small constants back. */
import { byteLength, isFileTensor, type DType, type HostTensor, type Initializer, type TypedArray } from './types.js'
import { isPacked } from './dtypes.js'
import { bfloat16ToFloat, floatToBfloat16, floatToHalf, halfToFloat } from '../util/half.js'

/** An empty typed array that holds `count` elements of `dtype`. */
export function allocate(dtype: DType, count: number): TypedArray {
  switch (dtype) {
    case 'float32':
      return new Float32Array(count)
    case 'float64':
      return new Float64Array(count)
    case 'float16':
    case 'bfloat16':
    case 'uint16':
      return new Uint16Array(count)
    case 'int16':
      return new Int16Array(count)
    case 'int32':
      return new Int32Array(count)
    case 'uint32':
      return new Uint32Array(count)
    case 'int64':
      return new BigInt64Array(count)
    case 'uint64':
      return new BigUint64Array(count)
    case 'int8':
      return new Int8Array(count)
    case 'uint8':
    case 'bool':
      return new Uint8Array(count)
    case 'int4':
    case 'uint4':
      return new Uint8Array(Math.ceil(count / 2))
    case 'string':
      throw new TypeError('internal: string tensors have no typed array')
  }
}

const INT64_MAX = 2n ** 63n - 1n

/** Bounds such as 2⁶³ − 1 are no numbers of JavaScript, their neighbour 2⁶³ is: it is meant to be the largest. */
export const toInt64 = (value: number): bigint => (value >= 2 ** 63 ? INT64_MAX : BigInt(value))

/**
 * A tensor of `dtype` from plain numbers.
 * @param values in row-major order; float16 and bfloat16 are rounded to, integers of 64 bits may be given as numbers
 * @throws TypeError for the packed 4-bit types and for texts
 * @example
 * const mask = tensor('bool', [2, 2], [1, 0, 1, 1])
 */
export function tensor(dtype: DType, shape: readonly number[], values: ArrayLike<number>): HostTensor {
  if (isPacked(dtype)) throw new TypeError('internal: packed tensors are not made of plain numbers')
  const data = allocate(dtype, values.length)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (data instanceof BigInt64Array) data[i] = toInt64(value)
    else if (data instanceof BigUint64Array) data[i] = BigInt(value)
    else data[i] = dtype === 'float16' ? floatToHalf(value) : dtype === 'bfloat16' ? floatToBfloat16(value) : value
  }
  return { dtype, shape, data }
}

/**
 * A float32 tensor over an array, which is not copied.
 * @example
 * const x = float32([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6))
 */
export const float32 = (shape: readonly number[], data: Float32Array): HostTensor => ({ dtype: 'float32', shape, data })

/**
 * An int64 tensor of plain numbers: token ids, labels, axes.
 * @example
 * const ids = int64([1, 4], [15496, 11, 995, 0])
 */
export function int64(shape: readonly number[], values: ArrayLike<number>): HostTensor {
  return tensor('int64', shape, values)
}

/** The numbers of a small constant, or undefined if it lies in a file or packs two numbers a byte. */
export function numbersOf(initializer: Initializer | undefined): number[] | undefined {
  if (initializer === undefined || isFileTensor(initializer)) return undefined
  const { data, dtype } = initializer
  if (isPacked(dtype)) return undefined
  return dtype === 'float16' || dtype === 'bfloat16'
    ? Array.from(data as Uint16Array, dtype === 'float16' ? halfToFloat : bfloat16ToFloat)
    : Array.from(data as ArrayLike<number | bigint>, Number)
}

/** The raw little-endian bytes of a tensor, without a copy. */
export const bytesOf = (host: HostTensor): Uint8Array =>
  new Uint8Array(host.data.buffer, host.data.byteOffset, host.data.byteLength)

/** A tensor over raw little-endian bytes; copies only where the bytes are not aligned. */
export function fromBytes(dtype: DType, shape: readonly number[], bytes: Uint8Array): HostTensor {
  const size = byteLength({ dtype, shape })
  if (bytes.byteLength !== size)
    throw new RangeError(`internal: ${dtype} [${shape.join(', ')}] needs ${size} bytes, got ${bytes.byteLength}`)
  const empty = allocate(dtype, 0)
  // Not `slice`: that of a Buffer, as Node's file functions give, is a view.
  const aligned = bytes.byteOffset % empty.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes)
  const Type = empty.constructor as new (buffer: ArrayBufferLike, offset: number, length: number) => TypedArray
  return { dtype, shape, data: new Type(aligned.buffer, aligned.byteOffset, size / empty.BYTES_PER_ELEMENT) }
}
