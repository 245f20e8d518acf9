/** @file Causal self-attention with grouped queries, sliding windows, packed rows and a cache. */
import { InvalidOptionError } from '../errors.js'
import { planSplit, splitAlong, type DimensionSplit } from '../graph/split-dimension.js'
import { multiplyDims } from '../graph/dim/index.js'
import { int, ints, type Dim, type Value } from '../graph/types.js'
import type { ModelBuilder } from './model-builder.js'

/** What every language model reads, int64 [batch, sequence]. */
export interface LanguageModelInputs {
  readonly inputIds: Value
  readonly attentionMask: Value
  readonly positionIds: Value
}

/** Declares the graph's inputs `input_ids`, `attention_mask` and `position_ids`; for export the mask is [batch, total]. */
export function languageModelInputs({ graph, options }: ModelBuilder): LanguageModelInputs {
  const ids = (name: string, length = 'sequence'): Value => graph.addInput(name, 'int64', ['batch', length])
  return {
    inputIds: ids('input_ids'),
    attentionMask: ids('attention_mask', options.mode === 'export' ? 'total' : 'sequence'),
    positionIds: ids('position_ids'),
  }
}

export interface AttentionShape {
  readonly layers: number
  readonly heads: number
  /** Heads of keys and values; `heads` is a multiple of it, and each serves `heads / kvHeads` neighbouring queries. */
  readonly kvHeads: number
  readonly headDim: number
  /** Per layer: the number of latest positions that a query sees, itself included; undefined is all of them. */
  readonly windows: readonly (number | undefined)[]
  /** Scores are squashed into (-softCap, softCap) by softCap·tanh(score / softCap) (Gemma 2); as they are by default. */
  readonly softCap?: number | undefined
}

/**
 * The most negative float32 rather than minus infinity: a row with every key masked (padding) then gives a finite
 * average instead of NaN, as transformers' eager attention does.
 */
export const MASKED = -3.4028234663852886e38

/**
 * Attention of all layers of a decoder. Masks are computed once per kind and shared by the layers.
 *
 * A query at index i of the row sees the key at index j if j <= i, if key j is no padding, if i - j < window, and, in
 * packed rows, if both belong to the same example. Indices count slots of the row, padding included, as in transformers.
 */
export class CausalAttention {
  private readonly masks = new Map<number | undefined, Value>()
  private readonly cacheMask: Value | undefined
  private readonly cacheLength: Value | undefined
  private readonly past: { readonly key: Value; readonly value: Value }[] = []
  private readonly present: Value[] = []

  constructor(
    private readonly model: ModelBuilder,
    private readonly attentionMask: Value,
    private readonly shape: AttentionShape,
  ) {
    if (model.options.mode === 'full') return
    if (model.options.packed === true)
      throw new InvalidOptionError('packed rows cannot be built with a cache: "packed" needs mode "full"')
    const { graph } = model
    if (model.options.mode === 'export') {
      const dims = ['batch', shape.kvHeads, 'past', shape.headDim]
      for (let layer = 0; layer < shape.layers; layer++) {
        const part = (name: string): Value => graph.addInput(`past_key_values.${layer}.${name}`, 'float32', dims)
        this.past.push({ key: part('key'), value: part('value') })
      }
      return
    }
    this.cacheMask = graph.addInput('cache_mask', 'int64', ['batch', 'cache'])
    if (shape.windows.some((w) => w !== undefined)) this.cacheLength = graph.addInput('cache_length', 'int64', [1])
    for (let layer = 0; layer < shape.layers; layer++) {
      const dims = ['batch', shape.kvHeads, 'cache', shape.headDim]
      this.past.push({
        key: graph.addInput(`past_key.${layer}`, 'float32', dims),
        value: graph.addInput(`past_value.${layer}`, 'float32', dims),
      })
    }
  }

  /** What the layers attended so far give for the next run, keys before values; empty without a cache. */
  get outputs(): readonly Value[] {
    return this.present
  }

  /** [batch*sequence, count*headDim] to [batch, sequence, count, headDim]. */
  splitHeads(x: Value, count: number): Value {
    return this.model.b.reshape(x, ['batch', 'sequence', count, this.shape.headDim])
  }

  /** [batch, sequence, count, headDim] to [batch, count, sequence, headDim]. */
  headsFirst(x: Value, name?: string): Value {
    return this.model.b.emit('Transpose', [x], { perm: ints([0, 2, 1, 3]) }, name === undefined ? {} : { name })
  }

