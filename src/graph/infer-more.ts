/** @file Output types and shapes of operators that only imported graphs contain: vision, quantised weights, rare activations. */
import { ShapeError } from '../errors.js'
import { addDims, multiplyDims, scaleDim, unknownDim } from './dim/index.js'
import type { InferContext, Inference } from './infer.js'
import { broadcastShapes, normalizeAxis } from './shapes.js'
import type { Dim, Shape } from './types.js'
import { windowCount, windowsOf } from './windows.js'

const like: Inference = (c) => [{ dtype: c.dtype(0), shape: c.input(0).shape }]

const broadcastAll: Inference = (c) => [
  { dtype: c.dtype(0), shape: c.inputs.map((_, i) => c.shape(i)).reduce((a, b) => broadcastShapes(a, b, c.where)) },
]

/** Outputs after the first have the first's type; statistics and masks of training are never read in inference. */
const likeFirst: Inference = (c) => [
  { dtype: c.dtype(0), shape: c.shape(0) },
  ...Array.from({ length: c.outputCount - 1 }, () => ({ dtype: c.dtype(0), shape: undefined })),
]

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

/** Integers times an integer matrix, scaled to float32: [.., K] and [K, N] to [.., N]. */
const quantizedProduct: Inference = (c) => [{ dtype: 'float32', shape: [...c.shape(0).slice(0, -1), c.shape(1).at(-1)!] }]

const globalPool: Inference = (c) => [{ dtype: c.dtype(0), shape: c.shape(0).map((d, i) => (i < 2 ? d : 1)) }]

const argument: Inference = (c) => {
  const shape = c.shape(0)
  const axis = normalizeAxis(c.int('axis', 0), shape.length, c.where)
  const keep = c.int('keepdims', 1) === 1
  return [{ dtype: 'int64', shape: shape.flatMap((d, i) => (i === axis ? (keep ? [1] : []) : [d])) }]
}

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

export const moreInferences: Readonly<Record<string, Inference>> = {
  ...Object.fromEntries(
    [
      ...[
        'LeakyRelu',
        'Elu',
        'Selu',
        'Celu',
        'PRelu',
        'HardSigmoid',
        'HardSwish',
        'Mish',
        'Softsign',
        'ThresholdedRelu',
        'Shrink',
        'Swish',
        'Hardmax',
      ],
      ...[
        'Tan',
        'Asin',
        'Acos',
        'Atan',
        'Sinh',
        'Cosh',
        'Asinh',
        'Acosh',
        'Atanh',
        'BiasGelu',
        'BiasAdd',
        'CastLike',
        'BitwiseNot',
      ],
      ...[
        'InstanceNormalization',
        'GroupNormalization',
        'LpNormalization',
        'MeanVarianceNormalization',
        'LRN',
        'RMSNormalization',
        'ReverseSequence',
      ],
    ].map((op) => [op, like]),
  ),
  ...Object.fromEntries(['Sum', 'Mean', 'GatedAdd'].map((op) => [op, broadcastAll])),
  ...Object.fromEntries(['BatchNormalization', 'Dropout'].map((op) => [op, likeFirst])),
  ...Object.fromEntries(['MaxPool', 'AveragePool', 'LpPool'].map((op) => [op, pool])),
  ...Object.fromEntries(['GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool'].map((op) => [op, globalPool])),
  ...Object.fromEntries(['ArgMax', 'ArgMin'].map((op) => [op, argument])),
  CastLike: (c) => [{ dtype: c.dtype(1), shape: c.input(0).shape }],
  Size: () => [{ dtype: 'int64', shape: [] }],
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
  Resize: (c) => [{ dtype: c.dtype(0), shape: resizeShape(c) }],
  Upsample: (c) => [{ dtype: c.dtype(0), shape: resizeShape(c) }],
  DepthToSpace: (c) => {
    const [n, channels, height, width] = c.shape(0)
    const block = c.int('blocksize', 1)
    if (typeof channels !== 'number') throw new ShapeError(`${c.where}: the number of channels must be known`)
    return [{ dtype: c.dtype(0), shape: [n!, channels / block ** 2, multiplyDims(height!, block), multiplyDims(width!, block)] }]
  },
  SpaceToDepth: (c) => {
    const [n, channels, height, width] = c.shape(0)
    const block = c.int('blocksize', 1)
    if (typeof height !== 'number' || typeof width !== 'number')
      throw new ShapeError(`${c.where}: height and width must be known`)
    return [{ dtype: c.dtype(0), shape: [n!, multiplyDims(channels!, block ** 2), height / block, width / block] }]
  },
  OneHot: (c) => {
    const indices = c.shape(0)
    const depth = c.dims(1)?.[0] ?? unknownDim('depth', c.input(1).name)
    const axis = normalizeAxis(c.int('axis', -1), indices.length + 1, c.where)
    return [{ dtype: c.dtype(2), shape: [...indices.slice(0, axis), depth, ...indices.slice(axis)] }]
  },
  TopK: (c) => {
    const shape = c.shape(0)
    const axis = normalizeAxis(c.int('axis', -1), shape.length, c.where)
    const k = c.dims(1)?.[0] ?? unknownDim('k', c.input(1).name)
    const result = shape.map((d, i) => (i === axis ? k : d))
    return [
      { dtype: c.dtype(0), shape: result },
      { dtype: 'int64' as const, shape: result },
    ].slice(0, c.outputCount)
  },
  EyeLike: like,
  // Random numbers and choices: nothing is differentiated behind them.
  ...Object.fromEntries(['RandomNormalLike', 'RandomUniformLike', 'Bernoulli'].map((op) => [op, like])),
  NonMaxSuppression: (c) => [{ dtype: 'int64', shape: [unknownDim('selected', c.input(0).name), 3] }],
  /** A table in 4 or 8 bits, [rows, width] packed along the last axis unless it is int4 or uint4. */
  GatherBlockQuantized: (c) => {
    const data = c.shape(0)
    const axis = normalizeAxis(c.int('gather_axis', 0), data.length, c.where)
    const perByte = c.dtype(0) === 'uint8' ? 8 / c.int('bits', 4) : 1
    const wide = data.map((d, i) => (i === data.length - 1 ? multiplyDims(d, perByte) : d))
    return [{ dtype: c.dtype(2), shape: [...wide.slice(0, axis), ...c.shape(1), ...wide.slice(axis + 1)] }]
  },
  // Quantised weights
  DequantizeLinear: (c) => [{ dtype: c.dtype(1), shape: c.input(0).shape }],
  QuantizeLinear: (c) => [{ dtype: c.inputs[2]?.dtype ?? 'uint8', shape: c.input(0).shape }],
  DynamicQuantizeLinear: (c) => [
    { dtype: 'uint8', shape: c.input(0).shape },
    { dtype: 'float32', shape: [] },
    { dtype: 'uint8', shape: [] },
  ],
  MatMulNBits: (c) => [{ dtype: c.dtype(0), shape: [...c.shape(0).slice(0, -1), c.int('N', 0)] }],
  DynamicQuantizeMatMul: quantizedProduct,
  MatMulIntegerToFloat: quantizedProduct,
}
