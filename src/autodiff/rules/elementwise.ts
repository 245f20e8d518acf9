/** @file Gradients of element-wise arithmetic. */
import type { Value } from '../../graph/types.js'
import { rule, type GradientFunction } from '../rule.js'

/** d(u + v) = du + dv */
export const add = rule('Add', ({ dy: [g] }) => [g, g])

/** d(u − v) = du − dv */
export const sub = rule('Sub', ({ b, dy: [g], needs }) => [g, needs(1) && b.neg(g!)])

/** d(u·v) = v·du + u·dv */
export const mul = rule('Mul', ({ b, x: [u, v], dy: [g], needs }) => [needs(0) && b.mul(g!, v!), needs(1) && b.mul(g!, u!)])

/** d(u/v) = du/v − (u/v)·dv/v */
export const div = rule('Div', ({ b, x: [, v], y: [q], dy: [g], needs }) => {
  const perV = b.div(g!, v!)
  return [perV, needs(1) && b.neg(b.mul(perV, q!))]
})

/** d(−x) = −dx */
export const neg = rule('Neg', ({ b, dy: [g] }) => [b.neg(g!)])

/** d|x| = sign(x) dx, 0 at 0 */
export const abs = rule('Abs', ({ b, x: [x], dy: [g] }) => [b.mul(g!, b.sign(x!))])

/** d eˣ = eˣ dx */
export const exp = rule('Exp', ({ b, y: [y], dy: [g] }) => [b.mul(g!, y!)])

/** d ln x = dx/x */
export const log = rule('Log', ({ b, x: [x], dy: [g] }) => [b.div(g!, x!)])

/** d √x = dx/(2√x) */
export const sqrt = rule('Sqrt', ({ b, y: [y], dy: [g] }) => [b.div(b.mul(g!, 0.5), y!)])

/** d(1/x) = −dx/x² */
export const reciprocal = rule('Reciprocal', ({ b, y: [y], dy: [g] }) => [b.neg(b.mul(g!, b.mul(y!, y!)))])

/** d(uᵛ) = v·uᵛ⁻¹ du + uᵛ·ln u dv; the second term is 0 where u ≤ 0, as in PyTorch for u = 0 */
export const pow = rule('Pow', ({ b, x: [u, v], y: [y], dy: [g], needs }) => [
  needs(0) && b.mul(g!, b.mul(v!, b.pow(u!, b.sub(v!, 1)))),
  needs(1) && b.mul(g!, b.mul(y!, b.where(b.greater(u!, 0), b.log(b.where(b.greater(u!, 0), u!, 1)), 0))),
])

/** d sin x = cos x dx */
export const sin = rule('Sin', ({ b, x: [x], dy: [g] }) => [b.mul(g!, b.cos(x!))])

/** d cos x = −sin x dx */
export const cos = rule('Cos', ({ b, x: [x], dy: [g] }) => [b.neg(b.mul(g!, b.sin(x!)))])

/** d arcsin x = dx/√(1 − x²) */
export const asin = rule('Asin', ({ b, x: [x], dy: [g] }) => [b.div(g!, b.sqrt(b.sub(1, b.mul(x!, x!))))])

/** d arccos x = −dx/√(1 − x²) */
export const acos = rule('Acos', ({ b, x: [x], dy: [g] }) => [b.neg(b.div(g!, b.sqrt(b.sub(1, b.mul(x!, x!)))))])

/** d arctan x = dx/(1 + x²) */
export const atan = rule('Atan', ({ b, x: [x], dy: [g] }) => [b.div(g!, b.add(b.mul(x!, x!), 1))])

/** d erf x = 2/√π · e^(−x²) dx */
export const erf = rule('Erf', ({ b, x: [x], dy: [g] }) => [
  b.mul(g!, b.mul(b.exp(b.neg(b.mul(x!, x!))), 2 / Math.sqrt(Math.PI))),
])

/** The gradient follows the branch that was taken. */
export const where = rule('Where', ({ b, x: [condition], dy: [g], needs }) => [
  null,
  needs(1) && b.where(condition!, g!, 0),
  needs(2) && b.where(condition!, 0, g!),
])

/** A cast between float types passes the gradient through, cast back. */
export const cast = rule('Cast', ({ b, x: [x], dy: [g] }) => [b.cast(g!, x!.dtype)])

export const identity = rule('Identity', ({ dy: [g] }) => [g])

/** d clip(x) = dx where lo ≤ x ≤ hi, bounds included as in PyTorch */
export const clip = rule('Clip', ({ b, x: [x, lo, hi], dy: [g] }) => {
  const bounds = [lo && b.greaterOrEqual(x!, lo), hi && b.lessOrEqual(x!, hi)].filter((v) => v !== undefined)
  return [bounds.length === 0 ? g : b.where(bounds.reduce(b.and), g!, 0)]
})

/** The gradient goes to the operands that equal the result, in equal shares where several tie (as PyTorch). */
const extreme: GradientFunction = ({ b, x, y: [y], dy: [g], needs }) => {
  if (x.length === 1) return [g]
  const taken = x.map((operand) => b.equal(operand!, y!))
  const ties = taken.map((mask) => b.cast(mask, g!.dtype)).reduce((sum, mask) => b.add(sum, mask))
  const share: Value = b.div(g!, ties)
  return taken.map((mask, i) => needs(i) && b.where(mask, share, 0))
}

export const min = rule('Min', extreme)
export const max = rule('Max', extreme)

/** x mod m = x − m·q with a whole q: d = dx − q·dm */
export const mod = rule('Mod', ({ b, x: [x, m], y: [y], dy: [g], needs }) => [
  g,
  needs(1) && b.neg(b.mul(g!, b.div(b.sub(x!, y!), m!))),
])
