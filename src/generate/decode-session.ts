/** @file The compiled graph of generation, shared by prefill and single steps and by all adapters with the same targets. */
import { attachParts } from '../adapters/attach.js'
import type { Part } from '../adapters/part.js'
import type { Adapter } from '../core/adapter.js'
import { servingOf, type AdapterSet } from '../core/adapter-set.js'
import type { Model } from '../core/model.js'
import { createModelSession } from '../core/quantized-base.js'
import { InvalidOptionError } from '../errors.js'
import { int64 } from '../graph/constants.js'
import type { HostTensor } from '../graph/types.js'
import type { Session } from '../runtime/runtime.js'
import { BatchCache } from './batch-cache.js'
import { KvCache, type CacheShape } from './cache.js'

/** Positions that a graph serves at least, so that rotary tables need no rebuilding for every longer text. */
const FEWEST_POSITIONS = 1024

/** Tokens of a prompt in one run: the scores of attention grow with their number times the whole length. */
const PREFILL = 512

/** By the names of the adapted layers. */
type Compiled = Map<string, { readonly positions: number; readonly session: Promise<DecodeSession> }>
const compiled = new WeakMap<Model, Compiled>()

export class DecodeSession {
  private constructor(
    private readonly session: Session,
    private readonly inputs: ReadonlySet<string>,
    private readonly cacheShape: CacheShape,
    private readonly positions: number,
  ) {}

  /**
   * The session of a model with these parts of an adapter, for texts of up to `length` tokens; compiled once. One for
   * longer texts takes the place of a shorter, so that no model is packed in memory twice.
   */
  static for(model: Model, parts: readonly Part[], length: number): Promise<DecodeSession> {
    let sessions = compiled.get(model)
    if (sessions === undefined) compiled.set(model, (sessions = new Map()))
    const key = JSON.stringify(parts.map(({ module, kind }) => [module, kind]))
    const known = sessions.get(key)
    if (known !== undefined && known.positions >= length) return known.session
    let positions = FEWEST_POSITIONS
    while (positions < length) positions *= 2
    positions = Math.min(positions, model.maxPositions)
    const entry = { positions, session: DecodeSession.compile(model, parts, positions) }
    sessions.set(key, entry)
    entry.session.catch(() => {
      if (sessions.get(key) === entry) sessions.delete(key)
    })
    return entry.session
  }

  private static async compile(model: Model, parts: readonly Part[], positions: number): Promise<DecodeSession> {
    const built = model.build({ mode: 'cached', positions })
    // The scale goes into the tensors: adapters of any alpha, and of any rank, share the graph.
    const { graph } = attachParts(built.graph, parts, { scaling: 'tensors' })
    const session = await createModelSession(model.environment, graph)
    return new DecodeSession(session, new Set(graph.inputs.map((i) => i.name)), built.cache!, positions)
  }

  newCache(): KvCache {
    return new KvCache(this.cacheShape, this.positions)
  }

  /**
   * A cache for rows of up to `longest` tokens.
   * @throws InvalidOptionError if they may cross the border of LongRoPE: rows of both sides need other angles for the same positions
   */
  newBatchCache(padding: readonly number[], longest: number): BatchCache {
    const { rereadAbove = Infinity } = this.cacheShape
    if (longest > rereadAbove)
      throw new InvalidOptionError(
        `a row of up to ${longest} tokens crosses position ${rereadAbove}, where the model's rotary angles change (LongRoPE), which a batch ` +
          'or a beam search cannot; generate such rows one by one, or fewer tokens',
      )
    return new BatchCache(this.cacheShape, padding)
  }

  /**
   * Appends as many tokens to every row of a cache, of which those before the row's beginning are not seen.
   * @returns the logits after the last of them, [batch, vocabulary]
   */
  async runRows(
    rows: readonly (readonly number[])[],
    cache: BatchCache,
    adapter: Readonly<Record<string, HostTensor>>,
  ): Promise<Float32Array> {
    const length = rows[0]!.length
    for (let start = 0; ; start += PREFILL) {
      const feeds = { ...cache.feedsFor(rows.map((row) => row.slice(start, start + PREFILL))), ...adapter }
      const results = await this.session.run(this.only(feeds))
      cache.append(results)
      if (start + PREFILL >= length) return results['logits']!.data as Float32Array
    }
  }

  /** Not every architecture asks for positions, or for lengths of the cache and the row. */
  private only(feeds: Readonly<Record<string, HostTensor>>): Record<string, HostTensor> {
    return Object.fromEntries(Object.entries(feeds).filter(([name]) => this.inputs.has(name)))
  }

  /**
   * Appends tokens to the sequence of a cache. A sequence that outgrows the short angles of LongRoPE is read anew, as in
   * transformers: its cached keys were rotated by them.
   * @returns the logits after the last of them, [vocabulary]
   */
  async run(ids: readonly number[], cache: KvCache, adapter: Readonly<Record<string, HostTensor>>): Promise<Float32Array> {
    const { rereadAbove = Infinity } = this.cacheShape
    const length = cache.length + ids.length
    let unread = ids
    if (cache.length <= rereadAbove && length > rereadAbove) {
      unread = [...cache.ids, ...ids]
      cache.clear()
    }
    for (let start = 0; ; start += PREFILL) {
      const logits = await this.step(unread.slice(start, start + PREFILL), length, cache, adapter)
      if (start + PREFILL >= unread.length) return logits
    }
  }

  private async step(
    ids: readonly number[],
    rowLength: number,
    cache: KvCache,
    adapter: Readonly<Record<string, HostTensor>>,
  ): Promise<Float32Array> {
    const n = ids.length
    const row = (values: ArrayLike<number>): HostTensor => int64([1, n], values)
    const feeds: Record<string, HostTensor> = {
      input_ids: row(ids),
      attention_mask: row(new Array<number>(n).fill(1)),
      position_ids: row(ids.map((_, i) => cache.length + i)),
      row_length: int64([1], [rowLength]),
      ...cache.feeds(),
      ...adapter,
    }
    const results = await this.session.run(this.only(feeds))
    cache.append(results, ids)
    return results['logits']!.data as Float32Array
  }
}

/** The adapter's tensors with their scales in them, as the graph takes them. */
export const scaledTensors = (subject: Model | Adapter | AdapterSet): Readonly<Record<string, HostTensor>> =>
  servingOf(subject).tensors
