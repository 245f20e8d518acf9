/** @file Keys and values of several sequences that are continued together, padded at their beginnings. */
import { float32, int64 } from '../graph/constants.js'
import type { HostTensor } from '../graph/types.js'
import type { CacheShape } from './cache.js'

const SMALLEST = 128

/** The capacity for so many slots: it doubles, so that a cache that grows is seldom copied. */
const capacityFor = (slots: number): number => SMALLEST * 2 ** Math.max(0, Math.ceil(Math.log2(slots / SMALLEST)))

/**
 * The KV cache of a batch. All rows have the same number of slots; the first `padding[row]` of them hold nothing that the
 * row may see, so position p of a row lies in slot padding + p. Rows that have ended are dropped, and the others move up.
 */
export class BatchCache {
  /** Slots filled in every row. */
  length = 0
  /** At first one slot that no row may see: GPUs cannot bind tensors without elements. */
  private capacity = 1
  private padding: readonly number[]
  /** By layer, [rows, kvHeads, capacity, headDim]. */
  private keys: Float32Array[]
  private values: Float32Array[]

  constructor(
    private readonly shape: CacheShape,
    padding: readonly number[],
  ) {
    this.padding = padding
    const empty = (): Float32Array => new Float32Array(padding.length * this.rowSize)
    this.keys = Array.from({ length: shape.layers }, empty)
    this.values = Array.from({ length: shape.layers }, empty)
  }

  get rows(): number {
    return this.padding.length
  }

  private get rowSize(): number {
    return this.shape.kvHeads * this.capacity * this.shape.headDim
  }

  /** The cache and as many new tokens for every row, as the graph's inputs. */
  feedsFor(tokens: readonly (readonly number[])[]): Record<string, HostTensor> {
    const { kvHeads, headDim, layers } = this.shape
    const { rows, capacity, length } = this
    const n = tokens[0]!.length
    const grid = (columns: number, value: (padding: number, column: number, row: number) => number): HostTensor => {
      const values = this.padding.flatMap((padding, row) => Array.from({ length: columns }, (_, i) => value(padding, i, row)))
      return int64([rows, columns], values)
    }
    const feeds: Record<string, HostTensor> = {
      input_ids: grid(n, (_, i, row) => tokens[row]![i]!),
      attention_mask: grid(n, (padding, i) => (length + i >= padding ? 1 : 0)),
      position_ids: grid(n, (padding, i) => Math.max(0, length + i - padding)),
      cache_mask: grid(capacity, (padding, slot) => (slot >= padding && slot < length ? 1 : 0)),
      cache_length: int64([1], [length]),
      // Of the longest row, without padding.
      row_length: int64([1], [length + n - Math.min(...this.padding)]),
    }
    const size = rows * this.rowSize
    for (let i = 0; i < layers; i++) {
      feeds[`past_key.${i}`] = float32([rows, kvHeads, capacity, headDim], this.keys[i]!.subarray(0, size))
      feeds[`past_value.${i}`] = float32([rows, kvHeads, capacity, headDim], this.values[i]!.subarray(0, size))
    }
    return feeds
  }

  /** Slots of a row that it may see. */
  rowLength(row: number): number {
    return this.length - this.padding[row]!
  }

  /**
   * A copy of some slots of a row, [layers, keys and values, kvHeads, count, headDim].
   * @param from counted from the row's first slot
   */
  copySlots(row: number, from: number, count: number): Float32Array {
    const { kvHeads, headDim, layers } = this.shape
    const size = count * headDim
    const copy = new Float32Array(layers * 2 * kvHeads * size)
    let at = 0
    for (let i = 0; i < layers; i++)
      for (const buffer of [this.keys[i]!, this.values[i]!])
        for (let head = 0; head < kvHeads; head++, at += size) {
          const start = ((row * kvHeads + head) * this.capacity + this.padding[row]! + from) * headDim
          copy.set(buffer.subarray(start, start + size), at)
        }
    return copy
  }

  /** Appends what {@link copySlots} gave to a cache of one row. */
  appendSlots(copy: Float32Array, count: number): void {
    const { kvHeads, headDim, layers } = this.shape
    this.reserve(this.length + count)
    const size = count * headDim
    let at = 0
    for (let i = 0; i < layers; i++)
      for (const buffer of [this.keys[i]!, this.values[i]!])
        for (let head = 0; head < kvHeads; head++, at += size)
          buffer.set(copy.subarray(at, at + size), (head * this.capacity + this.length) * headDim)
    this.length += count
  }

  /** Appends what a run gave: `present_key.N`, `present_value.N` [rows, kvHeads, n, headDim]. */
  append(results: Readonly<Record<string, HostTensor>>): void {
    const count = results['present_key.0']!.shape[2]!
    this.reserve(this.length + count)
    for (let i = 0; i < this.shape.layers; i++) {
      this.insert(this.keys[i]!, results[`present_key.${i}`]!, count)
      this.insert(this.values[i]!, results[`present_value.${i}`]!, count)
    }
    this.length += count
  }

