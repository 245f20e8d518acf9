/** @file The order of two computations that do not read each other. */
import type { GraphBuilder } from './builder.js'
import type { Value } from './types.js'

/**
 * `x` itself, but nothing that reads the result runs before `first` is computed.
 *
 * A runtime runs the nodes of a graph in an order of its own. Where two of them read one large array, and one may write over
 * it, the other has to come first, or the array is there twice. ONNX has no way to say so but to read: a reshape of `x`, which
 * costs nothing, to a shape that it already has, whose rows are asked of `first`. (The shape is a maximum, for what ONNX
 * Runtime recognises, a concatenation of lengths, it replaces by a constant, and the order is gone.)
 *
 * @param x [rows, columns]
 * @param first [rows, 1], of as many rows, known at the run alone
 */
export function after(b: GraphBuilder, x: Value, first: Value): Value {
  const columns = b.concat([b.int64s([0]), b.dim(x.shape![1]!)], 0)
  const shape = b.max(b.emit('Shape', [first]), columns)
  return b.emit('Reshape', [x, shape], {}, { shapes: [x.shape!] })
}
