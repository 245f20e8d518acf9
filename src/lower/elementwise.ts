/** @file Activations and other element-wise operators as primitives. */
import type { Value } from '../graph/types.js'
import { hardSigmoid, leakyRelu } from './activate.js'
import type { LowerContext, Lowering, LoweringTable } from './context.js'

/** A function of the first input. */
const unary =
  (f: (c: LowerContext, x: Value) => Value): Lowering =>
  (c) =>
    f(c, c.input(0))

/** x where it is positive, else `negative` of x clamped to x ≤ 0, so that no exponential overflows. */
const rectified = ({ b }: LowerContext, x: Value, negative: (clamped: Value) => Value): Value =>
  b.where(b.greater(x, 0), x, negative(b.min(x, 0)))

const sigmoidTimes = ({ b }: LowerContext, x: Value, alpha: number): Value =>
  b.mul(x, b.sigmoid(alpha === 1 ? x : b.mul(x, alpha)))

const expm1 = ({ b }: LowerContext, x: Value): Value => b.sub(b.exp(x), 1)

export const elementwiseLowerings: LoweringTable = {
  LeakyRelu: unary((c, x) => leakyRelu(c.b, x, c.float('alpha', 0.01))),
  PRelu: ({ b, input }) => b.where(b.greater(input(0), 0), input(0), b.mul(input(0), input(1))),
  ThresholdedRelu: unary((c, x) => c.b.where(c.b.greater(x, c.float('alpha', 1)), x, 0)),
  Elu: unary((c, x) => rectified(c, x, (v) => c.b.mul(expm1(c, v), c.float('alpha', 1)))),
  Selu: unary((c, x) => {
    const [alpha, gamma] = [c.float('alpha', 1.67326319217681884765625), c.float('gamma', 1.05070102214813232421875)]
    return c.b.mul(
      rectified(c, x, (v) => c.b.mul(expm1(c, v), alpha)),
      gamma,
    )
  }),
  Celu: unary((c, x) => {
    const alpha = c.float('alpha', 1)
    return rectified(c, x, (v) => c.b.mul(expm1(c, c.b.div(v, alpha)), alpha))
  }),
  HardSigmoid: unary((c, x) => hardSigmoid(c.b, x, c.float('alpha', 0.2), c.float('beta', 0.5))),
  HardSwish: unary((c, x) => c.b.mul(x, hardSigmoid(c.b, x, 1 / 6, 0.5))),
  Mish: unary((c, x) => c.b.mul(x, c.b.tanh(c.b.emit('Softplus', [x])))),
  Swish: unary((c, x) => sigmoidTimes(c, x, c.float('alpha', 1))),
  Softsign: unary(({ b }, x) => b.div(x, b.add(b.abs(x), 1))),
  Shrink: unary((c, x) => {
    const { b } = c
    const [lambda, bias] = [c.float('lambd', 0.5), c.float('bias', 0)]
    return b.where(b.less(x, -lambda), b.add(x, bias), b.where(b.greater(x, lambda), b.sub(x, bias), 0))
  }),
  Tan: unary(({ b }, x) => b.div(b.sin(x), b.cos(x))),
  Sinh: unary(({ b }, x) => b.mul(b.sub(b.exp(x), b.exp(b.neg(x))), 0.5)),
  Cosh: unary(({ b }, x) => b.mul(b.add(b.exp(x), b.exp(b.neg(x))), 0.5)),
  // ln(|x| + √(x² + 1)) with the sign of x: no cancellation
  Asinh: unary(({ b }, x) => {
    const size = b.abs(x)
    return b.mul(b.sign(x), b.log(b.add(size, b.sqrt(b.add(b.mul(x, x), 1)))))
  }),
  Acosh: unary(({ b }, x) => b.log(b.add(x, b.sqrt(b.sub(b.mul(x, x), 1))))),
  Atanh: unary(({ b }, x) => b.mul(b.log(b.div(b.add(x, 1), b.sub(1, x))), 0.5)),
  Sum: (c) => c.node.inputs.map((_, i) => c.input(i)).reduce(c.b.add),
  Mean: (c) => c.b.div(c.node.inputs.map((_, i) => c.input(i)).reduce(c.b.add), c.node.inputs.length),
  CastLike: ({ b, input }) => b.cast(input(0), input(1).dtype),
  /** Inference: nothing is dropped. The mask says so. */
  Dropout: (c) => [c.input(0), ...(c.hasMoreOutputs ? [c.b.full(c.shape(c.input(0)), 1, 'bool')] : [])],
  ReduceL1: (c) => sumOf(c, c.b.abs(c.input(0))),
  ReduceLogSum: (c) => c.b.log(sumOf(c, c.input(0))),
  'com.microsoft.BiasGelu': ({ b, input }) => b.gelu(b.add(input(0), input(1))),
  'com.microsoft.Gelu': ({ b, input }) => b.gelu(input(0)),
  /** x + bias in two halves along the last axis, the first gated by the second */
  'com.microsoft.BiasSplitGelu': ({ b, input }) => {
    const x = b.add(input(0), input(1))
    const [axis, width] = [x.shape!.length - 1, x.shape!.at(-1) as number]
    return b.mul(b.slice(x, axis, 0, width / 2), b.gelu(b.slice(x, axis, width / 2, width)))
  },
  'com.microsoft.BiasAdd': ({ b, input }) => b.add(b.add(input(0), input(1)), input(2)),
}

/** The sum over the axes that the node names. */
function sumOf(c: LowerContext, x: Value): Value {
  return c.b.emit('ReduceSum', [x, c.optional(1)], c.attributes)
}
