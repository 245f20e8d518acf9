/** @file The order of two computations that do not read each other. */
import type { GraphBuilder } from './builder.js'
import { int, type Value } from './types.js'

/**
 * `x` itself, but nothing that reads the result runs before `first` is computed. Both have the same length along their first
 * axis, known at the run alone.
 *
 * A runtime runs the nodes of a graph in an order of its own. Where two of them read one large array, and one may write over
 * it, the other has to come first, or the array is there twice. ONNX has no way to say so but to read: a reshape of `x`, which
 * costs nothing, to a shape that it already has, whose rows are asked of `first`.
 */
export function after(b: GraphBuilder, x: Value, first: Value): Value {
  const [, ...rest] = x.shape!
  const rows = b.emit('Shape', [first], { start: int(0), end: int(1) })
  const shape = b.concat([rows, ...rest.map((dim) => b.dim(dim))], 0)
  return b.emit('Reshape', [x, shape], {}, { shapes: [x.shape!] })
}
