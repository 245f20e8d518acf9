/** @file Random numbers against xoshiro128** by its published definition, and against the moments of their distributions. */
import { describe, expect, it } from 'vitest'
import { InvalidOptionError } from '../errors.js'
import { Random } from './rng.js'

const draws = (random: Random, n: number): number[] => Array.from({ length: n }, () => random.uniform())

describe('Random', () => {
  it('follows xoshiro128** from a known state', () => {
    // Computed with Python's unbounded integers from the authors' definition.
    const random = Random.fromState({ words: [1, 2, 3, 4], spareNormal: null })
    const expected = [11520, 0, 5927040, 70819200, 2031721883, 1637235492]
    expect(expected.map(() => random.uint32())).toEqual(expected)
  })

  it('gives the same numbers for the same seed and others for another', () => {
    expect(draws(new Random(42), 5)).toEqual(draws(new Random(42), 5))
    expect(draws(new Random(42), 5)).not.toEqual(draws(new Random(43), 5))
    expect(draws(new Random(1), 5)).not.toEqual(draws(new Random(1 + 2 ** 32), 5))
    expect(draws(new Random(1), 5)).not.toEqual(draws(new Random(-1), 5))
  })

  it('keeps derived streams apart by seed, label, order and type', () => {
    const first = [
      Random.derive(0, 'a'),
      Random.derive(1, 'a'),
      Random.derive(0, 'b'),
      Random.derive(0, 'a', 'b'),
      Random.derive(0, 'ab'),
      Random.derive(0, 'b', 'a'),
      Random.derive(0, 1),
      Random.derive(0, '1'),
      Random.derive(0),
    ].map((random) => random.uniform())
    expect(new Set(first).size).toBe(first.length)
    expect(Random.derive(0, 'a', 3).uniform()).toBe(Random.derive(0, 'a', 3).uniform())
  })

  it('continues a saved stream, between the two numbers of a normal pair as well', () => {
    const random = new Random(7)
    random.normal()
    const copy = Random.fromState(JSON.parse(JSON.stringify(random.state)))
    expect([copy.normal(), copy.uniform(), copy.normal()]).toEqual([random.normal(), random.uniform(), random.normal()])
    expect(() => Random.fromState({ words: [0, 0, 0, 0], spareNormal: null })).toThrow(InvalidOptionError)
  })

  it('has the moments of its distributions', () => {
    const random = new Random(3)
    const n = 100_000
    let [sum, squares, normalSum, normalSquares, fourth] = [0, 0, 0, 0, 0]
    for (let i = 0; i < n; i++) {
      const u = random.uniform(-1, 3)
      expect(u >= -1 && u < 3).toBe(true)
      sum += u
      squares += u * u
      const z = random.normal()
      normalSum += z
      normalSquares += z * z
      fourth += z ** 4
    }
    expect(sum / n).toBeCloseTo(1, 1)
    expect(squares / n - (sum / n) ** 2).toBeCloseTo(16 / 12, 1)
    expect(normalSum / n).toBeCloseTo(0, 1)
    expect(normalSquares / n).toBeCloseTo(1, 1)
    expect(Math.abs(fourth / n - 3)).toBeLessThan(0.15)
    expect(Math.abs(new Random(3).normal(5, 0))).toBe(5)
  })

  it('draws integers evenly and shuffles every order evenly', () => {
    const random = new Random(11)
    const orders = new Map<string, number>()
    for (let i = 0; i < 60_000; i++) {
      const order = random.shuffle([0, 1, 2]).join('')
      orders.set(order, (orders.get(order) ?? 0) + 1)
    }
    expect(orders.size).toBe(6)
    for (const count of orders.values()) expect(Math.abs(count - 10_000)).toBeLessThan(500)
    expect([...random.shuffle(Uint32Array.from({ length: 100 }, (_, i) => i))].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 100 }, (_, i) => i),
    )
  })

  it('refuses what is no seed or no range', () => {
    expect(() => new Random(0.5)).toThrow('The seed must be an integer')
    expect(() => Random.derive(Number.NaN, 'a')).toThrow('The seed must be an integer')
    expect(() => new Random(0).integer(0)).toThrow('integer(n) needs n from 1 to 2^32, but n is 0')
  })
})
