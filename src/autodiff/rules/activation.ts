/** @file Gradients of activation functions. */
import type { GraphBuilder } from '../../graph/builder.js'
import type { Value } from '../../graph/types.js'
import { rule } from '../rule.js'

/** d tanh x = (1 − tanh²x) dx */
export const tanh = rule('Tanh', ({ b, y: [y], dy: [g] }) => [b.mul(g!, b.sub(1, b.mul(y!, y!)))])

/** d σ(x) = σ(x)(1 − σ(x)) dx */
export const sigmoid = rule('Sigmoid', ({ b, y: [y], dy: [g] }) => [b.mul(g!, b.mul(y!, b.sub(1, y!)))])

/** d relu(x) = [x > 0] dx */
export const relu = rule('Relu', ({ b, y: [y], dy: [g] }) => [b.where(b.greater(y!, 0), g!, 0)])

/** x·Φ(x): d = (Φ(x) + x·φ(x)) dx with the normal distribution Φ and its density φ */
function geluExact(b: GraphBuilder, x: Value, g: Value): Value {
  const cdf = b.mul(b.add(b.erf(b.mul(x, Math.SQRT1_2)), 1), 0.5)
  const density = b.mul(b.exp(b.mul(b.mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI))
  return b.mul(g, b.add(cdf, b.mul(x, density)))
}

/**
 * x·σ(2u) with u = √(2/π)(x + 0.044715 x³), the tanh form by tanh u = 2σ(2u) − 1:
 * d = s + x·s(1 − s)·(2u)′ with (2u)′ = √(8/π)(1 + 3·0.044715 x²)
 */
function geluTanh(b: GraphBuilder, x: Value, g: Value): Value {
  const c = Math.sqrt(8 / Math.PI)
  const square = b.mul(x, x)
  const s = b.sigmoid(b.mul(x, b.add(b.mul(square, c * 0.044715), c)))
  const slope = b.mul(x, b.add(b.mul(square, c * 3 * 0.044715), c))
  return b.mul(g, b.mul(s, b.add(b.mul(slope, b.sub(1, s)), 1)))
}

export const gelu = rule('Gelu', ({ b, input, dy: [g], string }) => [
  string('approximate', 'none') === 'tanh' ? geluTanh(b, input(0), g!) : geluExact(b, input(0), g!),
])

/** gelu(x + bias) in the tanh form */
export const fastGelu = rule(
  'FastGelu',
  ({ b, input, x: [x, bias], dy: [g] }) => {
    const d = geluTanh(b, bias === undefined ? input(0) : b.add(x!, bias), g!)
    return [d, bias && d]
  },
  { domain: 'com.microsoft' },
)

/** x·s with s = σ(αx), SiLU for α = 1: d = (s + αy(1 − s)) dx */
export const quickGelu = rule(
  'QuickGelu',
  ({ b, x: [x], y: [y], dy: [g], float }) => {
    const alpha = float('alpha', 1.702)
    const times = (v: Value): Value => (alpha === 1 ? v : b.mul(v, alpha))
    const s = b.sigmoid(times(x!))
    return [b.mul(g!, b.add(s, b.mul(times(y!), b.sub(1, s))))]
  },
  { domain: 'com.microsoft' },
)

/** d ln(1 + eˣ) = σ(x) dx */
export const softplus = rule('Softplus', ({ b, x: [x], dy: [g] }) => [b.mul(g!, b.sigmoid(x!))])

/** A rotation; its transpose is the rotation by the negated angle (Su et al., 2021) */
export const rotaryEmbedding = rule(
  'RotaryEmbedding',
  ({ b, input, dy: [g], node }) => [
    b.emit('RotaryEmbedding', [g!, input(1), input(2), b.neg(input(3))], node.attributes, { domain: 'com.microsoft' }),
  ],
  { domain: 'com.microsoft' },
)
