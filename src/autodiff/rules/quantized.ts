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

interface Codes {
  readonly N: number
  readonly K: number
  readonly bits: 4 | 8
  readonly block: number
  /** Number of blocks along K; the last may be cut off. */
  readonly blocks: number
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
    if (bits !== 4 && bits !== 8)
      throw new UnsupportedOpError(`${c.where}: ${bits} bits have no gradient rule; quantise the model in 4 or 8 bits`)
    const codes: Codes = { N, K, bits, block, blocks: Math.ceil(K / block) }
    const zero = c.x[3]
    const odd = zero !== undefined && (zero.dtype !== 'uint8' || (bits === 4 && codes.blocks % 2 !== 0))
    const W = odd || c.x[4] !== undefined || K % block !== 0 ? anyWeight(c, codes) : evenWeight(c, codes)
    return [b.matmul(c.gradient(), W), null, null, null, null, c.needs(5) && c.gradient()]
  },
  { domain: 'com.microsoft' },
)

/** Whole blocks and whole bytes: codes, scales and zero points are those of one DequantizeLinear. */
function evenWeight(c: RuleContext, { N, K, bits, block, blocks }: Codes): Value {
  const { b } = c
  const dtype = bits === 4 ? 'uint4' : 'uint8'
  const scales = b.reshape(c.input(2), [N, blocks])
  const points = c.x[3] === undefined ? middle(c, dtype, [N, blocks]) : seenAs(c, 3, dtype, [N, blocks])
  return b.emit('DequantizeLinear', [seenAs(c, 1, dtype, [N, K]), scales, points], { axis: int(1), block_size: int(block) })
}

/** W = (code − zero point)·scale with blocks of any length, zero points of any kind, or a group index for each column. */
function anyWeight(c: RuleContext, { N, K, bits, block, blocks }: Codes): Value {
  const { b } = c
  const codes = seenAs(c, 1, bits === 4 ? 'uint4' : 'uint8', [N, blocks * block])
  const dtype = c.input(2).dtype
  const whole = b.emit('DequantizeLinear', [codes, b.scalar(1, dtype)])
  const columns = K === blocks * block ? whole : b.slice(whole, 1, 0, K)
  const group = c.x[4]
  /** [N, blocks] to [N, K]. */
  const spread = (v: Value): Value => {
    if (group !== undefined) return b.gather(v, group, 1)
    const wide = b.reshape(b.expand(b.reshape(v, [N, blocks, 1]), [N, blocks, block]), [N, blocks * block])
    return K === blocks * block ? wide : b.slice(wide, 1, 0, K)
  }
  const points = zeroPoints(c, { N, K, bits, block, blocks }, dtype)
  return b.mul(b.sub(columns, typeof points === 'number' ? points : spread(points)), spread(b.reshape(c.input(2), [N, blocks])))
}

/** As floats [N, blocks], or one number for all. */
function zeroPoints(c: RuleContext, { N, bits, blocks }: Codes, dtype: DType): Value | number {
  const { b } = c
  const given = c.x[3]
  if (given === undefined) return 2 ** (bits - 1)
  if (given.dtype !== 'uint8') return b.reshape(b.cast(given, dtype), [N, blocks])
  if (bits === 8) return b.reshape(b.cast(given, dtype), [N, blocks])
  // Two to a byte, the low bits first; each row begins with a byte.
  const bytes = b.reshape(b.cast(b.reshape(given, [N, Math.ceil(blocks / 2)]), 'float32'), [N, Math.ceil(blocks / 2), 1])
  const high = b.emit('Floor', [b.div(bytes, 16)])
  const pairs = b.concat([b.sub(bytes, b.mul(high, 16)), high], 2)
  return b.cast(b.slice(b.reshape(pairs, [N, 2 * Math.ceil(blocks / 2)]), 1, 0, blocks), dtype)
}

/** The zero point that is meant where none is given: the middle of the range. */
function middle(c: RuleContext, dtype: 'uint4' | 'uint8', shape: readonly [number, number]): Value {
  const count = elementCount(shape)
  const data = dtype === 'uint4' ? new Uint8Array(Math.ceil(count / 2)).fill(0x88) : new Uint8Array(count).fill(128)
  return c.b.constant({ dtype, shape, data }, 'zero_points')
}
