/** @file The activation that a fused product or convolution ends with. */
import { UnsupportedOpError } from '../errors.js'
import type { Value } from '../graph/types.js'
import type { LowerContext } from './context.js'

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
      return b.where(b.greater(x, 0), x, b.mul(x, alpha))
    case 'Clip':
      return b.emit('Clip', [x, b.scalar(alpha, x.dtype), b.scalar(beta, x.dtype)])
    case 'HardSigmoid':
      return b.emit('Clip', [b.add(b.mul(x, alpha), beta), b.scalar(0, x.dtype), b.scalar(1, x.dtype)])
    default:
      throw new UnsupportedOpError(`${c.where}: the activation "${name}" is not supported`)
  }
}
