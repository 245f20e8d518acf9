/** @file Activation functions by the names that config.json uses (transformers' `ACT2FN`). */
import type { GraphBuilder } from '../graph/builder.js'
import { float, type Value } from '../graph/types.js'
import { InvalidModelError } from '../errors.js'

export type Activation = (b: GraphBuilder, x: Value) => Value

const geluExact: Activation = (b, x) => b.gelu(x)
const geluTanh: Activation = (b, x) => b.gelu(x, 'tanh')

const clip = (b: GraphBuilder, x: Value, low: number, high: number): Value => b.emit('Clip', [x, b.scalar(low), b.scalar(high)])
const softplus = (b: GraphBuilder, x: Value): Value => b.emit('Softplus', [x])

/** x·σ(αx), one fused operator. */
const sigmoidWeighted =
  (alpha: number): Activation =>
  (b, x) =>
    b.emit('QuickGelu', [x], { alpha: float(alpha) }, { domain: 'com.microsoft' })

const activations: Readonly<Record<string, Activation>> = {
  gelu: geluExact,
  gelu_python: geluExact,
  gelu_10: (b, x) => clip(b, b.gelu(x), -10, 10),
  // Five spellings of the same tanh form.
  gelu_new: geluTanh,
  gelu_python_tanh: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_fast: geluTanh,
  gelu_accurate: geluTanh,
  quick_gelu: sigmoidWeighted(1.702),
  silu: sigmoidWeighted(1),
  swish: sigmoidWeighted(1),
  relu: (b, x) => b.relu(x),
  relu2: (b, x) => {
    const positive = b.relu(x)
    return b.mul(positive, positive)
  },
  relu6: (b, x) => clip(b, x, 0, 6),
  leaky_relu: (b, x) => b.max(x, b.mul(x, 0.01)),
  hardswish: (b, x) => b.mul(x, b.div(clip(b, b.add(x, 3), 0, 6), 6)),
  // The constants are those of transformers: 1/√2 and 1/√(4π) rounded.
  laplace: (b, x) => b.mul(b.add(b.erf(b.div(b.sub(x, 0.707107), 0.282095 * Math.SQRT2)), 1), 0.5),
  mish: (b, x) => b.mul(x, b.tanh(softplus(b, x))),
  sqrtsoftplus: (b, x) => b.sqrt(softplus(b, x)),
  sigmoid: (b, x) => b.sigmoid(x),
  tanh: (b, x) => b.tanh(x),
  linear: (_, x) => x,
}

/**
 * The activation function of that name.
 * @param where the file and key that name it, for the message
 * @throws InvalidModelError for a name that is not in the table
 */
export function activationNamed(name: string, where: string): Activation {
  const activation = Object.hasOwn(activations, name) ? activations[name] : undefined
  if (activation === undefined)
    throw new InvalidModelError(
      `${where}: activation "${name}" is not supported; known are ${Object.keys(activations).join(', ')}`,
    )
  return activation
}
