/** @file Operators on integers with scales of their own (QLinear…): float operators on what the integers stand for. */
import type { GraphBuilder } from '../graph/builder.js'
import type { Attributes, Value } from '../graph/types.js'
import { leakyRelu } from './activate.js'
import type { LowerContext, Lowering, LoweringTable } from './context.js'
import { fakeQuantize, quantizationAt, realOf } from './quantized.js'

/** The integers of a result whose scale and zero point are inputs `scale` and `scale + 1`. */
function quantized(c: LowerContext, y: Value, scale: number): Value {
  const zero = c.optional(scale + 1)
  return fakeQuantize(c, y, quantizationAt(c, scale), zero?.dtype ?? 'uint8')
}

/** A bias in int32 counts in steps of scaleX·scaleW. */
function realBias(c: LowerContext, bias: Value | undefined, scaleX: number, scaleW: number): Value | undefined {
  return bias && c.b.mul(c.b.cast(bias, c.input(scaleX).dtype), c.b.mul(c.input(scaleX), c.input(scaleW)))
}

/** x, its scale and zero point, then those of the result. */
const unary =
  (f: (b: GraphBuilder, x: Value, c: LowerContext) => Value): Lowering =>
  (c) =>
    quantized(c, f(c.b, realOf(c, c.input(0), quantizationAt(c, 1)), c), 3)

/** a with scale and zero point, b with scale and zero point, then those of the result. */
const binary =
  (f: (b: GraphBuilder, u: Value, v: Value) => Value): Lowering =>
  (c) =>
    quantized(c, f(c.b, realOf(c, c.input(0), quantizationAt(c, 1)), realOf(c, c.input(3), quantizationAt(c, 4))), 6)

const pick = (attributes: Attributes, ...names: readonly string[]): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter(([name]) => names.includes(name)))

export const quantizedOperatorLowerings: LoweringTable = {
  QLinearMatMul: (c) => {
    const axis = c.rank(3) - 1
    const product = c.b.matmul(realOf(c, c.input(0), quantizationAt(c, 1)), realOf(c, c.input(3), quantizationAt(c, 4, axis)))
    return quantized(c, product, 6)
  },
  QLinearConv: (c) => {
    const [x, w] = [realOf(c, c.input(0), quantizationAt(c, 1)), realOf(c, c.input(3), quantizationAt(c, 4, 0))]
    return quantized(c, c.b.emit('Conv', [x, w, realBias(c, c.optional(8), 1, 4)], c.attributes), 6)
  },
  'com.microsoft.QGemm': (c) => {
    const { b } = c
    const transB = c.int('transB', 0) === 1
    const [x, w] = [realOf(c, c.input(0), quantizationAt(c, 1)), realOf(c, c.input(3), quantizationAt(c, 4, transB ? 0 : 1))]
    const product = b.gemm(x, w, { transA: c.int('transA', 0) === 1, transB, alpha: c.float('alpha', 1) })
    // The bias counts in steps of alpha·scaleA·scaleB.
    const bias = realBias(c, c.optional(6), 1, 4)
    const factor = c.float('alpha', 1)
    const y = bias === undefined ? product : b.add(product, factor === 1 ? bias : b.mul(bias, factor))
    return c.optional(7) === undefined ? y : quantized(c, y, 7)
  },
  'com.microsoft.QLinearAdd': binary((b, u, v) => b.add(u, v)),
  'com.microsoft.QLinearMul': binary((b, u, v) => b.mul(u, v)),
  'com.microsoft.QLinearSigmoid': unary((b, x) => b.sigmoid(x)),
  'com.microsoft.QLinearLeakyRelu': unary((b, x, c) => leakyRelu(b, x, c.float('alpha', 0.01))),
  'com.microsoft.QLinearSoftmax': unary((b, x, c) => b.softmax(x, c.int('axis', -1))),
  'com.microsoft.QLinearGlobalAveragePool': unary((b, x) =>
    b.reduceMean(
      x,
      x.shape!.slice(2).map((_, i) => i + 2),
    ),
  ),
  'com.microsoft.QLinearAveragePool': unary((b, x, c) =>
    b.emit(
      'AveragePool',
      [x],
      pick(c.attributes, 'auto_pad', 'ceil_mode', 'count_include_pad', 'kernel_shape', 'pads', 'strides'),
    ),
  ),
  /** Scale and zero point of the result, then three inputs for each part. */
  'com.microsoft.QLinearConcat': (c) => {
    const parts = Array.from({ length: (c.node.inputs.length - 2) / 3 }, (_, i) =>
      realOf(c, c.input(2 + 3 * i), quantizationAt(c, 3 + 3 * i)),
    )
    return quantized(c, c.b.concat(parts, c.int('axis', 0)), 0)
  },
}
