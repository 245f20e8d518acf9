/** @file Operators that rearrange, pad or pick elements, as slices, reshapes and gathers. */
import { iota } from '../autodiff/place.js'
import { ShapeError, UnsupportedOpError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { numbersOf } from '../graph/constants.js'
import { floorDivideDims, multiplyDims, unknownDim } from '../graph/dim/index.js'
import { normalizeAxis, productOfDims } from '../graph/shapes.js'
import { int, ints, type Dim, type Shape, type Value } from '../graph/types.js'
import type { LowerContext, LoweringTable } from './context.js'

type Image = readonly [Dim, Dim, Dim, Dim]

/** An end that no tensor reaches: up to the last element, or backwards beyond the first. */
const END = 2 ** 31 - 1

/** `x[start:end:step]` along one axis, of a known length. */
function cut(b: GraphBuilder, x: Value, axis: number, [start, end, step]: readonly [number, number, number], length: Dim): Value {
  const shape = x.shape!.map((d, i) => (i === axis ? length : d))
  return b.emit('Slice', [x, ...[start, end, axis, step].map((n) => b.int64s([n]))], {}, { shapes: [shape] })
}

/** What stands before and after x along an axis in the modes of Pad that repeat elements of x. */
function border(c: LowerContext, x: Value, axis: number, mode: string, count: number, after: boolean): Value {
  const { b } = c
  const length = x.shape![axis]!
  const room = mode === 'reflect' && typeof length === 'number' ? length - 1 : length
  if (mode !== 'edge' && typeof room === 'number' && count > room)
    throw new ShapeError(`${c.where}: mode "${mode}" cannot pad ${count} elements from ${length}`)
  switch (mode) {
    case 'reflect':
      return cut(b, x, axis, after ? [-2, -2 - count, -1] : [count, 0, -1], count)
    case 'wrap':
      return after ? cut(b, x, axis, [0, count, 1], count) : cut(b, x, axis, [-count, END, 1], count)
    case 'edge': {
      const one = after ? cut(b, x, axis, [-1, END, 1], 1) : cut(b, x, axis, [0, 1, 1], 1)
      return b.expand(
        one,
        x.shape!.map((d, i) => (i === axis ? count : d)),
      )
    }
    default:
      throw new UnsupportedOpError(`${c.where}: mode "${mode}" is not known`)
  }
}

/** Pad in a mode other than `constant`, one axis after the other; negative pads cut off first. */
function padByRepetition(c: LowerContext): Value | undefined {
  const { b } = c
  const mode = c.string('mode', 'constant')
  if (mode === 'constant') return undefined
  const pads = c.constant(1)
  const rank = c.rank()
  const axes = (c.optional(3) === undefined ? Array.from({ length: rank }, (_, i) => i) : c.constant(3))?.map((a) =>
    normalizeAxis(a, rank, c.where),
  )
  if (pads === undefined || axes === undefined) throw new ShapeError(`${c.where}: pads and axes must be constants`)
  let x = c.input(0)
  axes.forEach((axis, i) => {
    const [before, after] = [pads[i]!, pads[i + axes.length]!]
    if (before < 0 || after < 0) {
      const all = x.shape!.map(() => 0)
      const cuts = (amount: number): number[] => all.map((_, d) => (d === axis ? Math.min(0, amount) : 0))
      x = b.emit('Pad', [x, b.int64s([...cuts(before), ...cuts(after)])])
    }
    const parts = [
      ...(before > 0 ? [border(c, x, axis, mode, before, false)] : []),
      x,
      ...(after > 0 ? [border(c, x, axis, mode, after, true)] : []),
    ]
    x = b.concat(parts, axis)
  })
  return x
}

/** The places of a vector that is not zero anywhere: how torch.arange was exported before there was Range (opset 11). */
function countedPlaces(c: LowerContext): Value | undefined {
  const { b } = c
  const x = c.input(0)
  const value = c.producer(x)?.op === 'ConstantOfShape' ? c.producer(x)!.attributes['value'] : undefined
  if (value?.type !== 'tensor' || !numbersOf(value.value)?.every((v) => v !== 0) || x.shape?.length !== 1) return undefined
  return b.unsqueeze(iota(b, x.shape[0]!), [0])
}

export const movementLowerings: LoweringTable = {
  NonZero: countedPlaces,
  Pad: padByRepetition,
  /** [n, block²·c, h, w] to [n, c, block·h, block·w] */
  DepthToSpace: (c) => {
    const { b } = c
    const block = c.int('blocksize', 1)
    const [n, channels, h, w] = c.shape(c.input(0)) as unknown as Image
    const each = floorDivideDims(channels, block ** 2)
    const byDepth = c.string('mode', 'DCR') === 'DCR'
    const apart = b.reshape(c.input(0), byDepth ? [n, block, block, each, h, w] : [n, each, block, block, h, w])
    const order = byDepth ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3]
    return b.reshape(b.transpose(apart, order), [n, each, multiplyDims(h, block), multiplyDims(w, block)])
  },
  /** [n, c, block·h, block·w] to [n, block²·c, h, w] */
  SpaceToDepth: (c) => {
    const { b } = c
    const block = c.int('blocksize', 1)
    const [n, channels, height, width] = c.shape(c.input(0)) as unknown as Image
    const [h, w] = [floorDivideDims(height, block), floorDivideDims(width, block)]
    const apart = b.reshape(c.input(0), [n, channels, h, block, w, block])
    return b.reshape(b.transpose(apart, [0, 3, 5, 1, 2, 4]), [n, multiplyDims(channels, block ** 2), h, w])
  },
  /** The places where the condition holds are read; how many is known at the run. */
  Compress: (c) => {
    const { b } = c
    const flat = c.node.attributes['axis'] === undefined
    const x = flat ? b.reshape(c.input(0), [productOfDims(c.shape(c.input(0)))]) : c.input(0)
    const axis = flat ? 0 : c.axis(0)
    const name = unknownDim('kept', c.input(1).name)
    const places = b.emit('NonZero', [c.input(1)], {}, { shapes: [[1, name]] })
    return b.gather(x, b.reshape(places, [name]), axis)
  },
  /** Blocks [n, c·∏block, places] are added up where they lie in an image: a transposed convolution by the unit kernels. */
  Col2Im: (c) => {
    const { b } = c
    const [image, block] = [c.constant(1), c.constant(2)]
    if (image === undefined || block === undefined) throw new ShapeError(`${c.where}: image and block must be constants`)
    const size = block.reduce((p, d) => p * d, 1)
    const list = (name: string, fallback: number, length = block.length): readonly number[] =>
      c.ints(name) ?? Array.from({ length }, () => fallback)
    const [strides, dilations, pads] = [list('strides', 1), list('dilations', 1), list('pads', 0, 2 * block.length)]
    const counts = image.map((length, i) => {
      const reach = dilations[i]! * (block[i]! - 1) + 1
      return Math.floor((length + pads[i]! + pads[i + block.length]! - reach) / strides[i]!) + 1
    })
    const [n, width] = c.shape(c.input(0)) as [Dim, Dim]
    const channels = floorDivideDims(width, size)
    const planes = multiplyDims(n, channels)
    const blocks = b.reshape(c.input(0), [planes, size, ...counts])
    const unit = new Float32Array(size * size)
    for (let i = 0; i < size; i++) unit[i * size + i] = 1
    const kernels = b.constant({ dtype: 'float32', shape: [size, 1, ...block], data: unit })
    const rest = image.map(
      (length, i) =>
        length + pads[i]! + pads[i + block.length]! - ((counts[i]! - 1) * strides[i]! + dilations[i]! * (block[i]! - 1) + 1),
    )
    const spread = b.emit('ConvTranspose', [blocks, kernels], {
      strides: ints(strides),
      dilations: ints(dilations),
      pads: ints(pads),
      ...(rest.some((r) => r > 0) && { output_padding: ints(rest) }),
    })
    const shape: Shape = [n, channels, ...image]
    return b.reshape(spread, shape)
  },
  'com.microsoft.Trilu': ({ b, input, optional, int: attribute }) =>
    b.emit('Trilu', [input(0), optional(1)], { upper: int(attribute('upper', 1)) }),
}
