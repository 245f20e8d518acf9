/** @file Putting a part back into its place among zeros: the gradient of every kind of cutting out. */
import type { GraphBuilder } from '../graph/builder.js'
import { int, string, type Shape, type Value } from '../graph/types.js'

/** A cut `start:end` of one axis; negative bounds count from the end, bounds beyond it are clamped. */
export interface Cut {
  readonly axis: number
  readonly start: number
  readonly end: number
}

/** Number of elements before or after a cut; a value where the length is known at the run only. */
type Margin = number | Value

/**
 * `part`, cut by steps of 1 from a tensor of `shape`, among zeros: one Pad.
 * Of a symbolic dimension, a cut `[1:]` or `[:-1]` has constant margins; others are computed at the run.
 */
export function placeCuts(b: GraphBuilder, part: Value, shape: Shape, cuts: readonly Cut[]): Value {
  const before: Margin[] = shape.map(() => 0)
  const after: Margin[] = shape.map(() => 0)
  for (const { axis, start, end } of cuts) {
    const dim = shape[axis]!
    if (typeof dim === 'number') {
      const from = Math.min(Math.max(start < 0 ? start + dim : start, 0), dim)
      before[axis] = from
      after[axis] = dim - Math.max(from, Math.min(end < 0 ? end + dim : end, dim))
    } else {
      const rest = (taken: number): Value => b.max(b.sub(b.dim(dim), b.int64s([taken])), b.int64s([0]))
      before[axis] = start < 0 ? rest(-start) : start
      after[axis] = end < 0 ? -end : end >= 2 ** 31 - 1 ? 0 : rest(end)
    }
  }
  const margins = [...before, ...after]
  if (margins.every((m) => m === 0)) return part
  const pads = margins.every((m) => typeof m === 'number')
    ? b.int64s(margins)
    : b.concat(
        margins.map((m) => (typeof m === 'number' ? b.int64s([m]) : m)),
        0,
      )
  return b.emit('Pad', [part, pads], {}, { shapes: [shape] })
}

/** Zeros of `shape` with `updates` added at `indices`; repeated indices add up. */
export function scatterNd(b: GraphBuilder, shape: Shape, indices: Value, updates: Value): Value {
  return b.emit('ScatterND', [b.zeros(shape, updates.dtype), indices, updates], { reduction: string('add') }, { shapes: [shape] })
}

/** Zeros of `shape` with `updates` added at `indices` along `axis`; repeated indices add up. */
export function scatterElements(b: GraphBuilder, shape: Shape, indices: Value, updates: Value, axis: number): Value {
  return b.emit(
    'ScatterElements',
    [b.zeros(shape, updates.dtype), indices, updates],
    { axis: int(axis), reduction: string('add') },
    { shapes: [shape] },
  )
}

/** 0, 1, …, count − 1 as int64 [count]. */
export function iota(b: GraphBuilder, count: Shape[number]): Value {
  const scalar = (n: number): Value => b.scalar(n, 'int64')
  const limit = typeof count === 'number' ? scalar(count) : b.squeeze(b.dim(count), [0])
  return b.emit('Range', [scalar(0), limit, scalar(1)], {}, { shapes: [[count]] })
}

/** The identity matrix [size, size] in float32. */
export function identity(b: GraphBuilder, size: number): Value {
  const index = iota(b, size)
  return b.cast(b.equal(b.unsqueeze(index, [1]), index), 'float32')
}
