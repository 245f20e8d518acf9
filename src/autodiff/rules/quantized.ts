/** @file Gradients through products with quantised, frozen weights. */
import { UnsupportedOpError } from '../../errors.js'
import { elementCount, int, type DType, type Initializer, type Value } from '../../graph/types.js'
import { rule, type RuleContext } from '../rule.js'

/** A constant input seen as another type and shape: the same bytes, never copied. */
function seenAs(c: RuleContext, index: number, dtype: DType, shape: readonly number[]): Value {
  const value = c.input(index)
  const initializer = c.b.graph.initializers.get(value.name)
  if (initializer === undefined)
    throw new UnsupportedOpError(`${c.where}: input ${index} must be a constant, it is the frozen weight`)
  const name = `${value.name}/${dtype}`
  const known = c.b.graph.values.get(name)
  return known ?? c.b.graph.addInitializer(name, { ...initializer, dtype, shape } as Initializer)
}

/**
 * Y = X·Wᵀ with W [N, K] in 4 or 8 bits, one scale for each block along K: dX = dY·W, with W dequantised by the
 * standard operator. The weight itself is frozen: it is bits.
 */
export const matMulNBits = rule(
  'MatMulNBits',
  (c) => {
    const { b } = c
    const [K, N, bits, block] = [c.int('K', 0), c.int('N', 0), c.int('bits', 4), c.int('block_size', 32)]
    const blocks = Math.ceil(K / block)
    const refuse = (what: string): never => {
      throw new UnsupportedOpError(`${c.where}: ${what} has no gradient rule; quantise in 4 or 8 bits with blocks that divide K`)
    }
    if (bits !== 4 && bits !== 8) refuse(`${bits} bits`)
    if (K % block !== 0) refuse(`K = ${K} that is no multiple of block_size = ${block}`)
    if (c.x[4] !== undefined) refuse('g_idx')
    const dtype = bits === 4 ? 'uint4' : 'uint8'
    const weight = seenAs(c, 1, dtype, [N, K])
    const scales = b.reshape(c.input(2), [N, blocks])
    const zero = c.x[3]
    if (zero !== undefined && zero.dtype !== 'uint8') refuse('a zero point in floating point')
    if (zero !== undefined && bits === 4 && blocks % 2 !== 0) refuse('an odd number of 4-bit blocks with zero points')
    const points =
      zero !== undefined ? seenAs(c, 3, dtype, [N, blocks]) : middle(c, dtype, [N, blocks]) // prettier-ignore
    const W = b.emit('DequantizeLinear', [weight, scales, points], { axis: int(1), block_size: int(block) })
    return [b.matmul(c.gradient(), W), null, null, null, null, c.needs(5) && c.gradient()]
  },
  { domain: 'com.microsoft' },
)

/** The zero point that is meant where none is given: the middle of the range. */
function middle(c: RuleContext, dtype: 'uint4' | 'uint8', shape: readonly [number, number]): Value {
  const count = elementCount(shape)
  const data = dtype === 'uint4' ? new Uint8Array(Math.ceil(count / 2)).fill(0x88) : new Uint8Array(count).fill(128)
  return c.b.constant({ dtype, shape, data }, 'zero_points')
}
