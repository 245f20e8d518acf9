/** @file What a continuous batch keeps of the texts that it has read and written: for each choice of adapters, and only while that holds. */
import type { Adapter } from '../adapter/adapter.js'
import { AdapterSet } from '../adapter/adapter-set.js'
import type { RowAdapters } from '../adapter/row-adapters.js'
import { InvalidOptionError } from '../errors.js'
import type { Model } from '../model/model.js'
import type { BatchCache } from './batch-cache.js'
import type { ContinuedText } from './continued-text.js'
import { PrefixCache, sharedTokens } from './prefix-cache.js'

export class KeptPrefixes {
  private readonly cache: PrefixCache<RowAdapters>

  /** @throws InvalidOptionError for an adapter by itself, whose numbers may change */
  constructor(
    private readonly subject: Model | Adapter | AdapterSet,
    bytes: number,
  ) {
    if (!(subject instanceof AdapterSet) && 'serving' in subject)
      throw new InvalidOptionError(
        'prefixBytes keeps what was read, and an adapter may be trained on meanwhile; put the adapter into an AdapterSet, which has its own copy',
      )
    this.cache = new PrefixCache(bytes)
  }

  get bytes(): number {
    return this.cache.bytes
  }

  /** Fills the empty cache of a text with what is known of its prompt's beginning. @returns how many tokens */
  begin(text: ContinuedText, cache: BatchCache): number {
    text.servedAs = this.keyOf(text.adapter)
    // What is scored is read.
    text.cachedTokens = text.isScored ? 0 : this.cache.fill(text.servedAs, text.prompt, cache)
    return text.cachedTokens
  }

  /** Tokens of a text that another one, whose prompt is being read, begins with too. */
  shared(read: ContinuedText, later: ContinuedText): number {
    return read.servedAs === this.keyOf(later.adapter) && !later.isScored ? sharedTokens(read.prompt, later.prompt) : 0
  }

  /** Keeps what was read and written of a text so far, which is a row of a cache. */
  keep(text: ContinuedText, cache: BatchCache, row: number): void {
    const { servedAs, adapter } = text
    // Of an adapter that was replaced meanwhile it is partly the one's and partly the other's.
    if (servedAs === undefined || !this.holds(servedAs, adapter)) return
    this.cache.keep(servedAs, adapter, [...text.prompt, ...text.ids], cache, row)
  }

  /** Gives up what was kept of adapters that are gone, or are not what they were. */
  forgetGone(): void {
    this.cache.forget((key, row) => !this.holds(key, row))
  }

  private keyOf(row: RowAdapters): string {
    return this.subject instanceof AdapterSet ? this.subject.keyOf(row) : ''
  }

  /** Whether the adapters of a row are those that they were. */
  private holds(key: string, row: RowAdapters): boolean {
    return !(this.subject instanceof AdapterSet) || (this.subject.hasAll(row) && this.subject.keyOf(row) === key)
  }
}
