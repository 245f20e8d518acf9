/** @file Hidden tokens: how many are chosen, what they become, and that a row without one has one all the same. */
import { describe, expect, it } from 'vitest'
import { Random } from '../util/rng.js'
import { maskTokens } from './mask-tokens.js'

const options = { probability: 0.15, maskTokenId: 4, vocabularySize: 1000 }

it('chooses 15 % of the candidates; 80 % of those become the mask token, 10 % any other, 10 % stay', () => {
  const ids = Array.from({ length: 100_000 }, () => 999)
  const { ids: hidden, labels, chosen } = maskTokens(ids, [...ids.keys()].slice(1), options, new Random(3))
  const places = labels.flatMap((label, i) => (label === -100 ? [] : [i]))
  expect(places.length).toBe(chosen)
  expect(places).not.toContain(0)
  expect(new Set(places.map((i) => labels[i]))).toEqual(new Set([999]))
  const share = (test: (id: number) => boolean): number => places.filter((i) => test(hidden[i]!)).length / chosen
  // Three standard deviations of counts like these: 0.34 % of the tokens, 1.3 % and 0.75 % of the chosen ones.
  expect(Math.abs(chosen / 99_999 - 0.15)).toBeLessThan(0.0034)
  expect(Math.abs(share((id) => id === 4) - 0.8)).toBeLessThan(0.013)
  expect(Math.abs(share((id) => id !== 4 && id !== 999) - 0.1)).toBeLessThan(0.0075)
  expect(new Set(hidden.filter((id) => id !== 999)).size).toBeGreaterThan(700)
  expect(hidden.every((id, i) => id === 999 || labels[i] === 999)).toBe(true)
})

describe('one at least', () => {
  it('of a row in which chance chooses none, any of its candidates', () => {
    const found = new Set<number>()
    for (let seed = 0; seed < 50; seed++) {
      const { labels, chosen } = maskTokens([2, 10, 11, 3], [1, 2], { ...options, probability: 1e-9 }, new Random(seed))
      expect(chosen).toBe(1)
      found.add(labels.findIndex((label) => label !== -100))
    }
    expect([...found].sort()).toEqual([1, 2])
  })

  it('all of them with a probability of 1', () => {
    expect(maskTokens([2, 10, 11, 3], [1, 2], { ...options, probability: 1 }, new Random(1)).labels).toEqual([-100, 10, 11, -100])
  })
})
