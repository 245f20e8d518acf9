/** @file Gradients of matrix products. No transposed copy is made: the products take their operands transposed. */
import { UnsupportedOpError } from '../../errors.js'
import type { GraphBuilder } from '../../graph/builder.js'
import { productOfDims } from '../../graph/shapes.js'
import type { Shape, Value } from '../../graph/types.js'
import { rule, type InputGradient, type RuleContext } from '../rule.js'
import { productOfGradient } from './row-terms.js'

interface Product {
  readonly transA: boolean
  readonly transB: boolean
  readonly alpha: number
}

/** All but the last dimension become rows: [.., n] to [rows, n]. */
const asRows = (b: GraphBuilder, x: Value, shape: Shape): Value =>
  b.reshape(x, [productOfDims(shape.slice(0, -1)), shape.at(-1)!])

/** Widest right operand for which a product is cheaper the other way round; measured with heads of 8 to 64. */
const NARROW = 32

/**
 * α·Uᵀ·V or α·Uᵀ·Vᵀ. The runtime repacks a transposed left operand element by element, which for attention weights
 * [sequence, sequence] costs more than the product with a narrow head: then (Vᵀ·U)ᵀ leaves U as it is.
 */
function leftTransposed(b: GraphBuilder, u: Value, v: Value, transV: boolean, alpha: number): Value {
  const rank = v.shape!.length
  const width = v.shape![transV ? rank - 2 : rank - 1]!
  if (typeof width !== 'number' || width > NARROW || rank < 3 || u.shape!.length !== rank)
    return b.matmul(u, v, { transA: true, transB: transV, alpha })
  const swapped = b.matmul(v, u, { transA: !transV, alpha })
  const lead = Array.from({ length: rank - 2 }, (_, i) => i)
  return b.transpose(swapped, [...lead, rank - 1, rank - 2])
}

/**
 * Y = α·U·V with U = A or Aᵀ and V = B or Bᵀ:
 * dU = α·dY·Vᵀ, dV = α·Uᵀ·dY, each transposed where its operand was.
 */
function productGradients(c: RuleContext, { transA, transB, alpha }: Product): InputGradient[] {
  const { b } = c
  const [shapeA, shapeB] = [c.shape(c.input(0)), c.shape(c.input(1))]
  // A vector is a row on the left and a column on the right, as in NumPy; it is never transposed.
  const vectorA = shapeA.length === 1
  const vectorB = shapeB.length === 1
  const tA = transA && !vectorA
  const tB = transB && !vectorB
  const x = vectorA ? b.reshape(c.input(0), [1, ...shapeA]) : c.input(0)
  const w = vectorB ? b.reshape(c.input(1), [...shapeB, 1]) : c.input(1)
  let g = c.gradient()
  if (vectorB) g = b.unsqueeze(g, [-1])
  if (vectorA) g = b.unsqueeze(g, [-2])

  const gradientA = (): Value => {
    const product = (x: Value): Value => b.matmul(x, w, { transB: !tB, alpha })
    const d = tA
      ? b.matmul(w, g, { transA: tB, transB: true, alpha })
      : productOfGradient(b, g, w, { transposed: !tB, alpha, trained: c.needs(1), product })
    return vectorA ? b.squeeze(d, [-2]) : d
  }
  const gradientB = (): Value => {
    if (w.shape!.length === 2 && x.shape!.length > 2 && !tA) {
      // A weight shared by all rows: one product over batch and rows instead of one per batch and a sum.
      const [rows, rowsG] = [asRows(b, x, x.shape!), asRows(b, g, g.shape!)]
      return b.reshape(tB ? b.gemm(rowsG, rows, { transA: true, alpha }) : b.gemm(rows, rowsG, { transA: true, alpha }), shapeB)
    }
    const d = tB ? leftTransposed(b, g, x, tA, alpha) : tA ? b.matmul(x, g, { alpha }) : leftTransposed(b, x, g, false, alpha)
    return vectorB ? b.squeeze(d, [-1]) : d
  }
  return [c.needs(0) && gradientA(), c.needs(1) && gradientB()]
}

/** d(A·B) = dA·B + A·dB */
export const matMul = rule('MatMul', (c) => productGradients(c, { transA: false, transB: false, alpha: 1 }))

/** MatMul with transposes and a factor */
export const fusedMatMul = rule(
  'FusedMatMul',
  (c) => {
    if (c.int('transBatchA', 0) !== 0 || c.int('transBatchB', 0) !== 0)
      throw new UnsupportedOpError(`${c.where}: transBatchA and transBatchB have no gradient rule; transpose before the product`)
    return productGradients(c, { transA: c.int('transA', 0) === 1, transB: c.int('transB', 0) === 1, alpha: c.float('alpha', 1) })
  },
  { domain: 'com.microsoft' },
)

/** Y = α·U·V + β·C: as for MatMul, and dC = β·dY summed to the shape of C */
export const gemm = rule('Gemm', ({ b, x: [u, v], dy: [g], needs, int, float }) => {
  const transA = int('transA', 0) === 1
  const transB = int('transB', 0) === 1
  const alpha = float('alpha', 1)
  const beta = float('beta', 1)
  const product = (x: Value): Value => b.gemm(x, v!, { transB: !transB, alpha })
  return [
    needs(0) &&
      (transA
        ? b.gemm(v!, g!, { transA: transB, transB: true, alpha })
        : productOfGradient(b, g!, v!, { transposed: !transB, alpha, trained: needs(1), product })),
    needs(1) && (transB ? b.gemm(g!, u!, { transA: true, transB: transA, alpha }) : b.gemm(u!, g!, { transA: !transA, alpha })),
    needs(2) && (beta === 1 ? g : b.mul(g!, beta)),
  ]
})
