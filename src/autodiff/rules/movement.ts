/** @file Gradients of operators that move elements: each is the opposite movement. */
import { UnsupportedOpError } from '../../errors.js'
import { normalizeAxis, productOfDims } from '../../graph/shapes.js'
import { int, type Value } from '../../graph/types.js'
import { iota, placeCuts, scatterNd } from '../place.js'
import { rule, type GradientFunction, type RuleContext } from '../rule.js'

/** The same elements in another shape: back to the shape of the input. */
const reshapeBack: GradientFunction = ({ b, x: [x], dy: [g] }) => [b.reshapeLike(g!, x!)]

export const reshape = rule('Reshape', reshapeBack)
export const flatten = rule('Flatten', reshapeBack)
export const squeeze = rule('Squeeze', reshapeBack)
export const unsqueeze = rule('Unsqueeze', reshapeBack)

/** The inverse permutation */
export const transpose = rule('Transpose', ({ b, input, rank, dy: [g], ints }) => {
  const perm = ints('perm') ?? Array.from({ length: rank(input(0)) }, (_, i) => rank(input(0)) - 1 - i)
  return [
    b.transpose(
      g!,
      perm.map((_, i) => perm.indexOf(i)),
    ),
  ]
})

/** Broadcasting: the engine sums */
export const expand = rule('Expand', ({ y: [y], dy: [g], shape }) => {
  shape(y!)
  return [g]
})

/** Each input gets its part. */
export const concat = rule('Concat', ({ b, x, dy: [g], axis, needs, shape }) => {
  if (x.length === 1) return [g]
  const along = axis(0)
  const shapes = x.map((part) => shape(part!))
  const sizes = b.shapeVector(shapes.map((s) => s[along]!))
  const parts = b.emitAll('Split', [g!, sizes], { axis: int(along) }, { outputs: x.length, shapes })
  return x.map((_, i) => needs(i) && parts[i])
})

/** The parts put together; zeros where nothing reads a part */
export const split = rule('Split', ({ b, y, axis, gradient }) => [
  b.concat(
    y.map((_, i) => gradient(i)),
    axis(0),
  ),
])

/** Bounds of a Slice, constant: opset 10 and later as inputs, before as attributes. */
function constantCuts(
  c: RuleContext,
): { axes: number[]; starts: readonly number[]; ends: readonly number[]; steps: readonly number[] } | undefined {
  const starts = c.ints('starts') ?? c.constant(1)
  const ends = c.ints('ends') ?? c.constant(2)
  const axes = c.ints('axes') ?? (c.x[3] === undefined ? starts?.map((_, i) => i) : c.constant(3))
  const steps = c.x[4] === undefined ? starts?.map(() => 1) : c.constant(4)
  if (starts === undefined || ends === undefined || axes === undefined || steps === undefined) return undefined
  return { axes: axes.map((a) => normalizeAxis(a, c.rank(c.input(0)), c.where)), starts, ends, steps }
}

/** Back to its place among zeros: by Pad, or, with steps or run-time bounds, at the positions that the same Slice picks */
export const slice = rule('Slice', (c) => {
  const { b } = c
  const shape = c.shape(c.input(0))
  const g = c.gradient()
  const cuts = constantCuts(c)
  if (cuts?.steps.every((s) => s === 1) === true)
    return [placeCuts(b, g, shape, cuts.axes.map((axis, i) => ({ axis, start: cuts.starts[i]!, end: cuts.ends[i]! })))] // prettier-ignore
  const count = productOfDims(shape)
  const bounds = cuts ? [cuts.starts, cuts.ends, cuts.axes, cuts.steps].map((numbers) => b.int64s(numbers)) : c.x.slice(1)
  const taken = c.shape(c.y[0]!)
  const positions = b.emit('Slice', [b.reshape(iota(b, count), shape), ...bounds], {}, { shapes: [taken] })
  const picked = productOfDims(taken)
  return [b.reshape(scatterNd(b, [count], b.reshape(positions, [picked, 1]), b.reshape(g, [picked])), shape)]
})

/** Padding is cut off again by negative padding; the fill value gets what fell on the padding */
export const pad = rule('Pad', (c) => {
  const { b, needs } = c
  const mode = c.string('mode', 'constant')
  if (mode !== 'constant') throw new UnsupportedOpError(`${c.where}: mode "${mode}" has no gradient rule, only "constant"`)
  const pads = c.ints('pads') ?? c.constant(1)
  const inverse = pads === undefined ? b.neg(c.input(1)) : b.int64s(pads.map((p) => -p))
  const g = c.gradient()
  const inner = b.emit('Pad', [g, inverse, undefined, c.x[3]], {}, { shapes: [c.shape(c.input(0))] })
  return [inner, null, needs(2) && b.reshapeLike(b.sub(b.sumAll(g), b.sumAll(inner)), c.input(2))]
})

/** The sum over all copies */
export const tile = rule('Tile', (c) => {
  const { b } = c
  const repeats = c.constant(1)
  const shape = c.shape(c.input(0))
  const g: Value = c.gradient()
  if (repeats === undefined) {
    // Each axis apart into [repeat, dimension], as vectors of the run.
    const pairs = b.concat([b.unsqueeze(c.input(1), [1]), b.unsqueeze(b.shapeVector(shape), [1])], 1)
    const apart = b.emit('Reshape', [g, b.reshape(pairs, [2 * shape.length])], {}, { shapes: [shape.flatMap((dim, i) => [`${c.where}/${i}`, dim])] }) // prettier-ignore
    return [b.reduceSum(apart, shape.map((_, i) => 2 * i), false)] // prettier-ignore
  }
  const apart = shape.flatMap((dim, i) => (repeats[i] === 1 ? [dim] : [repeats[i]!, dim]))
  const copies: number[] = []
  repeats.forEach((r, i) => r !== 1 && copies.push(i + copies.length))
  return [copies.length === 0 ? g : b.reduceSum(b.reshape(g, apart), copies, false)]
})

/** The same triangle */
export const trilu = rule('Trilu', ({ b, x: [, k], dy: [g], int: attribute }) => [
  b.emit('Trilu', [g!, k], { upper: int(attribute('upper', 1)) }),
])
