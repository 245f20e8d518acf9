/** @file Element types and shapes of convolutions, pools and resized images. */
import { ShapeError } from '../../errors.js'
import { addDims, multiplyDims, scaleDim, unknownDim } from '../dim/index.js'
import { normalizeAxis } from '../shapes.js'
import type { Dim, Shape } from '../types.js'
import { windowCount, windowsOf } from '../windows.js'
import { forAll, type InferContext, type Inference } from './context.js'

const pool: Inference = (c) => {
  const [n, channels, ...spatial] = c.shape(0)
  const kernel = c.ints('kernel_shape')
  if (kernel === undefined) throw new ShapeError(`${c.where}: kernel_shape is missing`)
  const ceil = c.int('ceil_mode', 0) === 1
  const shape = [
    n!,
    channels!,
    ...windowsOf(c.attributes, spatial, kernel, c.where).map((w, i) => windowCount(spatial[i]!, w, ceil)),
  ]
  return [
    { dtype: c.dtype(0), shape },
    { dtype: 'int64' as const, shape },
  ].slice(0, c.outputCount)
}

const globalPool: Inference = (c) => [{ dtype: c.dtype(0), shape: c.shape(0).map((d, i) => (i < 2 ? d : 1)) }]

function convTransposeShape(c: InferContext): Shape {
  const [n, , ...spatial] = c.shape(0)
  const [, perGroup, ...kernel] = c.shape(1)
  const windows = windowsOf(c.attributes, spatial, kernel, c.where)
  const given = c.ints('output_shape')
  const lengths = spatial.map((length, i): Dim => {
    if (given !== undefined) return given[i]!
    const w = windows[i]!
    const extent = w.dilation * (w.kernel - 1) + 1 + (c.ints('output_padding')?.[i] ?? 0) - w.padBefore - w.padAfter
    return addDims(multiplyDims(w.stride, addDims(length, -1)), extent)
  })
  return [n!, multiplyDims(perGroup!, c.int('group', 1)), ...lengths]
}

function resizeShape(c: InferContext): Shape | undefined {
  const shape = c.shape(0)
  const axes = c.ints('axes') ?? shape.map((_, i) => i)
  const result = [...shape]
  // Upsample has its scales second, Resize third, with the sizes fourth.
  const [scales, sizes] = c.inputs.length === 2 ? [c.constant(1), undefined] : [c.constant(2), c.dims(3)]
  if (sizes !== undefined && sizes.length > 0)
    axes.forEach((a, i) => (result[normalizeAxis(a, shape.length, c.where)] = sizes[i]!))
  else if (scales !== undefined && scales.length > 0)
    axes.forEach((a, i) => {
      const axis = normalizeAxis(a, shape.length, c.where)
      result[axis] = scaleDim(shape[axis]!, scales[i]!)
    })
  else return shape.map((d, i) => (i < 2 ? d : unknownDim('resized', i, c.input(0).name)))
  return result
}

export const windows = {
  Conv: (c) => {
    const [n, , ...spatial] = c.shape(0)
    const [channels, , ...kernel] = c.shape(1)
    // In the gradient of a weight the kernel is an image, of a size known at the run only.
    if (kernel.some((k) => typeof k !== 'number'))
      return [
        {
          dtype: c.dtype(0),
          shape: [n!, channels!, ...spatial.map((_, i) => unknownDim('convolved', i, c.input(0).name, c.input(1).name))],
        },
      ]
    const windows = windowsOf(c.attributes, spatial, kernel, c.where)
    return [{ dtype: c.dtype(0), shape: [n!, channels!, ...windows.map((w, i) => windowCount(spatial[i]!, w))] }]
  },
  ConvTranspose: (c) => [{ dtype: c.dtype(0), shape: convTransposeShape(c) }],
  ...forAll(['MaxPool', 'AveragePool', 'LpPool'], pool),
  ...forAll(['GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool'], globalPool),
  Resize: (c) => [{ dtype: c.dtype(0), shape: resizeShape(c) }],
  Upsample: (c) => [{ dtype: c.dtype(0), shape: resizeShape(c) }],
} satisfies Readonly<Record<string, Inference>>
