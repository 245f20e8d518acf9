/** @file Element types and shapes of what is made of lengths. */
import { subtractDims, unknownDim } from '../dim/index.js'
import type { Inference } from './context.js'

export const shapes = {
  Shape: (c) => {
    const rank = c.shape(0).length
    const clip = (v: number): number => Math.min(Math.max(v < 0 ? v + rank : v, 0), rank)
    return [{ dtype: 'int64', shape: [Math.max(0, clip(c.int('end', rank)) - clip(c.int('start', 0)))] }]
  },
  Size: () => [{ dtype: 'int64', shape: [] }],
  ConstantOfShape: (c) => {
    const value = c.attributes['value']
    return [{ dtype: value?.type === 'tensor' ? value.value.dtype : 'float32', shape: c.dims(0) }]
  },
  Range: (c) => {
    const [start, limit, delta] = [0, 1, 2].map((i) => c.dims(i)?.[0])
    const count = limit !== undefined && start !== undefined && delta === 1 ? subtractDims(limit, start) : undefined
    return [{ dtype: c.dtype(0), shape: [count ?? unknownDim('range', c.inputs[1]!.name)] }]
  },
} satisfies Readonly<Record<string, Inference>>
