/** @file Gradients of reading and writing at indices: reading adds into zeros, writing is read back. */
import { UnsupportedOpError } from '../../errors.js'
import type { GraphBuilder } from '../../graph/builder.js'
import { int, type Shape, type Value } from '../../graph/types.js'
import { iota, placeCuts, scatterElements, scatterNd } from '../place.js'
import { rule, type RuleContext } from '../rule.js'

/** Indices as int64 counted from the front: `Mod` maps −1 to n − 1. Constants that are so already stay. */
function fromFront(c: RuleContext, indices: Value, lengths: Value): Value {
  const { b } = c
  const known = c.constant(1)
  return known?.every((i) => i >= 0) === true ? b.cast(indices, 'int64') : b.emit('Mod', [b.cast(indices, 'int64'), lengths])
}

/** What was read at an index is added up there: in place by Pad for a single constant index, else by ScatterND */
export const gather = rule('Gather', (c) => {
  const { b } = c
  const [data, indices] = [c.shape(c.input(0)), c.shape(c.input(1))]
  const axis = c.axis(0)
  const g = c.gradient()
  const constant = c.constant(1)
  if (constant?.length === 1) {
    const start = constant[0]!
    const one = b.reshape(g, [...data.slice(0, axis), 1, ...data.slice(axis + 1)])
    return [placeCuts(b, one, data, [{ axis, start, end: start === -1 ? Infinity : start + 1 }])]
  }
  const at = fromFront(c, b.reshape(c.input(1), [...indices, 1]), b.dim(data[axis]!))
  if (axis === 0) return [scatterNd(b, data, at, g)]
  // ScatterND indexes leading axes: bring the gathered one to the front and back.
  const front = indices.map((_, i) => axis + i)
  const rest = [...data.slice(0, axis), ...data.slice(axis + 1)]
  const others = rest.map((_, i) => (i < axis ? i : i + indices.length))
  const added = scatterNd(b, [data[axis]!, ...rest], at, b.transpose(g, [...front, ...others]))
  return [
    b.transpose(
      added,
      data.map((_, i) => (i === axis ? 0 : i < axis ? i + 1 : i)),
    ),
  ]
})

/** What was read at an index is added up there */
export const gatherElements = rule('GatherElements', ({ b, input, dy: [g], axis, shape }) => [
  scatterElements(b, shape(input(0)), input(1), g!, axis(0)),
])

/** Indices of GatherND with the batch position written before them, since ScatterND has no batch dimensions. */
function withBatchIndices(b: GraphBuilder, indices: Value, shape: Shape, batchDims: number): Value {
  if (batchDims === 0) return indices
  const one = [...shape.slice(0, -1), 1]
  const batch = Array.from({ length: batchDims }, (_, axis) => {
    const along = one.map((dim, i) => (i === axis ? dim : 1))
    return b.expand(b.reshape(iota(b, shape[axis]!), along), one)
  })
  return b.concat([...batch, indices], shape.length - 1)
}

/** What was read at an index is added up there */
export const gatherNd = rule('GatherND', (c) => {
  const { b } = c
  const [data, indices] = [c.shape(c.input(0)), c.shape(c.input(1))]
  const batch = c.int('batch_dims', 0)
  const depth = indices.at(-1) as number
  const at = fromFront(c, c.input(1), b.shapeVector(data.slice(batch, batch + depth)))
  return [scatterNd(b, data, withBatchIndices(b, at, indices, batch), c.gradient())]
})

/** Whether the written values replace the data (or are added to it); other reductions are refused. */
function replaces(c: RuleContext): boolean {
  const reduction = c.string('reduction', 'none')
  if (reduction !== 'none' && reduction !== 'add')
    throw new UnsupportedOpError(`${c.where}: reduction "${reduction}" has no gradient rule, only "none" and "add"`)
  return reduction === 'none'
}

/** Data passes where nothing was written over it; updates are read back from where they were written */
export const scatterNdRule = rule('ScatterND', (c) => {
  const { b, needs } = c
  const g = c.gradient()
  const updates = c.input(2)
  const cleared = (): Value => b.emit('ScatterND', [g, c.input(1), b.zeros(c.shape(updates), updates.dtype)])
  return [needs(0) && (replaces(c) ? cleared() : g), null, needs(2) && b.emit('GatherND', [g, c.input(1)])]
})

/** Data passes where nothing was written over it; updates are read back from where they were written */
export const scatterElementsRule = rule('ScatterElements', (c) => {
  const { b, needs } = c
  const g = c.gradient()
  const axis = { axis: int(c.axis(0)) }
  const updates = c.input(2)
  const cleared = (): Value => b.emit('ScatterElements', [g, c.input(1), b.zeros(c.shape(updates), updates.dtype)], axis)
  return [needs(0) && (replaces(c) ? cleared() : g), null, needs(2) && b.emit('GatherElements', [g, c.input(1)], axis)]
})
