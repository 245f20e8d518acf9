/** @file Beginnings of prompts that are kept: the longest is found, what was used last stays, and no more than there is room for. */
import { describe, expect, it } from 'vitest'
import { float32 } from '../graph/constants.js'
import { BatchCache } from './batch-cache.js'
import { PrefixCache } from './prefix-cache.js'

const shape = { layers: 2, kvHeads: 1, headDim: 1 }

/** Bytes of a block of 16 tokens. */
const BLOCK = 16 * 2 * 2 * 4

/** A cache of one row that holds the tokens themselves. */
function holding(ids: readonly number[]): BatchCache {
  const cache = new BatchCache(shape, [0])
  const present = float32([1, 1, ids.length, 1], Float32Array.from(ids))
  cache.append(Object.fromEntries(['present_key.0', 'present_value.0', 'present_key.1', 'present_value.1'].map((name) => [name, present]))) // prettier-ignore
  return cache
}

/** What is found of a text, as it lies in the cache of each layer. */
function found(prefixes: PrefixCache<string>, key: string, ids: readonly number[]): number {
  const cache = new BatchCache(shape, [0])
  const count = prefixes.fill(key, ids, cache)
  expect(cache.length).toBe(count)
  const feeds = cache.feedsFor([[0]])
  for (const name of ['past_key.0', 'past_value.1'])
    expect([...(feeds[name]!.data as Float32Array).subarray(0, count)]).toEqual(ids.slice(0, count))
  return count
}

const range = (start: number, end: number): number[] => Array.from({ length: end - start }, (_, i) => start + i)
const keep = (prefixes: PrefixCache<string>, key: string, ids: readonly number[]): void =>
  prefixes.keep(key, `of ${key}`, ids, holding(ids), 0)

describe('beginnings that are kept', () => {
  it('are found by whole blocks, but for the last token, and by those who have the same adapters', () => {
    const prefixes = new PrefixCache<string>(1 << 20)
    keep(prefixes, 'a', range(0, 50))
    expect(prefixes.bytes).toBe(3 * BLOCK)
    expect(found(prefixes, 'a', range(0, 60))).toBe(48)
    expect(found(prefixes, 'a', range(0, 48))).toBe(32)
    expect(found(prefixes, 'a', [...range(0, 40), 7, 7, 7, 7, 7, 7, 7, 7, 7, 7])).toBe(32)
    expect(found(prefixes, 'a', range(1, 60))).toBe(0)
    expect(found(prefixes, 'b', range(0, 60))).toBe(0)
  })

  it('share what they have in common', () => {
    const prefixes = new PrefixCache<string>(1 << 20)
    keep(prefixes, 'a', range(0, 64))
    keep(prefixes, 'a', [...range(0, 32), ...range(100, 132)])
    expect(prefixes.bytes).toBe(6 * BLOCK)
    expect(found(prefixes, 'a', [...range(0, 32), ...range(100, 140)])).toBe(64)
    expect(found(prefixes, 'a', range(0, 70))).toBe(64)
  })

  it('make room for others: the ends of what was used longest ago go first', () => {
    const prefixes = new PrefixCache<string>(4 * BLOCK)
    keep(prefixes, 'a', range(0, 32))
    keep(prefixes, 'b', range(0, 32))
    expect(found(prefixes, 'a', range(0, 33))).toBe(32)
    keep(prefixes, 'c', range(0, 16))
    expect([found(prefixes, 'a', range(0, 33)), found(prefixes, 'b', range(0, 33))]).toEqual([32, 16])
    // One that has no room at all leaves its beginning.
    keep(prefixes, 'd', range(0, 160))
    expect(prefixes.bytes).toBe(4 * BLOCK)
    expect(found(prefixes, 'd', range(0, 161))).toBe(64)
  })

  it('are given up with what they belong to', () => {
    const prefixes = new PrefixCache<string>(1 << 20)
    keep(prefixes, 'a', range(0, 64))
    keep(prefixes, 'b', range(0, 16))
    prefixes.forget((_, owner) => owner === 'of a')
    expect([prefixes.bytes, found(prefixes, 'a', range(0, 65)), found(prefixes, 'b', range(0, 17))]).toEqual([BLOCK, 0, 16])
    prefixes.forget(() => true)
    keep(prefixes, 'a', range(0, 16))
    expect(prefixes.bytes).toBe(BLOCK)
  })
})