  /**
   * Puts these rows in place of all, in this order; one may come several times and others not at all.
   * @param shared slots that two rows are known to have in common from the first on, which are not copied
   */
  select(rows: readonly number[], shared: (to: number, from: number) => number = () => 0): void {
    const { kvHeads, headDim } = this.shape
    const moves = rows.flatMap((from, to) => (from === to ? [] : { from, to, start: to < this.rows ? shared(to, from) : 0 }))
    const more = rows.length * this.rowSize > this.keys[0]!.length
    // All is read before anything is written: rows may change places.
    const moved = new Float32Array(moves.reduce((sum, { start }) => sum + kvHeads * (this.length - start) * headDim, 0))
    const copy = (buffer: Float32Array, write: boolean): void => {
      let at = 0
      for (const { from, to, start } of moves)
        for (let head = 0; head < kvHeads; head++) {
          const place = (row: number, slot: number): number => ((row * kvHeads + head) * this.capacity + slot) * headDim
          const size = (this.length - start) * headDim
          if (write) buffer.set(moved.subarray(at, at + size), place(to, start))
          else moved.set(buffer.subarray(place(from, start), place(from, this.length)), at)
          at += size
        }
    }
    const rearranged = (old: Float32Array): Float32Array => {
      copy(old, false)
      let buffer = old
      if (more) (buffer = new Float32Array(rows.length * this.rowSize)).set(old)
      copy(buffer, true)
      return buffer
    }
    this.keys = this.keys.map(rearranged)
    this.values = this.values.map(rearranged)
    this.padding = rows.map((row) => this.padding[row]!)
  }

  /** Puts the rows of another cache behind these: all rows end at the same slot, so the shorter ones begin later. */
  join(other: BatchCache): void {
    const length = Math.max(this.length, other.length)
    this.shift(length - this.length)
    const start = length - other.length
    const { kvHeads, headDim } = this.shape
    const { rows } = this
    const joined = (own: Float32Array, others: Float32Array): Float32Array => {
      const needed = (rows + other.rows) * this.rowSize
      let buffer = own
      if (needed > own.length) (buffer = new Float32Array(needed)).set(own)
      // What a row left behind may be NaN, which no mask hides: 0 · NaN is NaN.
      else buffer.fill(0, rows * this.rowSize, needed)
      for (let head = 0; head < other.rows * kvHeads; head++) {
        const from = head * other.capacity * headDim
        const to = ((rows * kvHeads + head) * this.capacity + start) * headDim
        buffer.set(others.subarray(from, from + other.length * headDim), to)
      }
      return buffer
    }
    this.keys = this.keys.map((keys, layer) => joined(keys, other.keys[layer]!))
    this.values = this.values.map((values, layer) => joined(values, other.values[layer]!))
    this.padding = [...this.padding, ...other.padding.map((padding) => padding + start)]
  }

  /**
   * Gives up slots that no row sees any more, once they are as many as the rest: the longest row has left. Every pass goes
   * over the whole capacity, so that this falls too, with room to grow again.
   */
  trim(): void {
    const unseen = Math.min(...this.padding)
    if (unseen * 2 < this.length) return
    this.shift(-unseen)
    const capacity = capacityFor(2 * this.length)
    if (capacity < this.capacity) this.resize(capacity)
  }

  /** Moves all rows so many slots to the right, or to the left over slots that none of them sees. */
  private shift(slots: number): void {
    if (slots === 0) return
    this.reserve(this.length + slots)
    const { kvHeads, headDim } = this.shape
    const [from, to] = [Math.max(0, -slots), Math.max(0, slots)]
    for (const buffer of [...this.keys, ...this.values])
      for (let head = 0; head < this.rows * kvHeads; head++) {
        const start = head * this.capacity
        buffer.copyWithin((start + to) * headDim, (start + from) * headDim, (start + this.length) * headDim)
      }
    this.length += slots
    this.padding = this.padding.map((padding) => padding + slots)
  }

  private insert(buffer: Float32Array, present: HostTensor, count: number): void {
    const { kvHeads, headDim } = this.shape
    const data = present.data as Float32Array
    const size = count * headDim
    for (let head = 0; head < this.rows * kvHeads; head++)
      buffer.set(data.subarray(head * size, (head + 1) * size), (head * this.capacity + this.length) * headDim)
  }

  private reserve(slots: number): void {
    if (slots > this.capacity) this.resize(capacityFor(slots))
  }

  /** Gives every row this capacity, which is no less than its length. */
  private resize(capacity: number): void {
    const { kvHeads, headDim } = this.shape
    const resized = (old: Float32Array): Float32Array => {
      const heads = this.rows * kvHeads
      const buffer = new Float32Array(heads * capacity * headDim)
      for (let head = 0; head < heads; head++) {
        const start = head * this.capacity * headDim
        buffer.set(old.subarray(start, start + this.length * headDim), head * capacity * headDim)
      }
      return buffer
    }
    this.keys = this.keys.map(resized)
    this.values = this.values.map(resized)
    this.capacity = capacity
  }
}
