/** @file The compiled graph of generation, shared by prefill and single steps and by all adapters with the same targets. */
import type { Part } from '../adapters/part.js'
import type { Model } from '../model/model.js'
import { createModelSession } from '../base/quantized-base.js'
import { positionsFor, sessionsOf, type RunKind } from '../model/session-pool.js'
import { InvalidOptionError } from '../errors.js'
import { int64 } from '../graph/constants.js'
import type { HostTensor } from '../graph/types.js'
import { only } from '../runtime/feeds.js'
import { BatchCache } from './batch-cache.js'
import { KvCache, type CacheShape } from './cache.js'

/** Tokens of a prompt in one run: the scores of attention grow with their number times the whole length. */
const PREFILL = 512

/** Bytes of logits that one run gives at most, where those of all positions are asked for. */
const LOGITS_BYTES = 64 << 20

/** Told the logits after each token: its row, its slot in the cache, [vocabulary]. */
export type OnLogits = (row: number, slot: number, logits: Float32Array) => void

/** Tokens behind those that are cached. */
const cachedRun: RunKind = {
  name: 'cached',
  build: (model, positions) => model.build({ mode: 'cached', positions }),
  compile: ({ environment }, graph) => createModelSession(environment, graph),
}

/** The same with the logits of every position: a graph of its own, for it costs the head's product for each. */
const scoredRun: RunKind = {
  ...cachedRun,
  name: 'cached with all logits',
  build: (model, positions) => model.build({ mode: 'cached', positions, allLogits: true }),
}

/**
 * What continues texts on a model with these parts of an adapter. The compiled graph is the pool's, which may exchange it between
 * two runs: caches fit any.
 */
export class DecodeSession {
  private constructor(
    private readonly model: Model,
    private readonly parts: readonly Part[],
    private readonly cacheShape: CacheShape,
    private readonly positions: number,
  ) {}

  /** For texts of up to `length` tokens. The graph for longer texts takes the place of one for shorter ones. */
  static for(model: Model, parts: readonly Part[], length: number): Promise<DecodeSession> {
    const positions = positionsFor(model, length)
    return sessionsOf(model).use(cachedRun, parts, positions, ({ built }) =>
      Promise.resolve(new DecodeSession(model, parts, built.cache!, positions)),
    )
  }

  private feed(feeds: Readonly<Record<string, HostTensor>>, kind = cachedRun): Promise<Record<string, HostTensor>> {
    return sessionsOf(this.model).use(kind, this.parts, this.positions, ({ session, inputs, zeros }) =>
      // Not every architecture asks for positions, or for lengths of the cache and the row.
      session.run(only({ ...zeros, ...feeds }, inputs)),
    )
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
   * @param onLogits told the logits after each of them, which takes a graph of its own
   * @returns the logits after the last of them, [batch, vocabulary]
   */
  async runRows(
    rows: readonly (readonly number[])[],
    cache: BatchCache,
    adapter: Readonly<Record<string, HostTensor>>,
    onLogits?: OnLogits,
  ): Promise<Float32Array> {
    const length = rows[0]!.length
    const width = this.model.vocabularySize
    const scored = Math.max(1, Math.floor(LOGITS_BYTES / (4 * width * rows.length)))
    const most = onLogits === undefined ? PREFILL : Math.min(PREFILL, scored)
    for (let start = 0; ; start += most) {
      const slot = cache.length
      const feeds = { ...cache.feedsFor(rows.map((row) => row.slice(start, start + most))), ...adapter }
      const results = await this.feed(feeds, onLogits === undefined ? cachedRun : scoredRun)
      cache.append(results)
      const logits = results['logits']!.data as Float32Array
      const count = Math.min(most, length - start)
      if (onLogits !== undefined)
        for (let i = 0; i < rows.length * count; i++)
          onLogits(Math.floor(i / count), slot + (i % count), logits.subarray(i * width, (i + 1) * width))
      if (start + most >= length) return onLogits === undefined ? logits : lastOfRows(logits, rows.length, width)
    }
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
    const results = await this.feed(feeds)
    cache.append(results, ids)
    return results['logits']!.data as Float32Array
  }
}

/** Of logits [rows, positions, vocabulary] those after the last position, [rows, vocabulary]. */
function lastOfRows(logits: Float32Array, rows: number, width: number): Float32Array {
  const last = new Float32Array(rows * width)
  const size = logits.length / rows
  for (let row = 0; row < rows; row++) last.set(logits.subarray((row + 1) * size - width, (row + 1) * size), row * width)
  return last
}