  /**
   * softmax(cap(scale·q·kᵀ) + mask)·v of one layer.
   *
   * Keys are never repeated for grouped queries: the queries that share a key head are laid out as rows of one matrix,
   * [batch, kvHeads, group*sequence, headDim], which is the same memory as [batch, heads, sequence, headDim].
   *
   * @param q [batch, heads, sequence, headDim], rotated
   * @param k [batch, kvHeads, sequence, headDim], rotated
   * @param v [batch, kvHeads, sequence, headDim]
   * @returns [batch*sequence, heads*headDim]
   */
  attend(layer: number, q: Value, k: Value, v: Value, scale: number): Value {
    const { b, options } = this.model
    const { heads, headDim, windows, softCap } = this.shape
    const past = this.past[layer]
    const mask = this.mask(windows[layer])
    // The product divides by the cap too, which saves a pass over the scores.
    const factor = scale / (softCap ?? 1)
    let heard: Value // [batch, heads, sequence, headDim]
    if (past !== undefined && options.mode === 'export') {
      const [keys, values] = [
        this.joined(past.key, k, `present.${layer}.key`),
        this.joined(past.value, v, `present.${layer}.value`),
      ]
      this.present.push(keys, values)
      heard = this.attendBlock(q, keys, values, mask, factor)
    } else if (past !== undefined) {
      heard = this.attendCached(q, k, v, past, mask, factor)
      this.present.push(this.named(k, `present_key.${layer}`), this.named(v, `present_value.${layer}`))
    } else if ((options.queryBlocks ?? 1) > 1) heard = this.attendInBlocks(q, k, v, mask, factor)
    else heard = this.attendBlock(q, k, v, mask, factor)
    return b.reshape(b.transpose(heard, [0, 2, 1, 3]), ['batch*sequence', heads * headDim])
  }

  /** Queries that share a key head become rows of one matrix: [batch, heads, n, headDim] to [batch, kvHeads, group*n, headDim]. */
  private group(q: Value): Value {
    const { heads, kvHeads, headDim } = this.shape
    return this.model.b.reshape(q, ['batch', kvHeads, multiplyDims(heads / kvHeads, q.shape![2]!), headDim])
  }

  /** softmax of scores [batch, kvHeads, group*n, keys], divided by the cap if there is one, + mask [batch, 1, n, keys]. */
  private weigh(scores: Value, mask: Value, n: Dim): Value {
    const { b } = this.model
    const { heads, softCap } = this.shape
    const [batch, , , keys] = scores.shape!
    const capped = softCap === undefined ? scores : b.mul(b.tanh(scores), softCap)
    const weights = b.softmax(b.add(b.reshape(capped, [batch!, heads, n, keys!]), mask))
    return b.reshape(weights, scores.shape!)
  }

  private ungroup(heard: Value, n: Dim): Value {
    const { heads, headDim } = this.shape
    return this.model.b.reshape(heard, ['batch', heads, n, headDim])
  }

  private attendBlock(q: Value, k: Value, v: Value, mask: Value, scale: number): Value {
    const { b } = this.model
    const n = q.shape![2]!
    const weights = this.weigh(b.matmul(this.group(q), k, { transB: true, alpha: scale }), mask, n)
    return this.ungroup(b.matmul(weights, v), n)
  }

  /** With a cache only the scores are joined: no key or value is ever copied. */
  private attendCached(q: Value, k: Value, v: Value, past: { key: Value; value: Value }, mask: Value, scale: number): Value {
    const { b } = this.model
    const queries = this.group(q)
    const score = (keys: Value): Value => b.matmul(queries, keys, { transB: true, alpha: scale })
    const weights = this.weigh(b.concat([score(past.key), score(k)], 3), mask, 'sequence')
    return this.ungroup(this.mixCached(weights, past.value, v), 'sequence')
  }

  /** The past with the new positions behind it, [batch, kvHeads, total, headDim]. */
  private joined(past: Value, fresh: Value, name: string): Value {
    const shapes = [past.shape!.map((dim, i) => (i === 2 ? 'total' : dim))]
    return this.model.b.emit('Concat', [past, fresh], { axis: int(2) }, { name, shapes })
  }

  private blocks: DimensionSplit | undefined
  private readonly blockMasks = new Map<Value, Value[]>()

  /**
   * Causal attention in blocks of queries, each against the keys up to its own end: of n blocks, (n − 1)/2n of all
   * scores lie in the future and are never computed. Rows of padding that see no key at all average fewer values than
   * without blocks; nothing reads them.
   */
  private attendInBlocks(q: Value, k: Value, v: Value, mask: Value, scale: number): Value {
    const { b, options } = this.model
    const split = (this.blocks ??= planSplit(b, 'sequence', b.dim('sequence'), options.queryBlocks!))
    const [queries, keys, values] = [q, k, v].map((x) => splitAlong(b, x, 2, split)) as [Value[], Value[], Value[]]
    const upTo = (whole: Value, pieces: readonly Value[], end: number): Value => {
      if (end === split.count - 1) return whole
      if (end === 0) return pieces[0]!
      const shape = whole.shape!.map((dim, i) => (i === 2 ? `sequence/0-${end}` : dim))
      return b.emit('Concat', pieces.slice(0, end + 1), { axis: int(2) }, { shapes: [shape] })
    }
    const heard = queries.map((block, i) =>
      this.attendBlock(block, upTo(k, keys, i), upTo(v, values, i), this.blockMask(mask, split, i), scale),
    )
    return b.emit('Concat', heard, { axis: int(2) }, { shapes: [q.shape!] })
  }

