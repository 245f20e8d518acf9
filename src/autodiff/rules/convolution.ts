/** @file Gradients of convolutions of any rank, with groups, strides, dilations and pads. */
import { ShapeError, UnsupportedOpError } from '../../errors.js'
import type { GraphBuilder } from '../../graph/builder.js'
import { floorDivideDims, multiplyDims } from '../../graph/dim/index.js'
import { int, ints, type Attributes, type Dim, type Shape, type Value } from '../../graph/types.js'
import { windowsOf, type Window } from '../../graph/windows.js'
import { rule, type RuleContext } from '../rule.js'

/** Attributes of a convolution from its windows; `auto_pad` is gone. */
const attributesOf = (windows: readonly Window[], group: number): Attributes => ({
  strides: ints(windows.map((w) => w.stride)),
  dilations: ints(windows.map((w) => w.dilation)),
  pads: ints([...windows.map((w) => w.padBefore), ...windows.map((w) => w.padAfter)]),
  ...(group !== 1 && { group: int(group) }),
})

/**
 * Spreads g [n, m, ...counts] back over an input of `shape` [n, c, ...lengths]: the transposed convolution with
 * weight [m, c/groups, ...kernel], of exactly that length. A stride can leave a rest at the end that no window saw.
 */
export function spread(b: GraphBuilder, g: Value, weight: Value, shape: Shape, windows: readonly Window[], group: number): Value {
  const counts = g.shape!.slice(2)
  const lengths = shape.slice(2)
  const full = (w: Window, count: number): number => (count - 1) * w.stride + w.dilation * (w.kernel - 1) + 1
  const strides = ints(windows.map((w) => w.stride))
  const dilations = ints(windows.map((w) => w.dilation))
  const common = { strides, dilations, ...(group !== 1 && { group: int(group) }) }
  const rests = windows.map((w, i) => {
    const [count, length] = [counts[i]!, lengths[i]!]
    if (typeof count === 'number' && typeof length === 'number') return length - (full(w, count) - w.padBefore - w.padAfter)
    // With a stride of 1 every place is seen.
    return w.stride === 1 ? 0 : undefined
  })
  if (rests.every((rest, i) => rest !== undefined && rest >= 0 && rest < Math.max(windows[i]!.stride, windows[i]!.dilation)))
    return b.emit(
      'ConvTranspose',
      [g, weight],
      {
        ...common,
        pads: attributesOf(windows, group)['pads']!,
        ...(rests.some((r) => r !== 0) && { output_padding: ints(rests as number[]) }),
      },
      { shapes: [shape] },
    )
  // Lengths known at the run only: spread without pads, then cut or fill both ends.
  const open = b.emit('ConvTranspose', [g, weight], common)
  const ends = windows.map((w, i) => {
    const have = b.emit('Shape', [open], { start: int(i + 2), end: int(i + 3) })
    return b.sub(b.add(b.dim(lengths[i]!), w.padBefore), have)
  })
  const pads = b.concat([b.int64s([0, 0, ...windows.map((w) => -w.padBefore), 0, 0]), ...ends], 0)
  return b.emit('Pad', [open, pads], {}, { shapes: [shape] })
}

/** Cuts the spatial axes of x to the given lengths where they may be longer. */
function cut(b: GraphBuilder, x: Value, lengths: readonly number[]): Value {
  const axes = lengths.flatMap((length, i) => (x.shape![i + 2] === length ? [] : [i]))
  if (axes.length === 0) return x
  const shape = x.shape!.map((d, i) => (i < 2 ? d : lengths[i - 2]!))
  const bounds = [axes.map(() => 0), axes.map((i) => lengths[i]!), axes.map((i) => i + 2)].map((numbers) => b.int64s(numbers))
  return b.emit('Slice', [x, ...bounds], {}, { shapes: [shape] })
}

/** [n, groups·c, ...] to [c, groups·n, ...]: channels change places with the batch, within each group. */
function swapBatch(b: GraphBuilder, x: Value, groups: number): Value {
  const [n, channels, ...rest] = x.shape!
  const spatial = rest.map((_, i) => i)
  if (groups === 1) return b.transpose(x, [1, 0, ...spatial.map((i) => i + 2)])
  // The rank of an adapter is a name.
  const each = floorDivideDims(channels!, groups)
  const apart = b.reshape(x, [n!, groups, each, ...rest])
  return b.reshape(b.transpose(apart, [2, 1, 0, ...spatial.map((i) => i + 3)]), [each, multiplyDims(n!, groups), ...rest])
}

/**
 * Gradient of the weight: the input correlated with dY, where what was the stride is the dilation and the other way
 * round, and the sum over the batch is the sum over channels.
 */
function weightGradient(
  b: GraphBuilder,
  x: Value,
  g: Value,
  weightShape: Shape,
  windows: readonly Window[],
  group: number,
): Value {
  const swapped = windows.map((w) => ({ ...w, stride: w.dilation, dilation: w.stride }))
  const spatial = windows.map((_, i) => i + 2)
  const images = swapBatch(b, x, group) // [c, groups·n, ...]
  const kernels = b.transpose(g, [1, 0, ...spatial]) // [m, n, ...counts]
  const kernelShape = windows.map((w) => w.kernel)
  const loose = [
    images.shape![0]!,
    g.shape![1]!,
    ...windows.map((w, i): Dim => (w.stride === 1 ? w.kernel : `${kernels.name}.${i}`)),
  ]
  const found = b.emit('Conv', [images, kernels], attributesOf(swapped, group), { shapes: [loose] })
  return b.reshape(b.transpose(cut(b, found, kernelShape), [1, 0, ...spatial]), weightShape)
}

const biasGradient = (b: GraphBuilder, g: Value): Value => b.reduceSum(g, [0, ...g.shape!.slice(2).map((_, i) => i + 2)], false)

function geometry(c: RuleContext): { windows: Window[]; group: number } {
  const [x, w] = [c.shape(c.input(0)), c.shape(c.input(1))]
  return { windows: windowsOf(c.node.attributes, x.slice(2), w.slice(2), c.where), group: c.int('group', 1) }
}

/** dX spreads dY back through the kernel, dW correlates X with dY, db sums dY (Dumoulin and Visin, 2016) */
export const conv = rule('Conv', (c) => {
  const { b, needs } = c
  const { windows, group } = geometry(c)
  const g = c.gradient()
  return [
    needs(0) && spread(b, g, c.input(1), c.shape(c.input(0)), windows, group),
    needs(1) && weightGradient(b, c.input(0), g, c.shape(c.input(1)), windows, group),
    needs(2) && biasGradient(b, g),
  ]
})

/** A transposed convolution is the gradient of a convolution: its own gradient is that convolution */
export const convTranspose = rule('ConvTranspose', (c) => {
  const { b, needs } = c
  if (c.ints('output_shape') !== undefined || c.string('auto_pad', 'NOTSET') !== 'NOTSET')
    throw new UnsupportedOpError(`${c.where}: output_shape and auto_pad have no gradient rule; give explicit pads`)
  const [x, w] = [c.shape(c.input(0)), c.shape(c.input(1))]
  const { windows, group } = geometry(c)
  const g = c.gradient()
  const input = (): Value => b.emit('Conv', [g, c.input(1)], attributesOf(windows, group), { shapes: [x] })
  const weight = (): Value => {
    if (w.some((d) => typeof d !== 'number')) throw new ShapeError(`${c.where}: the shape of the weight must be known`)
    return weightGradient(b, g, c.input(0), w, windows, group)
  }
  return [needs(0) && input(), needs(1) && weight(), needs(2) && biasGradient(b, g)]
})
