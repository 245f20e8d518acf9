/**
 * @file Quantised graphs in floating point: weights stay in their bits behind a DequantizeLinear, and integers that stand
 * for activations are followed by the float values they mean. The numbers stay those of the quantised graph; the gradient
 * passes straight through the rounding and is 0 where a value was cut off (Bengio et al., 2013).
 */
import { UnsupportedOpError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { numbersOf } from '../graph/constants.js'
import { dtypeToOnnx, integerRange } from '../graph/dtypes.js'
import { int, isFileTensor, isFloat, type DType, type Value } from '../graph/types.js'
import type { LowerContext, Lowering, LoweringTable } from './context.js'

/** Operators that only move numbers, or choose the largest: of integers the same as of what they stand for. */
const moving: ReadonlySet<string> = new Set([
  ...['Reshape', 'Transpose', 'Squeeze', 'Unsqueeze', 'Flatten', 'Slice', 'Split', 'Concat', 'Gather', 'Expand', 'Tile'],
  ...['MaxPool', 'DepthToSpace', 'SpaceToDepth', 'GatherElements', 'GatherND'],
])

/** A scale or zero point per channel, so that it broadcasts along `axis` of x. */
function along(b: GraphBuilder, v: Value, axis: number, rank: number): Value {
  if (v.shape?.length !== 1 || v.shape[0] === 1) return v
  const at = axis < 0 ? axis + rank : axis
  return b.reshape(v, [v.shape[0]!, ...Array.from({ length: rank - 1 - at }, () => 1)])
}

/** What is smaller than its scale still has this many steps to 1; beyond, `v·2²⁴` would overflow. */
const FINE = 2 ** 60

/**
 * The number without its gradient: ⌊2²⁴·v/u⌋·u/2²⁴, which differs from v by less than float32 resolves beside u. Rounding is a
 * step, so no gradient passes it. u is the scale, but no more than 1 for what is smaller than the scale: a mask of −3·10³⁸
 * gives scales beside which every score would vanish.
 */
function withoutGradient(b: GraphBuilder, v: Value, scale: Value): Value {
  const steps = 2 ** 24
  const host = b.graph.initializers.get(scale.name)
  const numbers = host === undefined || isFileTensor(host) ? undefined : numbersOf(host)
  let unit = scale
  if (numbers?.every((n) => n <= 1) !== true) {
    const below = b.less(b.emit('Abs', [v]), b.min(scale, b.scalar(FINE, v.dtype)))
    unit = b.where(below, b.min(scale, b.scalar(1, v.dtype)), scale)
  }
  return b.mul(b.emit('Floor', [b.mul(v, b.div(steps, unit))]), b.div(unit, steps))
}

export interface Quantization {
  readonly scale: Value
  readonly zero: Value | undefined
  readonly axis: number
}

/** Integers of x, and what they stand for, with the gradient of x. */
export function fakeQuantize(c: LowerContext, x: Value, { scale, zero, axis }: Quantization, dtype: DType): Value {
  const { b } = c
  const attributes = { axis: int(axis) }
  const q = b.emit(
    'QuantizeLinear',
    [x, scale, zero],
    zero === undefined && dtype !== 'uint8' ? { ...attributes, output_dtype: int(dtypeToOnnx(dtype)) } : attributes,
  )
  const range = integerRange(dtype)
  if (range === undefined || range[1] >= 2 ** 16)
    throw new UnsupportedOpError(`${c.where}: activations in ${dtype} are not supported`)
  const [s, z] = [along(b, scale, axis, x.shape!.length), zero && along(b, b.cast(zero, x.dtype), axis, x.shape!.length)]
  const [low, high] = range.map((limit) => b.mul(z === undefined ? b.scalar(limit, x.dtype) : b.sub(limit, z), s)) as [
    Value,
    Value,
  ]
  const inside = b.and(b.greaterOrEqual(x, low), b.lessOrEqual(x, high))
  const clipped = b.where(inside, x, withoutGradient(b, b.min(b.max(x, low), high), s))
  const exact = b.emit('DequantizeLinear', [q, scale, zero], attributes)
  c.quantized.real.set(q.name, b.add(clipped, b.sub(exact, withoutGradient(b, clipped, s))))
  return q
}

/** What an input stands for: followed activations, or a weight behind its DequantizeLinear. */
export function realOf(c: LowerContext, x: Value, { scale, zero, axis }: Quantization): Value {
  const { b } = c
  if (isFloat(x.dtype)) return x
  const known = c.quantized.real.get(x.name)
  if (known !== undefined) return known
  // One zero point may stand for all channels, or the other way round.
  const point = zero !== undefined && zero.shape?.length === 0 && scale.shape?.length === 1 ? b.expand(zero, scale.shape) : zero
  return b.emit('DequantizeLinear', [x, scale, point], { axis: int(axis) })
}

/** Quantisation given by inputs `scale` and `scale + 1`. */
export const quantizationAt = (c: LowerContext, scale: number, axis = 1, zero = scale + 1): Quantization => ({
  scale: c.input(scale),
  zero: c.optional(zero),
  axis,
})

/** Moves what integers stand for along with them; undefined where the node has nothing to do with such integers. */
export function throughQuantized(c: LowerContext): readonly Value[] | undefined {
  const { b, node } = c
  const real = c.quantized.real
  const inputs = node.inputs.map((_, i) => c.optional(i))
  if (node.domain !== '' || !moving.has(node.op) || !inputs.some((x) => x !== undefined && real.has(x.name))) return undefined
  const twins = inputs.map((x) => (x === undefined ? undefined : real.get(x.name)))
  const data = node.op === 'Concat' ? inputs.map((_, i) => i) : [0]
  if (data.some((i) => twins[i] === undefined))
    throw new UnsupportedOpError(`${c.where}: it joins activations with integers of another meaning`)
  const [moved, meant] = [inputs, inputs.map((x, i) => twins[i] ?? x)].map((operands) =>
    b.emitAgain(node, operands, c.inferredShapes(node.op, operands)),
  ) as [Value[], Value[]]
  moved.forEach((value, i) => (i === 0 || node.op === 'Split' ? real.set(value.name, meant[i]!) : undefined))
  return moved
}

/** x − zero as floats, for an operand of an integer product. */
function centred(c: LowerContext, index: number, zero: number): Value {
  const { b } = c
  const x = b.cast(c.input(index), 'float32')
  const point = c.optional(zero)
  if (point === undefined) return x
  const axis = c.node.op === 'ConvInteger' ? 0 : index === 0 ? c.rank(0) - 2 : c.rank(1) - 1
  return b.sub(x, along(b, b.cast(point, 'float32'), axis, c.rank(index)))
}

/** The plain integer product, for readers other than the scaled one; activations must not lie behind it. */
const integerProduct =
  (op: 'MatMul' | 'Conv'): Lowering =>
  (c) => {
    const { b } = c
    const { x_zero_point: _, ...attributes } = c.attributes
    const product = b.emit(op, [centred(c, 0, 2), centred(c, 1, 3)], op === 'Conv' ? attributes : {})
    return b.cast(product, 'int32')
  }

/** Mul(Cast(integer product), scaleA·scaleB) = product of what both stand for. */
function scaledProduct(c: LowerContext): Value | undefined {
  const found = c.quantized.scaledProducts.get(c.node.outputs[0] ?? '')
  if (found === undefined) return undefined
  const { b } = c
  const { product } = found
  const value = (name: string | undefined): Value | undefined => (name ? c.named(name) : undefined)
  const operand = (index: 0 | 1, scale: string, axis: number): Value =>
    realOf(c, value(product.inputs[index])!, { scale: value(scale)!, zero: value(product.inputs[index + 2]), axis })
  const conv = product.op === 'ConvInteger'
  const rank = value(product.inputs[1])!.shape!.length
  const operands = [operand(0, found.scaleA, 1), operand(1, found.scaleB, conv ? 0 : rank - 1)]
  return b.emit(conv ? 'Conv' : 'MatMul', operands, conv ? product.attributes : {}, { name: product.name })
}

export const quantizedLowerings: LoweringTable = {
  /** Integers of weights stay; activations become what they stand for. */
  QuantizeLinear: (c) => {
    const zero = c.optional(2)
    const dtype = zero?.dtype ?? (c.int('output_dtype', 2) === 3 ? 'int8' : 'uint8')
    if (c.int('block_size', 0) > 0) throw new UnsupportedOpError(`${c.where}: activations in blocks are not supported`)
    return fakeQuantize(c, c.input(0), { scale: c.input(1), zero, axis: c.int('axis', 1) }, dtype)
  },
  DequantizeLinear: (c) => c.quantized.real.get(c.input(0).name),
  /** One scale for all of x, whose range always holds it: nothing is cut off. */
  DynamicQuantizeLinear: (c) => {
    const { b } = c
    const x = c.input(0)
    const [q, scale, zero] = b.emitAll('DynamicQuantizeLinear', [x], {}, { outputs: 3 }) as [Value, Value, Value]
    const exact = b.emit('DequantizeLinear', [q, scale, zero])
    // A batch of zeros has the scale 0.
    const safe = b.max(scale, 1e-30)
    c.quantized.real.set(q.name, b.add(x, b.sub(exact, withoutGradient(b, x, safe))))
    return [q, scale, zero]
  },
  MatMulInteger: integerProduct('MatMul'),
  ConvInteger: integerProduct('Conv'),
  Mul: scaledProduct,
  /** A, B, scale of A, scale of B, zero point of A, zero point of B, bias. */
  'com.microsoft.MatMulIntegerToFloat': (c) => {
    const { b } = c
    const rank = c.rank(1)
    const y = b.matmul(
      realOf(c, c.input(0), quantizationAt(c, 2, 1, 4)),
      realOf(c, c.input(1), quantizationAt(c, 3, rank - 1, 5)),
    )
    const bias = c.optional(6)
    return bias === undefined ? y : b.add(y, bias)
  },
  /** A (float), B, scale of B, zero point of B, bias. */
  'com.microsoft.DynamicQuantizeMatMul': (c) => {
    const { b } = c
    const x = c.input(0)
    const [q, scale, zero] = b.emitAll('DynamicQuantizeLinear', [x], {}, { outputs: 3 }) as [Value, Value, Value]
    const exact = b.emit('DequantizeLinear', [q, scale, zero])
    const coarse = b.add(x, b.sub(exact, withoutGradient(b, x, b.max(scale, 1e-30))))
    const y = b.matmul(coarse, realOf(c, c.input(1), quantizationAt(c, 2, c.rank(1) - 1)))
    const bias = c.optional(4)
    return bias === undefined ? y : b.add(y, bias)
  },
}
