/** @file Element types and shapes of what only moves elements. */
import { ShapeError } from '../../errors.js'
import { addDims, divideDims, multiplyDims, sliceDim, unknownDim } from '../dim/index.js'
import { broadcastShapes, normalizeAxis, productOfDims, resolveReshape } from '../shapes.js'
import type { Dim, Shape } from '../types.js'
import { forAll, like, type InferContext, type Inference } from './context.js'

/** Lengths that only the run tells, one for each axis. */
const unknownShape = (rank: number, what: string, c: InferContext): Shape =>
  Array.from({ length: rank }, (_, i) => unknownDim(what, c.input(0).name, c.inputs[1]?.name ?? '', i))

export const movements = {
  Transpose: (c) => {
    const shape = c.shape(0)
    const perm = c.ints('perm') ?? shape.map((_, i) => shape.length - 1 - i)
    return [{ dtype: c.dtype(0), shape: perm.map((p) => shape[p]!) }]
  },
  Reshape: (c) => {
    const target = c.dims(1)
    if (target === undefined) {
      const rank = c.shape(1)[0]
      return [{ dtype: c.dtype(0), shape: typeof rank === 'number' ? unknownShape(rank, 'reshaped', c) : undefined }]
    }
    // A literal 0 is a length only where the node says so.
    if (c.int('allowzero', 0) === 1 && target.includes(0)) return [{ dtype: c.dtype(0), shape: target }]
    return [{ dtype: c.dtype(0), shape: resolveReshape(c.shape(0), target, c.where) }]
  },
  Flatten: (c) => {
    const shape = c.shape(0)
    const axis = c.int('axis', 1) < 0 ? c.int('axis', 1) + shape.length : c.int('axis', 1)
    return [{ dtype: c.dtype(0), shape: [productOfDims(shape.slice(0, axis)), productOfDims(shape.slice(axis))] }]
  },
  Squeeze: (c) => {
    const shape = c.shape(0)
    const axes = c.axes(1)
    return [{ dtype: c.dtype(0), shape: shape.filter((dim, i) => (axes === undefined ? dim !== 1 : !axes.includes(i))) }]
  },
  Unsqueeze: (c) => {
    const shape = c.shape(0)
    const given = c.givenAxes(1)
    if (given === undefined) throw new ShapeError(`${c.where}: axes are missing`)
    const rank = shape.length + given.length
    const axes = new Set(given.map((a) => normalizeAxis(a, rank, c.where)))
    const rest = [...shape]
    return [{ dtype: c.dtype(0), shape: Array.from({ length: rank }, (_, i) => (axes.has(i) ? 1 : rest.shift()!)) }]
  },
  Expand: (c) => {
    const target = c.dims(1)
    return [{ dtype: c.dtype(0), shape: target === undefined ? undefined : broadcastShapes(c.shape(0), target, c.where) }]
  },
  Tile: (c) => {
    const repeats = c.dims(1)
    const shape = c.shape(0)
    if (repeats === undefined) return [{ dtype: c.dtype(0), shape: unknownShape(shape.length, 'tiled', c) }]
    return [{ dtype: c.dtype(0), shape: shape.map((dim, i) => multiplyDims(dim, repeats[i]!)) }]
  },
  Concat: (c) => {
    const first = c.shape(0)
    const axis = c.axis(0)
    const total = c.inputs.map((_, i) => c.shape(i)[axis]!).reduce(addDims)
    return [{ dtype: c.dtype(0), shape: first.map((dim, i) => (i === axis ? total : dim)) }]
  },
  Split: (c) => {
    const shape = c.shape(0)
    const axis = c.axis(0)
    const sizes =
      c.ints('split') ??
      c.dims(1) ??
      // Sizes that are only known at the run.
      (c.inputs[1] && Array.from({ length: c.outputCount }, (_, i) => unknownDim('split', c.inputs[1]!.name, i)))
    return Array.from({ length: c.outputCount }, (_, i) => {
      const part = sizes === undefined ? divideDims(shape[axis]!, c.outputCount) : sizes[i]
      if (part === undefined)
        throw new ShapeError(`${c.where}: cannot split dimension ${shape[axis]} into ${c.outputCount} parts`)
      return { dtype: c.dtype(0), shape: shape.map((dim, d) => (d === axis ? part : dim)) }
    })
  },
  Slice: (c) => {
    const shape = c.shape(0)
    const starts = c.dims(1) ?? c.ints('starts')
    const ends = c.dims(2) ?? c.ints('ends')
    const axes = c.constant(3) ?? c.ints('axes') ?? (c.inputs[3] === undefined ? starts?.map((_, i) => i) : undefined)
    const steps = c.constant(4)
    if (axes === undefined) return [{ dtype: c.dtype(0), shape: unknownShape(shape.length, 'sliced', c) }]
    const result = [...shape]
    axes.forEach((a, i) => {
      const axis = normalizeAxis(a, shape.length, c.where)
      if (starts === undefined || ends === undefined || (c.inputs[4] !== undefined && steps === undefined)) {
        // Bounds known at the run only: a dimension of its own, named after them.
        const bound = (known: readonly Dim[] | undefined, input: number): Dim => known?.[i] ?? `${c.inputs[input]!.name}@${i}`
        result[axis] = unknownDim('slice', shape[axis]!, bound(starts, 1), bound(ends, 2), steps?.[i] ?? 1)
        return
      }
      const [dim, start, end, step] = [shape[axis]!, starts[i]!, ends[i]!, steps?.[i] ?? 1]
      result[axis] = sliceDim(dim, start, end, step)
    })
    return [{ dtype: c.dtype(0), shape: result }]
  },
  Pad: (c) => {
    const shape = c.shape(0)
    const pads = c.dims(1) ?? c.ints('pads')
    const axes = c.inputs[3] === undefined ? shape.map((_, i) => i) : c.constant(3)
    if (pads === undefined || axes === undefined) return [{ dtype: c.dtype(0), shape: unknownShape(shape.length, 'padded', c) }]
    const result = [...shape]
    axes.forEach((a, i) => {
      const axis = normalizeAxis(a, shape.length, c.where)
      result[axis] = [pads[i]!, pads[i + axes.length]!].reduce(addDims, shape[axis]!)
    })
    return [{ dtype: c.dtype(0), shape: result }]
  },
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
  ...forAll(['Trilu', 'RotaryEmbedding', 'ReverseSequence'], like),
} satisfies Readonly<Record<string, Inference>>
