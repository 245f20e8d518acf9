/** @file Fused attention as primitives. */
import { UnsupportedOpError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { addDims } from '../graph/dim/index.js'
import type { Dim, Value } from '../graph/types.js'
import type { LowerContext, LoweringTable } from './context.js'
import { angles, asHeads, headShape, joinHeads, positions, rotate, splitHeads } from './rotary.js'

interface Heads {
  readonly q: Value
  readonly k: Value
  readonly v: Value
}

interface AttentionOptions {
  readonly scale: number
  /** Row i sees column j ≤ i + the length of the past. */
  readonly causal: boolean
  /** Rows before the first: keys that were cached. */
  readonly past?: Dim
  /** A row sees so many columns back, itself included; -1 all. */
  readonly window?: number
  /** Added to the scores. */
  readonly bias?: Value | undefined
  /** bool, true where a score counts. */
  readonly mask?: Value | undefined
  readonly softcap?: number
  /** One more score for each head that takes attention and gives nothing, [1, heads, 1, 1]. */
  readonly sink?: Value | undefined
}

/** Each head of keys and values serves several of the queries. */
function repeatHeads(b: GraphBuilder, x: Value, heads: number): Value {
  const [batch, have, sequence, size] = headShape(x)
  if (have === heads) return x
  const each = heads / (have as number)
  const wide = b.expand(b.unsqueeze(x, [2]), [batch, have, each, sequence, size])
  return b.reshape(wide, [batch, heads, sequence, size])
}

/** bool [rows, columns], true where column ≤ row, rows counted from the end of the past. */
function causalMask(b: GraphBuilder, rows: Dim, columns: Dim, past: Dim, window: number): Value {
  const row = b.reshape(positions(b, rows, past), [rows, 1])
  const column = b.reshape(positions(b, columns), [1, columns])
  const before = b.lessOrEqual(column, row)
  return window < 0 ? before : b.and(before, b.greater(column, b.sub(row, window)))
}

/** Far below every score, yet finite: a row that is masked whole stays a number. */
const lowest = -1e30

/** softmax(scale·q·kᵀ + bias)·v over [batch, heads, sequence, size]; a row that is masked whole gives the mean of v. */
function attend(b: GraphBuilder, { q, k, v }: Heads, options: AttentionOptions): Value {
  const { causal, past = 0, window = -1, softcap = 0, bias, mask, sink } = options
  const [batch, heads, rows] = headShape(q)
  const [keys, values] = [repeatHeads(b, k, heads as number), repeatHeads(b, v, heads as number)]
  let scores = b.matmul(b.mul(q, options.scale), b.transpose(keys, [0, 1, 3, 2]))
  if (softcap > 0) scores = b.mul(b.tanh(b.mul(scores, 1 / softcap)), softcap)
  if (bias !== undefined) scores = b.add(scores, bias)
  const masks = [...(mask ? [mask] : []), ...(causal ? [causalMask(b, rows, headShape(k)[2], past, window)] : [])]
  if (masks.length > 0) scores = b.where(masks.reduce(b.and), scores, lowest)
  if (sink === undefined) return b.matmul(b.softmax(scores), values)
  const columns = headShape(k)[2]
  const wide = b.emit(
    'Concat',
    [scores, b.expand(sink, [batch, heads, rows, 1])],
    { axis: { type: 'int', value: 3 } },
    { shapes: [[batch, heads, rows, addDims(columns, 1)]] },
  )
  const cut = [0, -1, 3].map((n) => b.int64s([n]))
  const weights = b.emit('Slice', [b.softmax(wide), ...cut], {}, { shapes: [[batch, heads, rows, columns]] })
  return b.matmul(weights, values)
}

function refuse(c: LowerContext, inputs: Readonly<Record<number, string>>): void {
  for (const [index, what] of Object.entries(inputs))
    if (c.optional(Number(index)) !== undefined)
      throw new UnsupportedOpError(`${c.where}: ${what} cannot be trained through; export the model without past and cache`)
}

/** Cached keys or values, and then the new ones. */
function withPast(b: GraphBuilder, past: Value | undefined, x: Value): Value {
  if (past === undefined || headShape(past)[2] === 0) return x
  const [batch, heads, length, size] = headShape(x)
  const shape = [batch, heads, addDims(headShape(past)[2], length), size]
  return b.emit('Concat', [past, x], { axis: { type: 'int', value: 2 } }, { shapes: [shape] })
}

const lengthOf = (past: Value | undefined): Dim => (past === undefined ? 0 : headShape(past)[2])

const attributeScale = (c: LowerContext, size: number): number => {
  const scale = c.float('scale', 0)
  return scale === 0 ? 1 / Math.sqrt(size) : scale
}

/** The end that MultiHeadAttention and Attention of the runtime share: mask at `mask`, attention bias after it. */
function finish(c: LowerContext, heads: Heads, past: Dim, mask: number): Value {
  const padding = c.optional(mask)
  const y = attend(c.b, heads, {
    scale: attributeScale(c, headShape(heads.q)[3] as number),
    causal: c.int('unidirectional', 0) === 1,
    past,
    bias: c.optional(5),
    mask: padding && keyMask(c, padding, headShape(heads.k)[2]),
  })
  return joinHeads(c.b, y)
}

/** Queries, keys and values of MultiHeadAttention, whichever of them are packed into one tensor. */
function headsOf(c: LowerContext): Heads {
  const { b } = c
  const heads = c.int('num_heads', 1)
  /** [batch, sequence, heads, parts, size] as its parts. */
  const unpack = (x: Value, parts: number): Value[] =>
    Array.from({ length: parts }, (_, i) => b.transpose(b.squeeze(b.slice(x, 3, i, i + 1), [3]), [0, 2, 1, 3]))
  const [query, key, value, bias] = [c.input(0), c.optional(1), c.optional(2), c.optional(3)]
  let from = 0
  const biased = (x: Value): Value => {
    const width = (c.shape(x)[1] as number) * (c.shape(x)[3] as number)
    if (bias === undefined) return x
    const own = b.reshape(b.slice(bias, 0, from, from + width), [heads, 1, width / heads])
    from += width
    return b.add(x, own)
  }
  const apart = (x: Value): Value => (c.shape(x).length === 4 ? x : biased(splitHeads(b, x, heads)))
  if (c.shape(query).length === 5) {
    const [q, k, v] = unpack(query, 3).map(biased) as [Value, Value, Value]
    return { q, k, v }
  }
  if (key === undefined) throw new UnsupportedOpError(`${c.where}: its keys are missing`)
  const q = apart(query)
  if (c.shape(key).length === 5) {
    const [k, v] = unpack(key, 2).map(biased) as [Value, Value]
    return { q, k, v }
  }
  if (value === undefined) throw new UnsupportedOpError(`${c.where}: its values are missing`)
  const k = apart(key)
  return { q, k, v: apart(value) }
}

export const attentionLowerings: LoweringTable = {
  /** Opset 23 and 24. */
  Attention: (c) => {
    const { b } = c
    refuse(c, { 6: 'nonpad_kv_seqlen' })
    if (c.node.outputs[3])
      throw new UnsupportedOpError(`${c.where}: its scores (output 3) are read; only its result is supported`)
    const q = asHeads(c, c.input(0), c.int('q_num_heads', 0))
    const [k, v] = [1, 2].map((i) => withPast(b, c.optional(i + 3), asHeads(c, c.input(i), c.int('kv_num_heads', 0)).x)) as [
      Value,
      Value,
    ]
    const given = c.optional(3)
    const y = attend(
      b,
      { q: q.x, k, v },
      {
        scale: attributeScale(c, headShape(q.x)[3] as number),
        causal: c.int('is_causal', 0) === 1,
        past: lengthOf(c.optional(4)),
        softcap: c.float('softcap', 0),
        ...(given?.dtype === 'bool' ? { mask: given } : { bias: given }),
      },
    )
    return [q.back(y), k, v]
  },
  'com.microsoft.MultiHeadAttention': (c) => {
    refuse(c, { 8: 'past_sequence_length', 9: 'cache_indirection' })
    const { q, k, v } = headsOf(c)
    const [keys, values] = [withPast(c.b, c.optional(6), k), withPast(c.b, c.optional(7), v)]
    return [finish(c, { q, k: keys, v: values }, lengthOf(c.optional(6)), 4), keys, values]
  },
  'com.microsoft.Attention': (c) => {
    const { b } = c
    refuse(c, { 6: 'past_sequence_length' })
    if (c.int('do_rotary', 0) === 1) throw new UnsupportedOpError(`${c.where}: do_rotary is not supported`)
    const heads = c.int('num_heads', 1)
    const bias = c.optional(2)
    const product = b.matmul(c.input(0), c.input(1))
    const all = bias === undefined ? product : b.add(product, bias)
    const width = c.shape(all)[2] as number
    const sizes = c.ints('qkv_hidden_sizes') ?? [width / 3, width / 3, width / 3]
    const [q, k, v] = b.split(all, sizes, 2).map((x) => splitHeads(b, x, heads)) as [Value, Value, Value]
    // The cache is one tensor [2, batch, heads, length, size].
    const cache = c.optional(4)
    const [pastK, pastV] = [0, 1].map((i) => cache && b.squeeze(b.slice(cache, 0, i, i + 1), [0]))
    const [keys, values] = [withPast(b, pastK, k), withPast(b, pastV, v)]
    const present = c.node.outputs[1]
      ? b.concat(
          [keys, values].map((x) => b.unsqueeze(x, [0])),
          0,
        )
      : undefined
    return [finish(c, { q, k: keys, v: values }, lengthOf(pastK), 3), present]
  },
  /** Causal, every row of full length: rows that `seqlens_k` ends earlier differ behind their end, where no label is. */
  'com.microsoft.GroupQueryAttention': (c) => {
    const { b } = c
    const [heads, groups] = [c.int('num_heads', 1), c.int('kv_num_heads', 1)]
    let [q, k, v] = [c.input(0), c.optional(1), c.optional(2)]
    if (k === undefined || v === undefined) {
      const size = (c.shape(q)[2] as number) / (heads + 2 * groups)
      ;[q, k, v] = b.split(q, [heads * size, groups * size, groups * size], 2) as [Value, Value, Value]
    }
    let [qs, ks] = [splitHeads(b, q, heads), splitHeads(b, k, groups)]
    const past = lengthOf(c.optional(3))
    if (c.int('do_rotary', 0) === 1) {
      const sequence = headShape(qs)[2]
      const at = c.optional(9) ?? b.reshape(positions(b, sequence, past), [1, sequence])
      const [cos, sin] = [angles(b, c.input(7), at), angles(b, c.input(8), at)]
      const interleaved = c.int('rotary_interleaved', 0) === 1
      ;[qs, ks] = [rotate(b, qs, cos, sin, interleaved), rotate(b, ks, cos, sin, interleaved)]
    }
    const [keys, values] = [withPast(b, c.optional(3), ks), withPast(b, c.optional(4), splitHeads(b, v, groups))]
    const sink = c.optional(11)
    const y = attend(
      b,
      { q: qs, k: keys, v: values },
      {
        scale: attributeScale(c, headShape(qs)[3] as number),
        causal: true,
        past,
        window: c.int('local_window_size', -1),
        softcap: c.float('softcap', 0),
        bias: c.optional(10),
        // A smooth softmax has one more score of 0.
        sink: sink
          ? b.reshape(sink, [1, heads, 1, 1])
          : c.int('smooth_softmax', 0) === 1
            ? b.full([1, heads, 1, 1], 0, qs.dtype)
            : undefined,
      },
    )
    return [joinHeads(b, y), keys, values]
  },
}

/**
 * A padding mask of ints as bool that fits the scores: one number for each key, [batch, keys] or [batch, queries, keys]
 * or with heads; or [batch] lengths; or [2·batch], where each row of keys ends and where it starts.
 */
function keyMask(c: LowerContext, mask: Value, keys: Dim): Value {
  const { b } = c
  const shape = c.shape(mask)
  const batch = c.shape(c.input(0))[0]!
  const columns = (): Value => b.reshape(positions(b, keys), [1, 1, 1, keys])
  const rows = (x: Value): Value => b.reshape(b.cast(x, 'int64'), [batch, 1, 1, 1])
  if (shape.length === 1 && shape[0] === batch) return b.less(columns(), rows(mask))
  if (shape.length === 1 && typeof batch === 'number' && shape[0] === 2 * batch) {
    const [ends, starts] = b.split(mask, [batch, batch], 0) as [Value, Value]
    return b.and(b.less(columns(), rows(ends)), b.greaterOrEqual(columns(), rows(starts)))
  }
  if (shape.length < 2)
    throw new UnsupportedOpError(
      `${c.where}: a mask of lengths and offsets [${shape.join(', ')}] is not supported; give one number for each key`,
    )
  const counts = b.cast(mask, 'bool')
  return shape.length === 2 ? b.unsqueeze(counts, [1, 2]) : shape.length === 3 ? b.unsqueeze(counts, [1]) : counts
}
