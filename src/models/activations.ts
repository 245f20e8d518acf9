/** @file Activation functions by the names that config.json uses (transformers' `ACT2FN`). */
import type { GraphBuilder } from '../graph/builder.js'
import { float, type Value } from '../graph/types.js'
import { InvalidModelError } from '../errors.js'

export type Activation = (b: GraphBuilder, x: Value) => Value

const geluExact: Activation = (b, x) => b.gelu(x)
const geluTanh: Activation = (b, x) => b.gelu(x, 'tanh')

/** x·σ(αx), one fused operator. */
const sigmoidWeighted =
  (alpha: number): Activation =>
  (b, x) =>
    b.emit('QuickGelu', [x], { alpha: float(alpha) }, { domain: 'com.microsoft' })

const activations: Readonly<Record<string, Activation>> = {
  gelu: geluExact,
  gelu_python: geluExact,
  // Four spellings of the same tanh form.
  gelu_new: geluTanh,
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
