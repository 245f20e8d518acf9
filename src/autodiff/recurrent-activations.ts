/** @file Values and slopes of the activation functions that recurrent layers know. */
import type { GraphBuilder } from '../graph/builder.js'
import type { ActivationName, RecurrentActivation } from '../graph/recurrent.js'
import type { Value } from '../graph/types.js'

interface Curve {
  /** y = f(z) */
  value(b: GraphBuilder, z: Value, a: RecurrentActivation): Value
  /** f′(z) */
  slope(b: GraphBuilder, z: Value, y: Value, a: RecurrentActivation): Value
  /** f of a number. */
  at(z: number, a: RecurrentActivation): number
}

const step = (b: GraphBuilder, condition: Value, yes: Value | number, no: Value | number): Value =>
  b.where(condition, yes, typeof no === 'number' && typeof yes === 'number' ? b.scalar(no) : no)

const curves: Readonly<Record<ActivationName, Curve>> = {
  Affine: {
    value: (b, z, { alpha, beta }) => b.add(b.mul(z, alpha), beta),
    slope: (b, z, _, { alpha }) => b.expand(b.scalar(alpha), z.shape!),
    at: (z, { alpha, beta }) => alpha * z + beta,
  },
  Relu: {
    value: (b, z) => b.relu(z),
    slope: (b, z) => step(b, b.greater(z, 0), 1, 0),
    at: (z) => Math.max(z, 0),
  },
  LeakyRelu: {
    value: (b, z, { alpha }) => step(b, b.greaterOrEqual(z, 0), z, b.mul(z, alpha)),
    slope: (b, z, _, { alpha }) => step(b, b.greaterOrEqual(z, 0), 1, alpha),
    at: (z, { alpha }) => (z >= 0 ? z : alpha * z),
  },
  ThresholdedRelu: {
    value: (b, z, { alpha }) => step(b, b.greater(z, alpha), z, 0),
    slope: (b, z, _, { alpha }) => step(b, b.greater(z, alpha), 1, 0),
    at: (z, { alpha }) => (z > alpha ? z : 0),
  },
  Tanh: {
    value: (b, z) => b.tanh(z),
    slope: (b, _, y) => b.sub(1, b.mul(y, y)),
    at: (z) => Math.tanh(z),
  },
  /** y = α·tanh βz, so y′ = αβ − βy²/α */
  ScaledTanh: {
    value: (b, z, { alpha, beta }) => b.mul(b.tanh(b.mul(z, beta)), alpha),
    slope: (b, z, _, { alpha, beta }) => {
      const t = b.tanh(b.mul(z, beta))
      return b.mul(b.sub(1, b.mul(t, t)), alpha * beta)
    },
    at: (z, { alpha, beta }) => alpha * Math.tanh(beta * z),
  },
  Sigmoid: {
    value: (b, z) => b.sigmoid(z),
    slope: (b, _, y) => b.mul(y, b.sub(1, y)),
    at: (z) => 1 / (1 + Math.exp(-z)),
  },
  HardSigmoid: {
    value: (b, z, { alpha, beta }) => b.min(b.max(b.add(b.mul(z, alpha), beta), 0), 1),
    slope: (b, _, y, { alpha }) => step(b, b.and(b.greater(y, 0), b.less(y, 1)), alpha, 0),
    at: (z, { alpha, beta }) => Math.min(Math.max(alpha * z + beta, 0), 1),
  },
  Elu: {
    value: (b, z, { alpha }) => step(b, b.greaterOrEqual(z, 0), z, b.mul(b.sub(b.exp(b.min(z, 0)), 1), alpha)),
    slope: (b, z, y, { alpha }) => step(b, b.greaterOrEqual(z, 0), 1, b.add(y, alpha)),
    at: (z, { alpha }) => (z >= 0 ? z : alpha * Math.expm1(z)),
  },
  Softsign: {
    value: (b, z) => b.div(z, b.add(b.abs(z), 1)),
    slope: (b, z) => {
      const size = b.add(b.abs(z), 1)
      return b.reciprocal(b.mul(size, size))
    },
    at: (z) => z / (1 + Math.abs(z)),
  },
  Softplus: {
    value: (b, z) => b.emit('Softplus', [z]),
    slope: (b, z) => b.sigmoid(z),
    at: (z) => Math.log1p(Math.exp(z)),
  },
}

export interface Activated {
  readonly value: Value
  readonly slope: Value
}

/**
 * What an activation makes of `z`, and its slope there.
 * @param clip bound that the layer puts on z before: outside of it nothing passes
 */
export function activate(b: GraphBuilder, z: Value, activation: RecurrentActivation, clip: number | undefined): Activated {
  const curve = curves[activation.name]
  const bounded = clip === undefined ? z : b.min(b.max(z, -clip), clip)
  const value = curve.value(b, bounded, activation)
  const slope = curve.slope(b, bounded, value, activation)
  if (clip === undefined) return { value, slope }
  return { value, slope: b.where(b.lessOrEqual(b.abs(z), clip), slope, 0) }
}

/** A place where an activation is far from 0, and what it is there. */
export function farFromZero(activation: RecurrentActivation, clip = Infinity): { readonly z: number; readonly value: number } {
  const places = [0, 1, -1, 2, activation.alpha + 1].filter((z) => Math.abs(z) <= clip)
  if (clip < 1) places.push(clip, -clip)
  const found = places.map((z) => ({ z, value: curves[activation.name].at(z, activation) }))
  return found.reduce((best, other) => (Math.abs(other.value) > Math.abs(best.value) * 1.5 ? other : best))
}
