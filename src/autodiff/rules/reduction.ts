/** @file Gradients of reductions. */
import { ShapeError } from '../../errors.js'
import { productOfDims } from '../../graph/shapes.js'
import { int, type Shape, type Value } from '../../graph/types.js'
import { rule, type GradientRule, type RuleContext } from '../rule.js'

/** A reduction as its gradient sees it: everything that was reduced has its axes back with length 1. */
interface Reduced {
  readonly c: RuleContext
  readonly x: Value
  readonly shape: Shape
  readonly axes: readonly number[]
  readonly y: Value
  readonly g: Value
}

/** Declares the gradient of a reduction. */
const reduction = <const Op extends string>(op: Op, gradient: (reduced: Reduced) => Value): GradientRule<Op> =>
  rule(op, (c) => {
    const x = c.input(0)
    const shape = c.shape(x)
    const axes = c.reducedAxes()
    const kept = shape.map((dim, i) => (axes.includes(i) ? 1 : dim))
    return [gradient({ c, x, shape, axes, y: c.b.reshape(c.y[0]!, kept), g: c.b.reshape(c.gradient(), kept) })]
  })

/** Number of reduced elements as a scalar of the element type of x. */
function count({ c: { b }, x, shape, axes }: Reduced): Value {
  const n = productOfDims(axes.map((a) => shape[a]!))
  return typeof n === 'number' ? b.scalar(n, x.dtype) : b.cast(b.dim(n), x.dtype)
}

/** d Σx = Σdx */
export const reduceSum = reduction('ReduceSum', ({ c: { b }, g, shape }) => b.expand(g, shape))

/** d mean x = Σdx/n */
export const reduceMean = reduction('ReduceMean', (r) => r.c.b.expand(r.c.b.div(r.g, count(r)), r.shape))

/** d Σx² = Σ2x dx */
export const reduceSumSquare = reduction('ReduceSumSquare', ({ c: { b }, g, x }) => b.mul(x, b.mul(g, 2)))

/** d √Σx² = Σ(x/y) dx, 0 where y = 0 */
export const reduceL2 = reduction('ReduceL2', ({ c: { b }, g, x, y }) =>
  b.mul(x, b.where(b.greater(y, 0), b.div(g, b.where(b.greater(y, 0), y, 1)), 0)),
)

/** d ln Σeˣ = Σ eˣ⁻ʸ dx: over the last axis alone, the softmax */
export const reduceLogSumExp = reduction('ReduceLogSumExp', ({ c: { b }, g, x, y, axes, shape }) =>
  b.mul(axes.length === 1 && axes[0] === shape.length - 1 ? b.softmax(x) : b.exp(b.sub(x, y)), g),
)

/** The gradient goes to the extreme elements, in equal shares where several tie (as PyTorch's amax). */
const extreme = ({ c: { b }, g, x, y, axes }: Reduced): Value => {
  const mask = b.cast(b.equal(x, y), x.dtype)
  return b.mul(mask, b.div(g, b.reduceSum(mask, axes)))
}

export const reduceMax = reduction('ReduceMax', extreme)
export const reduceMin = reduction('ReduceMin', extreme)

/** d Πx = Σ (Π of the others) dx: y/x, but exact beside zeros: with one zero only that place has a derivative, with two none */
export const reduceProd = reduction('ReduceProd', ({ c: { b }, g, x, axes }) => {
  const zero = b.equal(x, 0)
  const safe = b.where(zero, 1, x)
  const product = b.emit('ReduceProd', [safe, b.int64s(axes)])
  const zeros = b.reduceSum(b.cast(zero, x.dtype), axes)
  const atZero = b.where(b.equal(zeros, 1), product, 0)
  const elsewhere = b.where(b.equal(zeros, 0), product, 0)
  return b.mul(g, b.where(zero, atZero, b.div(elsewhere, safe)))
})

/** The sum runs the other way. */
export const cumSum = rule('CumSum', (c) => {
  if (c.x[1] === undefined) throw new ShapeError(`${c.where}: the axis is missing`)
  const attributes = { reverse: int(1 - c.int('reverse', 0)), exclusive: int(c.int('exclusive', 0)) }
  return [c.b.emit('CumSum', [c.gradient(), c.x[1]], attributes)]
})
