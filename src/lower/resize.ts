/** @file Resize: along each axis a product with a constant matrix, or for the nearest element a choice of rows. */
import { ShapeError, UnsupportedOpError } from '../errors.js'
import { multiplyDims, scaleDim, unknownDim } from '../graph/dim/index.js'
import { normalizeAxis } from '../graph/shapes.js'
import type { Dim, Value } from '../graph/types.js'
import type { LowerContext, LoweringTable } from './context.js'
import { along } from './resize-along.js'
import { resizeFree } from './resize-free.js'

/** One axis that changes its length. */
interface Axis {
  readonly from: number
  readonly to: number
  readonly scale: number
}

/** Place in the input that an element of the output is taken from; in float32, as the runtime does. */
function place(c: LowerContext, i: number, { from, to, scale }: Axis): number {
  const f = Math.fround
  const halfPixel = f(f(f(i + 0.5) / f(scale)) - 0.5)
  const mode = c.string('coordinate_transformation_mode', 'half_pixel')
  switch (mode) {
    case 'half_pixel':
      return halfPixel
    case 'half_pixel_symmetric':
      return f(f(f(f(from / 2) * f(1 - f(to / f(f(scale) * from)))) + f(f(i + 0.5) / f(scale))) - 0.5)
    case 'pytorch_half_pixel':
      return to > 1 ? halfPixel : 0
    case 'align_corners':
      return to === 1 ? 0 : f(f(i * (from - 1)) / f(to - 1))
    case 'asymmetric':
      return f(i / f(scale))
    case 'tf_half_pixel_for_nn':
      return f(f(i + 0.5) / f(scale))
    default:
      throw new UnsupportedOpError(`${c.where}: coordinate_transformation_mode "${mode}" is not supported`)
  }
}

const nearestOf: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
}

const clamp = (i: number, length: number): number => Math.min(Math.max(i, 0), length - 1)

function nearest(c: LowerContext, axis: Axis): number[] {
  const mode = c.string('nearest_mode', 'round_prefer_floor')
  const round = nearestOf[mode]
  if (round === undefined) throw new UnsupportedOpError(`${c.where}: nearest_mode "${mode}" is not known`)
  return Array.from({ length: axis.to }, (_, i) => clamp(round(place(c, i, axis)), axis.from))
}

const triangle = (d: number): number => Math.max(0, 1 - Math.abs(d))

/** Cubic convolution with the parameter a (Keys, 1981) */
const cubic =
  (a: number) =>
  (distance: number): number => {
    const d = Math.abs(distance)
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0
  }

/** [from, to]: column i holds the weights by which element i of the output is put together. */
function interpolation(c: LowerContext, axis: Axis): Float32Array {
  const { from, to, scale } = axis
  const isCubic = c.string('mode', 'nearest') === 'cubic'
  const kernel = isCubic ? cubic(c.float('cubic_coeff_a', -0.75)) : triangle
  // Without aliases a smaller image sums over all it covers: the kernel is stretched.
  const antialias = c.int('antialias', 0) === 1 && scale < 1
  const stretch = antialias ? scale : 1
  const reach = (isCubic ? 2 : 1) / stretch
  const dropOutside = (isCubic || antialias) && c.int('exclude_outside', 0) === 1
  const matrix = new Float32Array(from * to)
  for (let i = 0; i < to; i++) {
    const x = place(c, i, axis)
    const weights = new Map<number, number>()
    // Outside of the image, linear interpolation ends at the last element.
    const at = isCubic || antialias ? x : Math.min(Math.max(x, 0), from - 1)
    for (let k = Math.ceil(at - reach); k <= Math.floor(at + reach); k++) {
      if (dropOutside && (k < 0 || k >= from)) continue
      const source = clamp(k, from)
      weights.set(source, (weights.get(source) ?? 0) + kernel((k - at) * stretch))
    }
    const sum = [...weights.values()].reduce((a, w) => a + w, 0)
    for (const [source, weight] of weights) matrix[source * to + i] = dropOutside || antialias ? weight / sum : weight
  }
  return matrix
}

/** Lengths and factors by axis; undefined where nothing changes. */
function scalesOf(c: LowerContext): (number | undefined)[] | undefined {
  const shape = c.shape(c.input(0))
  const axes = (c.ints('axes') ?? shape.map((_, i) => i)).map((a) => normalizeAxis(a, shape.length, c.where))
  const scales = c.optional(2) === undefined ? undefined : c.constant(2)
  if (scales === undefined || scales.length === 0) return undefined
  return shape.map((_, axis) => (axes.includes(axis) ? scales[axes.indexOf(axis)] : undefined))
}

