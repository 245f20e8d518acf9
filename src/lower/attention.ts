/** @file Fused attention and rotary embeddings as primitives. */
import { UnsupportedOpError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { timesDims } from '../graph/dims.js'
import type { Dim, Value } from '../graph/types.js'
import type { LowerContext, LoweringTable } from './context.js'

interface Heads {
  readonly q: Value
  readonly k: Value
  readonly v: Value
}

interface AttentionOptions {
  readonly scale: number
  /** Row i of the last rows sees column j ≤ i + (columns − rows)… of the first rows, with `topLeft`, j ≤ i. */
  readonly causal: boolean
  /** Added to the scores. */
  readonly bias?: Value | undefined
  /** bool, true where a score counts. */
  readonly mask?: Value | undefined
  readonly softcap: number
}

const headShape = (x: Value): [Dim, Dim, Dim, Dim] => x.shape as unknown as [Dim, Dim, Dim, Dim]

/** [batch, sequence, heads·size] to [batch, heads, sequence, size]. */
function splitHeads(b: GraphBuilder, x: Value, heads: number): Value {
  const [batch, sequence, width] = x.shape as [Dim, Dim, number]
  return b.transpose(b.reshape(x, [batch, sequence, heads, width / heads]), [0, 2, 1, 3])
}

/** The way back. */
function joinHeads(b: GraphBuilder, x: Value): Value {
  const [batch, heads, sequence, size] = headShape(x)
  return b.reshape(b.transpose(x, [0, 2, 1, 3]), [batch, sequence, timesDims(heads, size)])
}

/** Each head of keys and values serves several of the queries. */
function repeatHeads(b: GraphBuilder, x: Value, heads: number): Value {
  const [batch, have, sequence, size] = headShape(x)
  if (have === heads) return x
  const each = heads / (have as number)
  const wide = b.expand(b.unsqueeze(x, [2]), [batch, have, each, sequence, size])
  return b.reshape(wide, [batch, heads, sequence, size])
}

const positions = (b: GraphBuilder, length: Dim): Value =>
  b.emit('Range', [b.scalar(0, 'int64'), b.squeeze(b.dim(length), [0]), b.scalar(1, 'int64')], {}, { shapes: [[length]] })

/** bool [rows, columns], true where column ≤ row. */
function causalMask(b: GraphBuilder, rows: Dim, columns: Dim, window = -1): Value {
  const row = b.reshape(positions(b, rows), [rows, 1])
  const column = b.reshape(positions(b, columns), [1, columns])
  const past = b.lessOrEqual(column, row)
  return window < 0 ? past : b.and(past, b.greater(column, b.sub(row, window)))
}

/** softmax(scale·q·kᵀ + bias)·v over [batch, heads, sequence, size]; a row that is masked whole gives the mean of v. */
function attend(b: GraphBuilder, { q, k, v }: Heads, options: AttentionOptions, window = -1): Value {
  const heads = headShape(q)[1] as number
  const [keys, values] = [repeatHeads(b, k, heads), repeatHeads(b, v, heads)]
  let scores = b.matmul(b.mul(q, options.scale), b.transpose(keys, [0, 1, 3, 2]))
  if (options.softcap > 0) scores = b.mul(b.tanh(b.mul(scores, 1 / options.softcap)), options.softcap)
  if (options.bias !== undefined) scores = b.add(scores, options.bias)
  const masks = [
    ...(options.mask ? [options.mask] : []),
    ...(options.causal ? [causalMask(b, headShape(q)[2], headShape(k)[2], window)] : []),
  ]
  if (masks.length > 0) scores = b.where(masks.reduce(b.and), scores, lowest)
  return b.matmul(b.softmax(scores), values)
}

/** Far below every score, yet finite: a row that is masked whole stays a number. */
const lowest = -1e30

function refuse(c: LowerContext, inputs: Readonly<Record<number, string>>): void {
  for (const [index, what] of Object.entries(inputs))
    if (c.optional(Number(index)) !== undefined)
      throw new UnsupportedOpError(`${c.where}: ${what} cannot be trained through; export the model without past and cache`)
}

/** Rotation of the halves (or of neighbours, interleaved) of the first `size` features of [batch, heads, sequence, width]. */
function rotate(b: GraphBuilder, x: Value, cos: Value, sin: Value, interleaved: boolean): Value {
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
function asHeads(c: LowerContext, x: Value, heads: number): { x: Value; back: (y: Value) => Value } {
  const { b } = c
  if (c.shape(x).length === 4) return { x, back: (y) => y }
  if (heads === 0) throw new UnsupportedOpError(`${c.where}: the number of heads is missing`)
  return { x: splitHeads(b, x, heads), back: (y) => joinHeads(b, y) }
}

/** Rows of a cos or sin table [positions, half] as [batch or 1, 1, sequence, half]. */
function angles(b: GraphBuilder, table: Value, places: Value | undefined): Value {
  return b.unsqueeze(places === undefined ? table : b.gather(table, places), [1])
}

const attributeScale = (c: LowerContext, size: number): number => {
  const scale = c.float('scale', 0)
  return scale === 0 ? 1 / Math.sqrt(size) : scale
}

export const attentionLowerings: LoweringTable = {
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
  /** Opset 23 and 24, without past. */
  Attention: (c) => {
    const { b } = c
    refuse(c, { 4: 'a past key', 5: 'a past value', 6: 'nonpad_kv_seqlen' })
    if (c.node.outputs[3])
      throw new UnsupportedOpError(`${c.where}: its scores (output 3) are read; only its result is supported`)
    const q = asHeads(c, c.input(0), c.int('q_num_heads', 0))
    const [k, v] = [1, 2].map((i) => asHeads(c, c.input(i), c.int('kv_num_heads', 0)).x) as [Value, Value]
    const given = c.optional(3)
    const y = attend(b, { q: q.x, k, v }, {
      scale: attributeScale(c, headShape(q.x)[3] as number),
      causal: c.int('is_causal', 0) === 1,
      softcap: c.float('softcap', 0),
      ...(given?.dtype === 'bool' ? { mask: given } : { bias: given }),
    }) // prettier-ignore
    return [q.back(y), k, v]
  },
  'com.microsoft.MultiHeadAttention': (c) => {
    const { b } = c
    refuse(c, { 6: 'a past key', 7: 'a past value', 8: 'past_sequence_length' })
    const heads = c.int('num_heads', 1)
    if (c.shape(c.input(0)).length !== 3 || c.optional(1) === undefined || c.optional(2) === undefined)
      throw new UnsupportedOpError(`${c.where}: packed queries, keys and values are not supported; export them apart`)
    const bias = c.optional(3)
    const parts = [0, 1, 2].map((i) => c.input(i))
    let from = 0
    const [q, k, v] = parts.map((x) => {
      if (c.shape(x).length === 4) return x
      const width = c.shape(x)[2] as number
      const own = bias && b.slice(bias, 0, from, from + width)
      from += width
      return splitHeads(b, own === undefined ? x : b.add(x, own), heads)
    }) as [Value, Value, Value]
    const padding = c.optional(4)
    const y = attend(b, { q, k, v }, {
      scale: attributeScale(c, headShape(q)[3] as number),
      causal: c.int('unidirectional', 0) === 1,
      softcap: 0,
      bias: c.optional(5),
      mask: padding && keyMask(c, padding, headShape(k)[2]),
    }) // prettier-ignore
    return [joinHeads(b, y), k, v]
  },
  'com.microsoft.Attention': (c) => {
    const { b } = c
    refuse(c, { 4: 'a past', 6: 'past_sequence_length' })
    if (c.int('do_rotary', 0) === 1) throw new UnsupportedOpError(`${c.where}: do_rotary is not supported`)
    const heads = c.int('num_heads', 1)
    const bias = c.optional(2)
    const product = b.matmul(c.input(0), c.input(1))
    const all = bias === undefined ? product : b.add(product, bias)
    const width = c.shape(all)[2] as number
    const sizes = c.ints('qkv_hidden_sizes') ?? [width / 3, width / 3, width / 3]
    const [q, k, v] = b.split(all, sizes, 2).map((x) => splitHeads(b, x, heads)) as [Value, Value, Value]
    const padding = c.optional(3)
    const y = attend(b, { q, k, v }, {
      scale: attributeScale(c, headShape(q)[3] as number),
      causal: c.int('unidirectional', 0) === 1,
      softcap: 0,
      bias: c.optional(5),
      mask: padding && keyMask(c, padding, headShape(k)[2]),
    }) // prettier-ignore
    return [joinHeads(b, y)]
  },
  /** Causal, every row of full length: rows that `seqlens_k` ends earlier differ behind their end, where no label is. */
  'com.microsoft.GroupQueryAttention': (c) => {
    const { b } = c
    const past = c.optional(3)
    if (past !== undefined && past.shape?.[2] !== 0) refuse(c, { 3: 'a past key', 4: 'a past value' })
    if (c.int('smooth_softmax', 0) === 1 || c.optional(11) !== undefined)
      throw new UnsupportedOpError(`${c.where}: smooth_softmax and head_sink are not supported`)
    const [heads, groups] = [c.int('num_heads', 1), c.int('kv_num_heads', 1)]
    let [q, k, v] = [c.input(0), c.optional(1), c.optional(2)]
    if (k === undefined || v === undefined) {
      const size = (c.shape(q)[2] as number) / (heads + 2 * groups)
      ;[q, k, v] = b.split(q, [heads * size, groups * size, groups * size], 2) as [Value, Value, Value]
    }
    let [qs, ks] = [splitHeads(b, q, heads), splitHeads(b, k, groups)]
    const vs = splitHeads(b, v, groups)
    if (c.int('do_rotary', 0) === 1) {
      const sequence = headShape(qs)[2]
      const at = c.optional(9) ?? b.reshape(positions(b, sequence), [1, sequence])
      const [cos, sin] = [angles(b, c.input(7), at), angles(b, c.input(8), at)]
      const interleaved = c.int('rotary_interleaved', 0) === 1
      ;[qs, ks] = [rotate(b, qs, cos, sin, interleaved), rotate(b, ks, cos, sin, interleaved)]
    }
    const y = attend(b, { q: qs, k: ks, v: vs }, {
      scale: attributeScale(c, headShape(qs)[3] as number),
      causal: true,
      softcap: c.float('softcap', 0),
      bias: c.optional(10),
    }, c.int('local_window_size', -1)) // prettier-ignore
    return [joinHeads(b, y), ks, vs]
  },
}

/** A padding mask of ints, [batch, keys] or [batch, queries, keys] or with heads, as bool that fits the scores. */
function keyMask(c: LowerContext, mask: Value, keys: Dim): Value {
  const { b } = c
  const shape = c.shape(mask)
  if (shape.length < 2 || shape.at(-1) !== keys)
    throw new UnsupportedOpError(
      `${c.where}: a mask of lengths or offsets [${shape.join(', ')}] is not supported; give one number for each key`,
    )
  const counts = b.cast(mask, 'bool')
  return shape.length === 2 ? b.unsqueeze(counts, [1, 2]) : shape.length === 3 ? b.unsqueeze(counts, [1]) : counts
}
