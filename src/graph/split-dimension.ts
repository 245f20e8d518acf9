/** @file Cutting a dimension whose length is only known at the run into a fixed number of parts. */
import type { GraphBuilder } from './builder.js'
import { int, type Shape, type Value } from './types.js'

/**
 * How a dimension is split: into parts of equal length, the last one with what is left over. Of a dimension shorter than
 * the number of parts, all but the last are empty.
 */
export interface DimensionSplit {
  readonly count: number
  /** Names of the lengths of the parts. */
  readonly names: readonly string[]
  /** int64 [count]: the lengths. */
  readonly sizes: Value
  /** int64 [1] each: where the parts begin, then where the last one ends. */
  readonly bounds: readonly Value[]
}

/** Plans the cut of the dimension `name`, whose length is `length` (int64 [1]). */
export function planSplit(b: GraphBuilder, name: string, length: Value, count: number): DimensionSplit {
  const size = b.div(length, count)
  const bounds = Array.from({ length: count }, (_, k) => (k === 0 ? b.int64s([0]) : b.mul(size, k)))
  const last = b.sub(length, bounds[count - 1]!)
  const sizes = b.concat([...Array.from({ length: count - 1 }, () => size), last], 0)
  return { count, names: Array.from({ length: count }, (_, k) => `${name}/${k}`), sizes, bounds: [...bounds, length] }
}

/** The parts of `x` along an axis. Its gradient is one Concat. */
export function splitAlong(b: GraphBuilder, x: Value, axis: number, { count, names, sizes }: DimensionSplit): Value[] {
  const shapes: Shape[] = names.map((name) => x.shape!.map((dim, i) => (i === axis ? name : dim)))
  return count === 1 ? [x] : b.emitAll('Split', [x, sizes], { axis: int(axis) }, { outputs: count, shapes })
}