/** What `sizes` says: new lengths by axis, undefined where nothing changes, and the one factor that keeps the form. */
interface Sizes {
  readonly lengths: readonly (Dim | undefined)[]
  /** Place of an axis in `sizes`. */
  readonly indices: readonly number[]
  readonly ratio?: number
}

function sizesOf(c: LowerContext): Sizes {
  const shape = c.shape(c.input(0))
  const axes = (c.ints('axes') ?? shape.map((_, i) => i)).map((a) => normalizeAxis(a, shape.length, c.where))
  const given = c.optional(3)
  if (given === undefined) throw new ShapeError(`${c.where}: neither scales nor sizes are given`)
  const indices = shape.map((_, axis) => axes.indexOf(axis))
  const sizes = c.dimensions(3)
  const lengths = shape.map((from, axis): Dim | undefined => {
    const at = indices[axis]!
    if (at < 0) return undefined
    const to = sizes?.[at] ?? unknownDim('resized', axis, c.node.name)
    return to === from ? undefined : to
  })
  const policy = c.string('keep_aspect_ratio_policy', 'stretch')
  if (policy === 'stretch') return { lengths, indices }
  const ratios = axes.map((axis) => Number(lengths[axis] ?? shape[axis]) / Number(shape[axis]))
  const ratio = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios)
  if (!Number.isFinite(ratio))
    throw new ShapeError(
      `${c.where}: keep_aspect_ratio_policy "${policy}" needs a fixed size, but the size is known at the run only`,
    )
  return {
    lengths: shape.map((from, axis) => (axes.includes(axis) ? Math.round(ratio * Number(from)) : undefined)),
    indices,
    ratio,
  }
}

/** An axis of unknown length, a whole number of times as long: each element is repeated. */
function repeat(c: LowerContext, x: Value, axis: number, times: number): Value {
  const { b } = c
  const shape = x.shape!
  const wide = b.expand(b.unsqueeze(x, [axis + 1]), [...shape.slice(0, axis + 1), times, ...shape.slice(axis + 1)])
  return b.reshape(
    wide,
    shape.map((d, i) => (i === axis ? multiplyDims(times, d) : d)),
  )
}

/** Whether every element of the input is taken `scale` times in a row. */
const repeats = (c: LowerContext, scale: number): boolean => {
  const [coordinates, mode] = [
    c.string('coordinate_transformation_mode', 'half_pixel'),
    c.string('nearest_mode', 'round_prefer_floor'),
  ]
  const rounds = coordinates === 'half_pixel' && mode.startsWith('round')
  return Number.isInteger(scale) && scale > 0 && (rounds || (coordinates === 'asymmetric' && mode === 'floor'))
}

export const resizeLowerings: LoweringTable = {
  Resize: (c) => {
    const { b } = c
    const mode = c.string('mode', 'nearest')
    if (!['nearest', 'linear', 'cubic'].includes(mode))
      throw new UnsupportedOpError(`${c.where}: mode "${mode}" is not supported`)
    const scales = scalesOf(c)
    const sizes = scales === undefined ? sizesOf(c) : undefined
    let x = c.input(0)
    for (let axis = 0; axis < c.rank(); axis++) {
      const from = x.shape![axis]!
      const given = scales?.[axis]
      const length = sizes?.lengths[axis]
      if (scales !== undefined ? given === undefined || given === 1 : length === undefined) continue
      const to = typeof from === 'number' && given !== undefined ? scaleDim(from, given) : length
      if (typeof from !== 'number' || typeof to !== 'number') {
        if (given !== undefined && mode === 'nearest' && repeats(c, given)) x = repeat(c, x, axis, given)
        else x = resizeFree(c, x, { axis, scale: given, size: sizes && { index: sizes.indices[axis]!, dim: length } })
        continue
      }
      const changed: Axis = { from, to, scale: given ?? sizes?.ratio ?? to / from }
      x =
        mode === 'nearest'
          ? b.gather(x, b.int64s(nearest(c, changed)), axis)
          : along(c, x, axis, b.constant({ dtype: 'float32', shape: [from, to], data: interpolation(c, changed) }))
    }
    return x === c.input(0) ? b.emit('Identity', [x]) : x
  },
}
