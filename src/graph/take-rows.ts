/** @file Rows of tensors, copied. */
import { elementCount, type HostTensor, type TypedArray } from './types.js'

/** An array of any kind, as far as copying goes: all of one kind here. */
export type Numbers = BigInt64Array

/** An array of the same kind, filled. */
export function filledLike(data: TypedArray, length: number, fill: number): Numbers {
  const array = new (data.constructor as new (length: number) => Numbers)(length)
  return array.fill((data instanceof BigInt64Array ? BigInt(fill) : fill) as bigint)
}

/**
 * The rows of a tensor at the given indices, in that order, copied.
 * @example
 * const batch = takeRows(images, [3, 1, 4])
 */
export function takeRows({ dtype, shape, data }: HostTensor, rows: ArrayLike<number>): HostTensor {
  const size = elementCount(shape.slice(1))
  const taken = filledLike(data, rows.length * size, 0)
  for (let i = 0; i < rows.length; i++) taken.set((data as Numbers).subarray(rows[i]! * size, (rows[i]! + 1) * size), i * size)
  return { dtype, shape: [rows.length, ...shape.slice(1)], data: taken }
}
