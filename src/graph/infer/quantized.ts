/** @file Element types and shapes of operators on numbers in few bits. */
import { multiplyDims } from '../dim/index.js'
import { normalizeAxis } from '../shapes.js'
import { forAll, type Inference } from './context.js'

/** Integers times an integer matrix, scaled to float32: [.., K] and [K, N] to [.., N]. */
const product: Inference = (c) => [{ dtype: 'float32', shape: [...c.shape(0).slice(0, -1), c.shape(1).at(-1)!] }]

export const quantized = {
  /** A table in 4 or 8 bits, [rows, width] packed along the last axis unless it is int4 or uint4. */
  GatherBlockQuantized: (c) => {
    const data = c.shape(0)
    const axis = normalizeAxis(c.int('gather_axis', 0), data.length, c.where)
    const perByte = c.dtype(0) === 'uint8' ? 8 / c.int('bits', 4) : 1
    const wide = data.map((d, i) => (i === data.length - 1 ? multiplyDims(d, perByte) : d))
    return [{ dtype: c.dtype(2), shape: [...wide.slice(0, axis), ...c.shape(1), ...wide.slice(axis + 1)] }]
  },
  DequantizeLinear: (c) => [{ dtype: c.dtype(1), shape: c.input(0).shape }],
  QuantizeLinear: (c) => [{ dtype: c.inputs[2]?.dtype ?? 'uint8', shape: c.input(0).shape }],
  DynamicQuantizeLinear: (c) => [
    { dtype: 'uint8', shape: c.input(0).shape },
    { dtype: 'float32', shape: [] },
    { dtype: 'uint8', shape: [] },
  ],
  MatMulNBits: (c) => [{ dtype: c.dtype(0), shape: [...c.shape(0).slice(0, -1), c.int('N', 0)] }],
  ...forAll(['DynamicQuantizeMatMul', 'MatMulIntegerToFloat'], product),
} satisfies Readonly<Record<string, Inference>>
