/** @file Gradients of pools. */
import { ShapeError } from '../../errors.js'
import { productOfDims } from '../../graph/shapes.js'
import { int, ints, type Dim, type Shape, type Value } from '../../graph/types.js'
import { windowsOf, type Window } from '../../graph/windows.js'
import { scatterElements } from '../place.js'
import { rule, type RuleContext } from '../rule.js'
import { spread } from './convolution.js'

function poolWindows(c: RuleContext): Window[] {
  const kernel = c.ints('kernel_shape')
  if (kernel === undefined) throw new ShapeError(`${c.where}: kernel_shape is missing`)
  return windowsOf(c.node.attributes, c.shape(c.input(0)).slice(2), kernel, c.where)
}

/** The gradient goes to the element that was taken: the operator itself says which */
export const maxPool = rule('MaxPool', (c) => {
  const { b } = c
  const x = c.input(0)
  const shape = c.shape(x)
  const g = c.gradient()
  const { storage_order: _, ...attributes } = c.node.attributes
  const [, indices] = b.emitAll('MaxPool', [x], attributes, { outputs: 2 }) as [Value, Value]
  const [all, taken] = [productOfDims(shape), productOfDims(g.shape!)]
  const flat = scatterElements(b, [all], b.reshape(indices, [taken]), b.reshape(g, [taken]), 0)
  return [b.reshape(flat, shape)]
})

/**
 * Each element of a window gets its share. What a window divides by is the number of its elements inside the input, or
 * inside the padded input with `count_include_pad`; a last window of `ceil_mode` reaches beyond both.
 */
export const averagePool = rule('AveragePool', (c) => {
  const { b } = c
  const shape = c.shape(c.input(0))
  const [n, channels, ...lengths] = shape
  const g = c.gradient()
  const counts = g.shape!.slice(2)
  const windows = poolWindows(c)
  const kernel = windows.map((w) => w.kernel)
  const planes = productOfDims([n!, channels!])
  const ones = b.full([1, 1, ...kernel], 1, g.dtype)
  const padsCount = c.int('count_include_pad', 0) === 1
  const reach = windows.map((w, i): Window => {
    const [length, count] = [lengths[i]!, counts[i]!]
    if (typeof length !== 'number' || typeof count !== 'number') {
      if (c.int('ceil_mode', 0) === 1)
        throw new ShapeError(
          `${c.where}: ceil_mode needs a fixed input size to have a gradient; give the file's free lengths with { dims } (--dims)`,
        )
      return w
    }
    const end = (count - 1) * w.stride + w.dilation * (w.kernel - 1) + 1
    return { ...w, padAfter: Math.max(w.padAfter, end - length - w.padBefore) }
  })
  const even = windows.every((w, i) =>
    padsCount ? reach[i]!.padAfter === w.padAfter : w.padBefore === 0 && reach[i]!.padAfter === 0,
  )
  const share = b.reshape(even ? b.mul(g, 1 / kernel.reduce((p, k) => p * k, 1)) : b.div(g, divisors()), [planes, 1, ...counts])
  return [b.reshape(spread(b, share, ones, [planes, 1, ...lengths], reach, 1), shape)]

  /** Number of elements of each window, [1, 1, ...counts]. */
  function divisors(): Value {
    const inside: Shape = padsCount
      ? lengths.map((length, i): Dim => {
          if (typeof length !== 'number')
            throw new ShapeError(
              `${c.where}: count_include_pad needs a fixed input size to have a gradient; give the file's free lengths with { dims } (--dims)`,
            )
          return length + windows[i]!.padBefore + windows[i]!.padAfter
        })
      : lengths
    const before = windows.map((w) => (padsCount ? 0 : w.padBefore))
    const after = windows.map((w, i) => (padsCount ? reach[i]!.padAfter - w.padAfter : reach[i]!.padAfter))
    const attributes = {
      strides: ints(windows.map((w) => w.stride)),
      dilations: ints(windows.map((w) => w.dilation)),
      pads: ints([...before, ...after]),
      group: int(1),
    }
    return b.emit('Conv', [b.full([1, 1, ...inside], 1, g.dtype), ones], attributes, { shapes: [[1, 1, ...counts]] })
  }
})
