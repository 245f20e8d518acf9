/** @file Keys and values of the tokens so far, in buffers that JavaScript owns. */
import { float32, int64 } from '../graph/constants.js'
import type { HostTensor } from '../graph/types.js'

export interface CacheShape {
  readonly layers: number
  readonly kvHeads: number
  readonly headDim: number
  /** A row that grows beyond so many positions is read anew: its keys change. */
  readonly rereadAbove?: number
}

const SMALLEST = 128

/**
 * The KV cache of one sequence. The graph reads the buffers in place and gives the keys and values of new positions
 * alone, which are copied in here; nothing that was cached is copied again but when the capacity doubles.
 */
export class KvCache {
  /** Positions filled. */
  length = 0
  /** The tokens at those positions. */
  readonly ids: number[] = []
  /** At first one slot that is masked: GPUs cannot bind tensors without elements. */
  private capacity = 1
  private keys: Float32Array[]
  private values: Float32Array[]

  constructor(
    readonly shape: CacheShape,
    private readonly maxPositions: number,
  ) {
    const empty = (): Float32Array => new Float32Array(shape.kvHeads * shape.headDim)
    this.keys = Array.from({ length: shape.layers }, empty)
    this.values = Array.from({ length: shape.layers }, empty)
  }

  /** The cache as the graph's inputs. */
  feeds(): Record<string, HostTensor> {
    const { kvHeads, headDim, layers } = this.shape
    const dims = [1, kvHeads, this.capacity, headDim]
    const filled = new BigInt64Array(this.capacity).fill(1n, 0, this.length)
    const feeds: Record<string, HostTensor> = {
      cache_mask: { dtype: 'int64', shape: [1, this.capacity], data: filled },
      cache_length: int64([1], [this.length]),
    }
    for (let i = 0; i < layers; i++) {
      feeds[`past_key.${i}`] = float32(dims, this.keys[i]!)
      feeds[`past_value.${i}`] = float32(dims, this.values[i]!)
    }
    return feeds
  }

  /** Forgets everything; the buffers stay. */
  clear(): void {
    this.length = 0
    this.ids.length = 0
  }

  /** Appends what a run gave for new tokens: `present_key.N`, `present_value.N` [1, kvHeads, tokens, headDim]. */
  append(results: Readonly<Record<string, HostTensor>>, ids: readonly number[]): void {
    const count = ids.length
    this.reserve(this.length + count)
    for (let i = 0; i < this.shape.layers; i++) {
      this.insert(this.keys[i]!, results[`present_key.${i}`]!, count)
      this.insert(this.values[i]!, results[`present_value.${i}`]!, count)
    }
    this.length += count
    this.ids.push(...ids)
  }

  private insert(buffer: Float32Array, present: HostTensor, count: number): void {
    const { kvHeads, headDim } = this.shape
    const data = present.data as Float32Array
    const size = count * headDim
    for (let head = 0; head < kvHeads; head++)
      buffer.set(data.subarray(head * size, (head + 1) * size), (head * this.capacity + this.length) * headDim)
  }

  private reserve(positions: number): void {
    if (positions <= this.capacity) return
    let capacity = Math.max(SMALLEST, this.capacity)
    while (capacity < positions) capacity *= 2
    capacity = Math.max(positions, Math.min(capacity, this.maxPositions))
    const { kvHeads, headDim } = this.shape
    const grow = (old: Float32Array): Float32Array => {
      const buffer = new Float32Array(kvHeads * capacity * headDim)
      for (let head = 0; head < kvHeads; head++) {
        const start = head * this.capacity * headDim
        buffer.set(old.subarray(start, start + this.length * headDim), head * capacity * headDim)
      }
      return buffer
    }
    this.keys = this.keys.map(grow)
    this.values = this.values.map(grow)
    this.capacity = capacity
  }
}
