/** @file The cache of a batch whose rows come and go. */
import { describe, expect, it } from 'vitest'
import { float32 } from '../graph/constants.js'
import { BatchCache } from './batch-cache.js'

const shape = { layers: 1, kvHeads: 2, headDim: 3 }

/** A cache of rows that hold a number each. */
function filled(values: readonly number[], slots: number): BatchCache {
  const cache = new BatchCache(shape, values.map(() => 0)) // prettier-ignore
  const size = shape.kvHeads * slots * shape.headDim
  const data = Float32Array.from({ length: values.length * size }, (_, i) => values[Math.floor(i / size)]!)
  const present = float32([values.length, shape.kvHeads, slots, shape.headDim], data)
  cache.append({ 'present_key.0': present, 'present_value.0': present })
  return cache
}

const feedOf = (cache: BatchCache) => cache.feedsFor(Array.from({ length: cache.rows }, () => [1]))

/** What a row holds where it may look, of each head. */
function seen(cache: BatchCache, row: number): number[][] {
  const { cache_mask: mask, 'past_key.0': keys } = feedOf(cache)
  const capacity = keys!.shape[2]!
  return Array.from({ length: shape.kvHeads }, (_, head) =>
    Array.from({ length: capacity }, (_, slot) => slot)
      .filter((slot) => Number(mask!.data[row * capacity + slot]) === 1)
      .map((slot) => Number(keys!.data[((row * shape.kvHeads + head) * capacity + slot) * shape.headDim])),
  )
}

describe('the cache of a batch', () => {
  it('gives a row that joins nothing of one that has left: a mask does not hide NaN', () => {
    const cache = filled([1, NaN], 5)
    cache.select([0])
    cache.join(filled([2], 3))
    const { 'past_key.0': keys, 'past_value.0': values } = feedOf(cache)
    expect([...(keys!.data as Float32Array), ...(values!.data as Float32Array)].every(Number.isFinite)).toBe(true)
    expect(seen(cache, 0)).toEqual([new Array(5).fill(1), new Array(5).fill(1)])
    expect(seen(cache, 1)).toEqual([new Array(3).fill(2), new Array(3).fill(2)])
  })

  it('gives up the room of a long row that has left', () => {
    const cache = filled([7], 1000)
    cache.join(filled([8], 4))
    expect(feedOf(cache)['past_key.0']!.shape).toEqual([2, 2, 1024, 3])
    cache.select([1])
    cache.trim()
    expect(cache.length).toBe(4)
    expect(feedOf(cache)['past_key.0']!.shape).toEqual([1, 2, 128, 3])
    expect(seen(cache, 0)).toEqual([new Array(4).fill(8), new Array(4).fill(8)])
  })

  it('gives some slots of a row to another cache', () => {
    const cache = filled([1, 2], 6)
    cache.join(filled([3], 4))
    expect(cache.rowLength(2)).toBe(4)
    const begun = new BatchCache(shape, [0])
    begun.appendSlots(cache.copySlots(2, 1, 3), 3)
    begun.appendSlots(cache.copySlots(1, 0, 6), 6)
    expect(begun.length).toBe(9)
    expect(seen(begun, 0)).toEqual(new Array(2).fill([3, 3, 3, 2, 2, 2, 2, 2, 2]))
  })
})
