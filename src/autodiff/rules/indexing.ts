/** @file Gradients of reading and writing at indices: reading adds into zeros, writing is read back. */
import { UnsupportedOpError } from '../../errors.js'
import type { GraphBuilder } from '../../graph/builder.js'
import { int, string, type Attributes, type Shape, type Value } from '../../graph/types.js'
import { iota, placeCuts, scatterElements, scatterNd } from '../place.js'
import { rule, type InputGradient, type RuleContext } from '../rule.js'

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

/** Values go back to where they were found; the places themselves pass nothing */
export const topK = rule('TopK', (c) => {
  const { b, y } = c
  const along = c.axis(-1)
  const found = (y[1] as Value | undefined) ?? b.emitAll('TopK', [c.input(0), c.input(1)], c.node.attributes, { outputs: 2 })[1]!
  return [scatterElements(b, c.shape(c.input(0)), found, c.gradient(), along)]
})

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

/** Reads and writes at the indices of one node. */
interface Places {
  readonly read: (from: Value) => Value
  readonly write: (into: Value, values: Value, reduction: string) => Value
}

/**
 * none: data passes where nothing was written over it; updates are read back from where they were written.
 * add: both pass. mul: the product over the factor. min, max: to those that equal the result, in equal shares among ties.
 */
function scatterGradients(c: RuleContext, { read, write }: Places): InputGradient[] {
  const { b, needs } = c
  const [data, updates, y, g] = [c.input(0), c.input(2), c.y[0]!, c.gradient()]
  const reduction = c.string('reduction', 'none')
  const fill = (value: number): Value => b.full(c.shape(updates), value, updates.dtype)
  switch (reduction) {
    case 'none':
      return [needs(0) && write(g, fill(0), 'none'), null, needs(2) && read(g)]
    case 'add':
      return [g, null, needs(2) && read(g)]
    case 'mul':
      return [
        needs(0) && b.mul(g, write(b.full(c.shape(data), 1, data.dtype), updates, 'mul')),
        null,
        needs(2) && b.div(read(b.mul(g, y)), updates),
      ]
    case 'min':
    case 'max': {
      const [mine, theirs] = [b.equal(data, y), b.equal(updates, read(y))].map((mask) => b.cast(mask, g.dtype)) as [Value, Value]
      const share = b.div(g, write(mine, theirs, 'add'))
      return [needs(0) && b.mul(mine, share), null, needs(2) && b.mul(theirs, read(share))]
    }
    default:
      throw new UnsupportedOpError(`${c.where}: reduction "${reduction}" is not known`)
  }
}

const reduce = (reduction: string): Attributes => (reduction === 'none' ? {} : { reduction: string(reduction) })

export const scatterNdRule = rule('ScatterND', (c) =>
  scatterGradients(c, {
    read: (from) => c.b.emit('GatherND', [from, c.input(1)]),
    write: (into, values, reduction) => c.b.emit('ScatterND', [into, c.input(1), values], reduce(reduction)),
  }),
)

export const scatterElementsRule = rule('ScatterElements', (c) => {
  const axis = { axis: int(c.axis(0)) }
  return scatterGradients(c, {
    read: (from) => c.b.emit('GatherElements', [from, c.input(1)], axis),
    write: (into, values, reduction) =>
      c.b.emit('ScatterElements', [into, c.input(1), values], { ...axis, ...reduce(reduction) }),
  })
})
