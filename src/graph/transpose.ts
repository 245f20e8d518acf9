/** @file A tensor of two axes the other way round. */
import { transpose } from '../util/transpose.js'
import type { HostTensor } from './types.js'

/** [rows, columns] to [columns, rows], of any element type that takes whole bytes. */
export function transposeHost({ dtype, shape, data }: HostTensor): HostTensor {
  const [rows, columns] = shape as [number, number]
  return { dtype, shape: [columns, rows], data: transpose(data, rows, columns) }
}
