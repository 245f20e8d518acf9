/** @file Tensors by heads, [batch, heads, sequence, size], and their rotation by position. */
import { UnsupportedOpError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { multiplyDims } from '../graph/dim/index.js'
import type { Dim, Value } from '../graph/types.js'
import type { LowerContext, LoweringTable } from './context.js'

export const headShape = (x: Value): [Dim, Dim, Dim, Dim] => x.shape as unknown as [Dim, Dim, Dim, Dim]

/** [batch, sequence, heads·size] to [batch, heads, sequence, size]. */
export function splitHeads(b: GraphBuilder, x: Value, heads: number): Value {
  const [batch, sequence, width] = x.shape as [Dim, Dim, number]
  return b.transpose(b.reshape(x, [batch, sequence, heads, width / heads]), [0, 2, 1, 3])
}

/** The way back. */
export function joinHeads(b: GraphBuilder, x: Value): Value {
  const [batch, heads, sequence, size] = headShape(x)
  return b.reshape(b.transpose(x, [0, 2, 1, 3]), [batch, sequence, multiplyDims(heads, size)])
}

/** `offset`, `offset` + 1, … as int64 [length]. */
export function positions(b: GraphBuilder, length: Dim, offset: Dim = 0): Value {
  const places = b.emit(
    'Range',
    [b.scalar(0, 'int64'), b.squeeze(b.dim(length), [0]), b.scalar(1, 'int64')],
    {},
    { shapes: [[length]] },
  )
  return offset === 0 ? places : b.add(places, b.dim(offset))
}

/** Rotation of the halves (or of neighbours, interleaved) of the first `size` features of [batch, heads, sequence, width]. */
export function rotate(b: GraphBuilder, x: Value, cos: Value, sin: Value, interleaved: boolean): Value {
  const [batch, heads, sequence, width] = headShape(x) as [Dim, Dim, Dim, number]
  const half = cos.shape!.at(-1) as number
  const rotated = 2 * half === width ? x : b.slice(x, 3, 0, 2 * half)
  const pairs = b.reshape(rotated, [batch, heads, sequence, ...(interleaved ? [half, 2] : [2, half])])
  const axis = interleaved ? 4 : 3
  const [u, w] = [0, 1].map((i) => b.squeeze(b.slice(pairs, axis, i, i + 1), [axis])) as [Value, Value]
  const parts = [b.sub(b.mul(u, cos), b.mul(w, sin)), b.add(b.mul(w, cos), b.mul(u, sin))].map((p) => b.unsqueeze(p, [axis]))
  const turned = b.reshape(b.concat(parts, axis), [batch, heads, sequence, 2 * half])
  return 2 * half === width ? turned : b.concat([turned, b.slice(x, 3, 2 * half, width)], 3)
}

/** x in three or four dimensions as heads, and the way back. */
export function asHeads(c: LowerContext, x: Value, heads: number): { x: Value; back: (y: Value) => Value } {
  const { b } = c
  if (c.shape(x).length === 4) return { x, back: (y) => y }
  if (heads === 0) throw new UnsupportedOpError(`${c.where}: the number of heads is missing`)
  return { x: splitHeads(b, x, heads), back: (y) => joinHeads(b, y) }
}

/** Rows of a cos or sin table [positions, half] as [batch or 1, 1, sequence, half]. */
export function angles(b: GraphBuilder, table: Value, places: Value | undefined): Value {
  return b.unsqueeze(places === undefined ? table : b.gather(table, places), [1])
}

export const rotaryLowerings: LoweringTable = {
  /** Opset 23: x, cos, sin, positions. */
  RotaryEmbedding: (c) => {
    const { b } = c
    const { x, back } = asHeads(c, c.input(0), c.int('num_heads', 0))
    const [cos, sin] = [angles(b, c.input(1), c.optional(3)), angles(b, c.input(2), c.optional(3))]
    return back(rotate(b, x, cos, sin, c.int('interleaved', 0) === 1))
  },
  /** The runtime's own has a kernel and a rule for four dimensions; its positions may be one first position. */
  'com.microsoft.RotaryEmbedding': (c) => {
    const { b } = c
    const places = c.shape(c.input(1))
    if (c.shape(c.input(0)).length === 4 && c.int('num_heads', 0) === 0 && places.length === 2) return undefined
    const size = c.int('rotary_embedding_dim', 0)
    const table = c.shape(c.input(2))
    const width = c.shape(c.input(0)).at(-1) as number
    const heads = c.int('num_heads', 0) || width / (size || 2 * (table[1] as number))
    const { x, back } = asHeads(c, c.input(0), heads)
    const sequence = headShape(x)[2]
    const at = places.length === 2 ? c.input(1) : b.reshape(b.add(positions(b, sequence), c.input(1)), [1, sequence])
    return back(rotate(b, x, angles(b, c.input(2), at), angles(b, c.input(3), at), c.int('interleaved', 0) === 1))
  },
}
