/** @file Activations by name, as a fused product or convolution ends with, and those that lowerings share. */
import { UnsupportedOpError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import type { Value } from '../graph/types.js'
import type { LowerContext } from './context.js'

/** x where it is positive, else α·x. */
export const leakyRelu = (b: GraphBuilder, x: Value, alpha: number): Value => b.where(b.greater(x, 0), x, b.mul(x, alpha))

/** σ by line segments, max(0, min(1, αx + β)) */
export const hardSigmoid = (b: GraphBuilder, x: Value, alpha: number, beta: number): Value =>
  clip(b, b.add(b.mul(x, alpha), beta), 0, 1)

const clip = (b: GraphBuilder, x: Value, low: number, high: number): Value =>
  b.emit('Clip', [x, b.scalar(low, x.dtype), b.scalar(high, x.dtype)])

/**
 * @param name of an ONNX activation, `''` for none
 * @param parameters its alpha and beta, or the bounds of a Clip
 */
export function activate(c: LowerContext, x: Value, name: string, parameters: readonly number[]): Value {
  const { b } = c
  const [alpha = 0.01, beta = 0] = parameters
  switch (name) {
    case '':
      return x
    case 'Relu':
      return b.relu(x)
    case 'Tanh':
      return b.tanh(x)
    case 'Sigmoid':
      return b.sigmoid(x)
    case 'LeakyRelu':
      return leakyRelu(b, x, alpha)
    case 'Clip':
      return clip(b, x, alpha, beta)
    case 'HardSigmoid':
      return hardSigmoid(b, x, alpha, beta)
    default:
      throw new UnsupportedOpError(`${c.where}: the activation "${name}" is not supported`)
  }
}