  /** Rows of block `i` and columns up to its end, cut once for all layers. */
  private blockMask(mask: Value, split: DimensionSplit, i: number): Value {
    const { b } = this.model
    let cut = this.blockMasks.get(mask)
    if (cut === undefined) {
      cut = split.names.map((rows, k) => {
        const [start, end] = [split.bounds[k]!, split.bounds[k + 1]!]
        const columns = k === 0 ? rows : k === split.count - 1 ? 'sequence' : `sequence/0-${k}`
        const bounds = [b.concat([start, b.int64s([0])], 0), b.concat([end, end], 0), b.int64s([2, 3])]
        return b.emit('Slice', [mask, ...bounds], {}, { shapes: [[...mask.shape!.slice(0, 2), rows, columns]] })
      })
      this.blockMasks.set(mask, cut)
    }
    return cut[i]!
  }

  /** weights[…, cached]·past + weights[…, new]·v */
  private mixCached(weights: Value, past: Value, v: Value): Value {
    const { b } = this.model
    const [batch, kvHeads, rows] = weights.shape!
    const cached = b.dim('cache')
    const part = (start: Value, end: Value, length: string): Value =>
      b.emit('Slice', [weights, start, end, b.int64s([3])], {}, { shapes: [[batch!, kvHeads!, rows!, length]] })
    const old = part(b.int64s([0]), cached, 'cache')
    const fresh = part(cached, b.int64s([2 ** 31 - 1]), 'sequence')
    return b.add(b.matmul(old, past), b.matmul(fresh, v))
  }

  /** A graph output needs its contractual name; a node that could not be given it is followed by a copy. */
  private named(value: Value, name: string): Value {
    return value.name === name ? value : this.model.b.emit('Identity', [value], {}, { name })
  }

  /** Additive mask, 0 or `MASKED`: [batch, 1, sequence, keys]. */
  private mask(window: number | undefined): Value {
    const known = this.masks.get(window)
    if (known !== undefined) return known
    const { b, options } = this.model
    if (options.mode === 'export') {
      const mask = this.exportMask(window)
      this.masks.set(window, mask)
      return mask
    }
    const fresh = b.where(this.visible(), this.causal(window), MASKED)
    const mask = this.cacheMask === undefined ? fresh : b.concat([this.cachedMask(this.cacheMask, window), fresh], 3)
    this.masks.set(window, mask)
    return mask
  }

  private visibleKeys: Value | undefined

  /** Which keys a row may see at all: no padding, [batch, 1, 1, sequence]; packed: the same example, [batch, 1, sequence, sequence]. */
  private visible(): Value {
    if (this.visibleKeys !== undefined) return this.visibleKeys
    const { b, options } = this.model
    const keys = b.unsqueeze(this.attentionMask, [1, 2])
    // Packed: padding sees padding, which keeps its rows finite and concerns no example.
    this.visibleKeys = options.packed === true ? b.equal(b.unsqueeze(this.attentionMask, [1, 3]), keys) : b.cast(keys, 'bool')
    return this.visibleKeys
  }

  /** Additive mask of the new positions among themselves, [sequence, sequence]: the future, and what the window has left behind. */
  private causal(window: number | undefined): Value {
    const { b } = this.model
    const masked = b.full(['sequence', 'sequence'], MASKED)
    const future = b.emit('Trilu', [masked, b.scalar(1, 'int64')], { upper: int(1) })
    if (window === undefined) return future
    const left = b.emit('Trilu', [masked, b.scalar(-window, 'int64')], { upper: int(0) })
    return b.min(future, left)
  }

  /** Additive mask of the cache, [batch, 1, sequence, cache]; slot j of the cache has index j, new position i index cache_length + i. */
  private cachedMask(cacheMask: Value, window: number | undefined): Value {
    const { b } = this.model
    const filled = b.cast(b.unsqueeze(cacheMask, [1, 2]), 'bool')
    if (window === undefined || this.cacheLength === undefined) return b.where(filled, b.zeros(['sequence', 'cache']), MASKED)
    const queries = b.unsqueeze(b.add(this.range('sequence'), this.cacheLength), [1])
    const near = b.less(b.sub(queries, this.range('cache')), window)
    return b.where(b.and(filled, near), b.scalar(0), MASKED)
  }

  /** Additive mask of the past and the new positions together, [batch, 1, sequence, total]; new position i has index past + i. */
  private exportMask(window: number | undefined): Value {
    const { b } = this.model
    const start = b.sub(b.dim('total'), b.dim('sequence'))
    const queries = b.unsqueeze(b.add(this.range('sequence'), start), [1])
    const keys = this.range('total')
    const seen = b.lessOrEqual(keys, queries)
    const near = window === undefined ? seen : b.and(seen, b.less(b.sub(queries, keys), window))
    return b.where(b.and(this.visible(), near), b.scalar(0), MASKED)
  }

  /** 0, 1, …, dim - 1 as int64. */
  private range(dim: string): Value {
    const { b } = this.model
    const end = b.squeeze(b.dim(dim), [0])
    return b.emit('Range', [b.scalar(0, 'int64'), end, b.scalar(1, 'int64')], {}, { shapes: [[dim]] })
  }
}
