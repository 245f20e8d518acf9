/** @file A matrix the other way round. */
import type { HostTensor, TypedArray } from './types.js'

/** [rows, columns] to [columns, rows], of any element type that takes whole bytes. */
export function transposeHost({ dtype, shape, data }: HostTensor): HostTensor {
  const [rows, columns] = shape as [number, number]
  const result = data.slice() as Float32Array
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = (data as Float32Array)[i * columns + j]!
  return { dtype, shape: [columns, rows], data: result as TypedArray }
}
