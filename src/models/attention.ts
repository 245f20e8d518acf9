/** @file Causal self-attention with grouped queries, sliding windows, packed rows and a cache. */
import { InvalidOptionError } from '../errors.js'
import { int, ints, multiplyDims, type Value } from '../graph/types.js'
import type { ModelBuilder } from './model-builder.js'

/** What every language model reads, int64 [batch, sequence]. */
export interface LanguageModelInputs {
  readonly inputIds: Value
  readonly attentionMask: Value
  readonly positionIds: Value
}

/** Declares the graph's inputs `input_ids`, `attention_mask` and `position_ids`. */
export function languageModelInputs({ graph }: ModelBuilder): LanguageModelInputs {
  const ids = (name: string): Value => graph.addInput(name, 'int64', ['batch', 'sequence'])
  return { inputIds: ids('input_ids'), attentionMask: ids('attention_mask'), positionIds: ids('position_ids') }
}

export interface AttentionShape {
  readonly layers: number
  readonly heads: number
  /** Heads of keys and values; `heads` is a multiple of it, and each serves `heads / kvHeads` neighbouring queries. */
  readonly kvHeads: number
  readonly headDim: number
  /** Per layer: the number of latest positions that a query sees, itself included; undefined is all of them. */
  readonly windows: readonly (number | undefined)[]
}

/**
 * The most negative float32 rather than minus infinity: a row with every key masked (padding) then gives a finite
 * average instead of NaN, as transformers' eager attention does.
 */
const MASKED = -3.4028234663852886e38

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
    if (model.options.mode !== 'cached') return
    if (model.options.packed === true)
      throw new InvalidOptionError('packed rows cannot be built with a cache: "packed" needs mode "full"')
    const { graph } = model
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

  /** `present_key.N` and `present_value.N` of the layers attended so far; empty without a cache. */
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
   * softmax(scale·q·kᵀ + mask)·v of one layer.
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
    const { b } = this.model
    const { heads, kvHeads, headDim, windows } = this.shape
    const rows = multiplyDims(heads / kvHeads, 'sequence')
    const past = this.past[layer]
    const queries = b.reshape(q, ['batch', kvHeads, rows, headDim])
    const score = (keys: Value): Value => b.matmul(queries, keys, { transB: true, alpha: scale })
    // With a cache only the scores are joined: no key or value is ever copied.
    const scores = past === undefined ? score(k) : b.concat([score(past.key), score(k)], 3)
    const keys = scores.shape![3]!
    const weights = b.softmax(b.add(b.reshape(scores, ['batch', heads, 'sequence', keys]), this.mask(windows[layer])))
    const grouped = b.reshape(weights, ['batch', kvHeads, rows, keys])
    const mixed = past === undefined ? b.matmul(grouped, v) : this.mixCached(grouped, past.value, v)
    if (past !== undefined) this.present.push(this.named(k, `present_key.${layer}`), this.named(v, `present_value.${layer}`))
    const context = b.transpose(b.reshape(mixed, ['batch', heads, 'sequence', headDim]), [0, 2, 1, 3])
    return b.reshape(context, ['batch*sequence', heads * headDim])
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
    const { b } = this.model
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

  /** 0, 1, …, dim - 1 as int64. */
  private range(dim: string): Value {
    const { b } = this.model
    const end = b.squeeze(b.dim(dim), [0])
    return b.emit('Range', [b.scalar(0, 'int64'), end, b.scalar(1, 'int64')], {}, { shapes: [[dim]] })
  }
}
