/** @file The largest values against a sort of them all, and what top-k and top-p leave against the same. */
import { describe, expect, it } from 'vitest'
import { Random } from '../util/rng.js'
import { largest, largestPlaces } from './largest.js'
import { distribution } from './sampling.js'
import type { SamplingOptions } from './sampling-options.js'

/** Random logits, every other time of few values, so that there are ties, and in an order that is good or bad for a selection. */
function logitsOf(random: Random, round: number): Float32Array {
  const values = Float32Array.from({ length: 1 + Math.floor(random.uniform() * 3000) }, () => random.normal(0, 4))
  if (round % 2 === 1) for (let i = 0; i < values.length; i++) values[i] = Math.round(values[i]!) + 0
  if (round % 5 === 2) values.sort()
  if (round % 5 === 3) values.sort().reverse()
  if (round % 3 === 0) for (let i = 0; i < values.length; i += 3) values[i] = -Infinity
  if (values.every((value) => value === -Infinity)) values[0] = 0
  return values
}

describe('the largest values', () => {
  it('are those of a sort', () => {
    const random = new Random(5)
    for (let round = 0; round < 120; round++) {
      const values = logitsOf(random, round)
      const sorted = [...values].sort((a, b) => a - b).filter((value) => value > -Infinity)
      const places = [...values.keys()].filter((i) => values[i]! > -Infinity).sort((a, b) => values[b]! - values[a]! || a - b)
      for (const count of [1, 2, 7, 64, values.length, values.length + 3]) {
        expect([...largest(values, count)]).toEqual(sorted.slice(-count))
        expect(largestPlaces(values, count)).toEqual(places.slice(0, count))
      }
      expect(largestPlaces(values, 0)).toEqual([])
    }
    expect([...largest(Float32Array.of(-Infinity), 2)]).toEqual([])
  })
})

/** Top-k, then top-p, by a sort of the whole. */
function bySorting(logits: Float32Array, { temperature = 1, topK = Infinity, topP = 1 }: SamplingOptions): number[] {
  const descending = [...logits].sort((a, b) => b - a)
  const weight = (logit: number): number => Math.exp((logit - descending[0]!) / temperature)
  let lowest = topK < logits.length ? descending[topK - 1]! : -Infinity
  if (topP < 1) {
    const left = descending.filter((logit) => logit >= lowest && logit > -Infinity)
    const total = left.reduce((sum, logit) => sum + weight(logit), 0)
    let sum = 0
    let count = 0
    while (count < left.length && sum < topP * total) sum += weight(left[count++]!)
    lowest = left[count - 1]!
  }
  return [...logits.keys()].filter((id) => logits[id]! >= lowest)
}

it('top-k and top-p leave what a sort of the whole vocabulary leaves', () => {
  const random = new Random(8)
  const settings: SamplingOptions[] = [
    { topK: 1 },
    { topK: 40 },
    { topK: 2000 },
    { topP: 0.01 },
    { topP: 0.9 },
    // Flat: the mass lies in thousands of tokens.
    { topP: 0.95, temperature: 50 },
    { topP: 0.999999 },
    { topK: 50, topP: 0.8, temperature: 3 },
    { topK: 1500, topP: 0.99, temperature: 9 },
  ]
  for (let round = 0; round < 60; round++) {
    const logits = logitsOf(random, round)
    for (const options of settings) {
      const { ids, probabilities } = distribution(logits, options)
      expect([...ids], JSON.stringify([round, options])).toEqual(bySorting(logits, options))
      expect(Math.abs(probabilities.reduce((sum, p) => sum + p, 0) - 1)).toBeLessThan(1e-9)
    }
  }
})
