/** @file Resize along an axis whose length is known at the run only: the run itself computes where each element comes from. */
import { ShapeError, UnsupportedOpError } from '../errors.js'
import { scaleDim, unknownDim } from '../graph/dim/index.js'
import type { Dim, Value } from '../graph/types.js'
import type { LowerContext } from './context.js'
import { along } from './resize-along.js'

/** What the node says of one axis: a factor, or the place of its new length in the input `sizes`. */
export interface FreeAxis {
  readonly axis: number
  readonly scale: number | undefined
  /** Index into `sizes`, and the length there as far as it is known. */
  readonly size: { readonly index: number; readonly dim: Dim | undefined } | undefined
}

/** Lengths of an axis as float scalars [1], and the new one as a dimension. */
interface Lengths {
  readonly from: Value
  readonly to: Value
  readonly scale: Value
  readonly dim: Dim
}

function lengthsOf(c: LowerContext, x: Value, { axis, scale, size }: FreeAxis): Lengths {
  const { b } = c
  const length = x.shape![axis]!
  const from = b.cast(b.dim(length), 'float32')
  if (scale !== undefined) {
    const factor = b.scalar(scale)
    return { from, to: b.emit('Floor', [b.mul(from, factor)]), scale: factor, dim: scaleDim(length, scale) }
  }
  const to = b.cast(b.cast(b.slice(c.input(3), 0, size!.index, size!.index + 1), 'int64'), 'float32')
  return { from, to, scale: b.div(to, from), dim: size!.dim ?? unknownDim('resized', axis, c.node.name) }
}

/** [length]: 0, 1, 2, … as floats. */
function range(c: LowerContext, length: Value, dim: Dim): Value {
  const { b } = c
  const bound = b.reshape(b.cast(length, 'int64'), [])
  return b.cast(b.emit('Range', [b.scalar(0, 'int64'), bound, b.scalar(1, 'int64')], {}, { shapes: [[dim]] }), 'float32')
}

/** Place in the input that element i of the output is taken from; see `place` in resize.ts. */
function places(c: LowerContext, { from, to, scale, dim }: Lengths): Value {
  const { b } = c
  const i = range(c, to, dim)
  const halfPixel = (): Value => b.sub(b.div(b.add(i, 0.5), scale), 0.5)
  const mode = c.string('coordinate_transformation_mode', 'half_pixel')
  switch (mode) {
    case 'half_pixel':
      return halfPixel()
    case 'half_pixel_symmetric':
      return b.sub(b.add(b.mul(b.div(from, 2), b.sub(1, b.div(to, b.mul(scale, from)))), b.div(b.add(i, 0.5), scale)), 0.5)
    case 'pytorch_half_pixel':
      return b.where(b.greater(to, 1), halfPixel(), 0)
    case 'align_corners':
      return b.div(b.mul(i, b.sub(from, 1)), b.max(b.sub(to, 1), 1))
    case 'asymmetric':
      return b.div(i, scale)
    case 'tf_half_pixel_for_nn':
      return b.div(b.add(i, 0.5), scale)
    default:
      throw new UnsupportedOpError(`${c.where}: coordinate_transformation_mode "${mode}" is not supported`)
  }
}

function nearest(c: LowerContext, x: Value): Value {
  const { b } = c
  const floor = (v: Value): Value => b.emit('Floor', [v])
  const ceil = (v: Value): Value => b.neg(floor(b.neg(v)))
  const mode = c.string('nearest_mode', 'round_prefer_floor')
  switch (mode) {
    case 'round_prefer_floor':
      return ceil(b.sub(x, 0.5))
    case 'round_prefer_ceil':
      return floor(b.add(x, 0.5))
    case 'floor':
      return floor(x)
    case 'ceil':
      return ceil(x)
    default:
      throw new UnsupportedOpError(`${c.where}: nearest_mode "${mode}" is not known`)
  }
}

/**
 * [from, to]: the four places around xᵢ, those outside moved to the edge, with the weights of cubic convolution (Keys, 1981)
 * by their distance d: ((a+2)d − (a+3))d² + 1 for the two within 1, a(((d − 5)d + 8)d − 4) for the others.
 */
function cubic(c: LowerContext, x: Value, hat: (place: Value) => Value): Value {
  const { b } = c
  const a = c.float('cubic_coeff_a', -0.75)
  const first = b.emit('Floor', [x])
  const near = (d: Value): Value => b.add(b.mul(b.sub(b.mul(d, a + 2), a + 3), b.mul(d, d)), 1)
  const far = (d: Value): Value => b.mul(b.sub(b.mul(b.add(b.mul(b.sub(d, 5), d), 8), d), 4), a)
  return [-1, 0, 1, 2]
    .map((offset) => {
      const place = b.add(first, offset)
      const distance = b.abs(b.sub(x, place))
      const weight = offset === 0 || offset === 1 ? near(distance) : far(distance)
      return b.mul(hat(place), b.unsqueeze(weight, [0]))
    })
    .reduce((sum, part) => b.add(sum, part))
}

/**
 * One axis resized: the nearest element by a choice of rows, interpolation by a product with a matrix of weights, of linear
 * interpolation max(0, 1 − |k − xᵢ|).
 * @throws ShapeError for smoothing, whose kernel needs a fixed size
 */
export function resizeFree(c: LowerContext, x: Value, free: FreeAxis): Value {
  const { b } = c
  const { axis } = free
  const mode = c.string('mode', 'nearest')
  const special = ['antialias', 'exclude_outside'].find((name) => mode !== 'nearest' && c.int(name, 0) === 1)
  if (special !== undefined)
    throw new ShapeError(
      `${c.where}: ${special} needs a fixed size, but axis ${axis} goes from ${x.shape![axis]} to a length known at the run only`,
    )
  const lengths = lengthsOf(c, x, free)
  const last = b.sub(lengths.from, 1)
  const clamp = (v: Value): Value => b.min(b.max(v, 0), last)
  const at = places(c, lengths)
  if (mode === 'nearest') return b.gather(x, b.cast(clamp(nearest(c, at)), 'int64'), axis)
  const source = b.unsqueeze(range(c, lengths.from, x.shape![axis]!), [1])
  const hat = (place: Value): Value => b.relu(b.sub(1, b.abs(b.sub(source, b.unsqueeze(clamp(place), [0])))))
  return along(c, x, axis, mode === 'cubic' ? cubic(c, at, hat) : hat(at))
}
