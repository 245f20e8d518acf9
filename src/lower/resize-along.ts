/** @file A product with a matrix along one axis. */
import type { Value } from '../graph/types.js'
import type { LowerContext } from './context.js'

/** x·M along one axis, M [from, to]. */
export function along({ b }: LowerContext, x: Value, axis: number, matrix: Value): Value {
  const last = x.shape!.length - 1
  const order = x.shape!.map((_, i) => (i === axis ? last : i === last ? axis : i))
  return b.transpose(b.matmul(b.transpose(x, order), matrix), order)
}
