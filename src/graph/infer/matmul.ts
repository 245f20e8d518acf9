/** @file Element types and shapes of matrix products. */
import { ShapeError } from '../../errors.js'
import { broadcastShapes, equalDims } from '../shapes.js'
import type { Shape } from '../types.js'
import type { InferContext, Inference } from './context.js'

/** [.., m, k] x [.., k, n] with optional transposes, broadcasting the leading dimensions; 1-D operands as in NumPy. */
function matMulShape(c: InferContext, transA: boolean, transB: boolean): Shape {
  const swap = (s: Shape): Shape => [...s.slice(0, -2), s[s.length - 1]!, s[s.length - 2]!]
  let a = c.shape(0)
  let b = c.shape(1)
  const vectorA = a.length === 1
  const vectorB = b.length === 1
  if (vectorA) a = [1, ...a]
  else if (transA) a = swap(a)
  if (vectorB) b = [...b, 1]
  else if (transB) b = swap(b)
  const k = a[a.length - 1]
  equalDims(k!, b[b.length - 2]!, `${c.where}: inner dimensions differ (${k} and ${b[b.length - 2]})`)
  const lead = broadcastShapes(a.slice(0, -2), b.slice(0, -2), c.where)
  return [...lead, ...(vectorA ? [] : [a[a.length - 2]!]), ...(vectorB ? [] : [b[b.length - 1]!])]
}

export const products = {
  MatMul: (c) => [{ dtype: c.dtype(0), shape: matMulShape(c, false, false) }],
  FusedMatMul: (c) => [{ dtype: c.dtype(0), shape: matMulShape(c, c.int('transA', 0) === 1, c.int('transB', 0) === 1) }],
  Gemm: (c) => {
    const a = c.shape(0)
    const b = c.shape(1)
    if (a.length !== 2 || b.length !== 2) throw new ShapeError(`${c.where}: operands must be of rank 2`)
    const [m, k] = c.int('transA', 0) === 1 ? [a[1]!, a[0]!] : [a[0]!, a[1]!]
    const [l, n] = c.int('transB', 0) === 1 ? [b[1]!, b[0]!] : [b[0]!, b[1]!]
    equalDims(k, l, `${c.where}: inner dimensions differ (${k} and ${l})`)
    return [{ dtype: c.dtype(0), shape: [m, n] }]
  },
} satisfies Readonly<Record<string, Inference>>
