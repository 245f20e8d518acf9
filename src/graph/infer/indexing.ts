/** @file Element types and shapes of reading and writing at places that are values. */
import { ShapeError } from '../../errors.js'
import { unknownDim } from '../dim/index.js'
import { normalizeAxis } from '../shapes.js'
import { forAll, like, type Inference } from './context.js'

export const indexing = {
  Gather: (c) => {
    const shape = c.shape(0)
    const axis = c.axis(0)
    return [{ dtype: c.dtype(0), shape: [...shape.slice(0, axis), ...c.shape(1), ...shape.slice(axis + 1)] }]
  },
  GatherElements: (c) => [{ dtype: c.dtype(0), shape: c.shape(1) }],
  GatherND: (c) => {
    const shape = c.shape(0)
    const indices = c.shape(1)
    const batch = c.int('batch_dims', 0)
    const depth = indices[indices.length - 1]
    if (typeof depth !== 'number') throw new ShapeError(`${c.where}: the last dimension of the indices must be a number`)
    return [{ dtype: c.dtype(0), shape: [...indices.slice(0, -1), ...shape.slice(batch + depth)] }]
  },
  ...forAll(['ScatterND', 'ScatterElements'], like),
  NonZero: (c) => [{ dtype: 'int64', shape: [c.shape(0).length, unknownDim('nonzero', c.inputs[0]!.name)] }],
  OneHot: (c) => {
    const indices = c.shape(0)
    const depth = c.dims(1)?.[0] ?? unknownDim('depth', c.input(1).name)
    const axis = normalizeAxis(c.int('axis', -1), indices.length + 1, c.where)
    return [{ dtype: c.dtype(2), shape: [...indices.slice(0, axis), depth, ...indices.slice(axis)] }]
  },
  NonMaxSuppression: (c) => [{ dtype: 'int64', shape: [unknownDim('selected', c.input(0).name), 3] }],
} satisfies Readonly<Record<string, Inference>>
