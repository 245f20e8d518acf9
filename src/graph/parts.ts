/** @file Cutting a dimension whose length is only known at the run into a fixed number of parts. */
import type { GraphBuilder } from './builder.js'
import { int, type Shape, type Value } from './types.js'

/**
 * A dimension in parts of equal length, the last ones shorter or empty. The first part is never empty unless the whole
 * is: what reads a prefix of the parts always has something to read.
 */
export interface Parts {
  readonly count: number
  /** Names of the lengths of the parts. */
  readonly names: readonly string[]
  /** int64 [count]: the lengths. */
  readonly sizes: Value
  /** int64 [count]: where the parts begin. */
  readonly starts: Value
  /** int64 [count]: where the parts end. */
  readonly ends: Value
}

/** Plans the cut of the dimension `name`, whose length is `length` (int64 [1]). */
export function planParts(b: GraphBuilder, name: string, length: Value, count: number): Parts {
  const indices = Array.from({ length: count }, (_, k) => k)
  const size = b.div(b.add(length, count - 1), count)
  const bounds = (factors: number[]): Value => b.min(b.mul(size, b.int64s(factors)), length)
  const starts = bounds(indices)
  const ends = bounds(indices.map((k) => k + 1))
  return { count, names: indices.map((k) => `${name}/${k}`), sizes: b.sub(ends, starts), starts, ends }
}

/** The parts of `x` along an axis. Its gradient is one Concat. */
export function splitParts(b: GraphBuilder, x: Value, axis: number, { count, names, sizes }: Parts): Value[] {
  const shapes: Shape[] = names.map((name) => x.shape!.map((dim, i) => (i === axis ? name : dim)))
  return count === 1 ? [x] : b.emitAll('Split', [x, sizes], { axis: int(axis) }, { outputs: count, shapes })
}
