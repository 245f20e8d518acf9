/** @file Sampling by hand and against probabilities and frequencies; the order of its filters against that of transformers. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { resolveOptions } from '../util/option-table.js'
import { Random } from '../util/rng.js'
import { samplingOptionTable, type Sampling, type SamplingOptions } from './sampling-options.js'
import { banRepeatedNgrams, penalizeRepetition, processLogits, type TextSoFar } from './logits-processors.js'
import { argmax, distribution, nextToken } from './sampling.js'

const sampling = (options: SamplingOptions = {}): Sampling => resolveOptions(samplingOptionTable, options, 'generate')
const nothing: TextSoFar = { prompt: [], ids: [], ends: new Set() }
const logs = (...p: number[]): Float32Array => Float32Array.from(p, Math.log)

describe('sampling', () => {
  it('takes the first of the largest logits greedily', () => {
    expect(argmax(Float32Array.of(1, 3, 3, 2))).toBe(1)
    expect(nextToken(Float32Array.of(1, 3, 3, 2), nothing, sampling(), new Random(0))).toBe(1)
  })

  it('divides positive and multiplies negative logits of seen tokens, each once', () => {
    const logits = Float32Array.of(2, -2, 5, 0)
    penalizeRepetition(logits, [0, 0, 1, 3], 2)
    expect([...logits]).toEqual([1, -4, 5, 0])
    // The penalty decides a greedy choice.
    expect(nextToken(Float32Array.of(4, 3), { ...nothing, prompt: [0] }, sampling({ repetitionPenalty: 2 }), new Random(0))).toBe(
      1,
    )
  })

  it('rules out what would complete an n-gram that is there', () => {
    const left = (text: readonly number[], n: number): number[] => {
      const logits = new Float32Array(5)
      banRepeatedNgrams(logits, text, n)
      return [...logits.keys()].filter((id) => logits[id] === 0)
    }
    expect(left([0, 1, 2, 0, 1], 3)).toEqual([0, 1, 3, 4])
    expect(left([0, 1, 2, 0, 1, 3, 0, 1], 3)).toEqual([0, 1, 4])
    expect(left([0, 1, 2, 0, 1], 4)).toEqual([0, 1, 2, 3, 4])
    expect(left([0, 1, 1], 1)).toEqual([2, 3, 4])
    expect(left([2, 2], 2)).toEqual([0, 1, 3, 4])
    expect(left([], 1)).toEqual([0, 1, 2, 3, 4])
    expect(left([2], 2)).toEqual([0, 1, 2, 3, 4])
  })

  it('takes from the logits of generated tokens what OpenAI defines, and not from those of the prompt', () => {
    const ids = [1, 3, 1, 1]
    const options = sampling({ presencePenalty: 0.5, frequencyPenalty: 0.25 })
    const logits = Float32Array.of(1, 2, 3, -4)
    processLogits(logits, { prompt: [0, 0, 2], ids, ends: new Set() }, options)
    // mu[j] - c[j] * frequency - (c[j] > 0) * presence
    expect([...logits]).toEqual([1, 2 - 3 * 0.25 - 0.5, 3, -4 - 0.25 - 0.5])
    const raised = Float32Array.of(0, 0)
    processLogits(raised, { ...nothing, ids: [1] }, sampling({ presencePenalty: -2 }))
    expect([...raised]).toEqual([0, 2])
  })

  it('keeps what is as likely as a share of the likeliest, of what top-p left', () => {
    const p = logs(0.5, 0.3, 0.15, 0.05)
    expect([...distribution(p, { minP: 0.29 }).ids]).toEqual([0, 1, 2])
    expect([...distribution(p, { minP: 0.31 }).ids]).toEqual([0, 1])
    expect([...distribution(p, { minP: 0.29, topP: 0.8 }).ids]).toEqual([0, 1])
    // A temperature flattens before the share is taken: (0.05 / 0.5) ** (1 / 2) is 0.316.
    expect([...distribution(p, { minP: 0.31, temperature: 2 }).ids]).toEqual([0, 1, 2, 3])
    expect([...distribution(p, { minP: 0 }).ids]).toEqual([0, 1, 2, 3])
  })

  it('rules out ends before the least number of tokens, and says so if nothing is left', () => {
    const before = { prompt: [7, 7, 7], ids: [1], ends: new Set([0, 2]) }
    const next = (options: SamplingOptions) => nextToken(Float32Array.of(3, 1, 2), before, sampling(options), new Random(0))
    expect(next({ minNewTokens: 1 })).toBe(0)
    expect(next({ minNewTokens: 2 })).toBe(1)
    expect(() => next({ minNewTokens: 2, noRepeatNgramSize: 1 })).toThrow(
      /no token may follow the 4 so far: noRepeatNgramSize 1 and minNewTokens 2 rule out all 3/,
    )
  })

  it('sharpens and flattens by temperature', () => {
    const half = distribution(logs(0.8, 0.2), { temperature: 0.5 })
    expect([...half.ids]).toEqual([0, 1])
    expect(half.probabilities[0]).toBeCloseTo(0.64 / 0.68, 6)
    expect(distribution(logs(0.8, 0.2), { temperature: 2 }).probabilities[0]).toBeCloseTo(2 / 3, 6)
  })

  it('keeps the k likeliest, and the smallest set that reaches p, the crossing token included', () => {
    const p = logs(0.1, 0.5, 0.25, 0.15)
    const two = distribution(p, { topK: 2 })
    expect([...two.ids]).toEqual([1, 2])
    two.probabilities.forEach((probability, i) => expect(probability).toBeCloseTo([2 / 3, 1 / 3][i]!, 6))
    expect([...distribution(p, { topP: 0.5 }).ids]).toEqual([1])
    expect([...distribution(p, { topP: 0.51 }).ids]).toEqual([1, 2])
    expect([...distribution(p, { topP: 1e-9 }).ids]).toEqual([1])
    expect([...distribution(p, { topP: 1, topK: 100 }).ids]).toEqual([0, 1, 2, 3])
    // top-p acts on what top-k left: 0.5 and 0.25 of 0.75.
    expect([...distribution(p, { topK: 2, topP: 0.66 }).ids]).toEqual([1])
    // Equals stay together.
    expect([...distribution(logs(0.1, 0.3, 0.3, 0.3), { topK: 2 }).ids]).toEqual([1, 2, 3])
  })

  it('keeps all where rounding leaves nothing to reach a share of nearly 1 with', () => {
    const logits = Float32Array.of(0.07, 0.27, 0.08, 0.11)
    expect(distribution(logits, { topP: 1 - 2 ** -53 }).ids).toHaveLength(logits.length)
  })

  it('never draws what minus infinity rules out', () => {
    const random = new Random(1)
    const draws = Array.from({ length: 200 }, () =>
      nextToken(Float32Array.of(-Infinity, 1, 1), nothing, sampling({ temperature: 1 }), random),
    )
    expect(new Set(draws)).toEqual(new Set([1, 2]))
  })

  it('draws with the given probabilities, and the same tokens for the same seed', () => {
    const draw = (seed: number): number[] => {
      const random = new Random(seed)
      return Array.from({ length: 20000 }, () => nextToken(logs(0.2, 0.5, 0.3), nothing, sampling({ temperature: 1 }), random))
    }
    const tokens = draw(7)
    const share = [0, 1, 2].map((id) => tokens.filter((t) => t === id).length / tokens.length)
    ;[0.2, 0.5, 0.3].forEach((p, i) => expect(Math.abs(share[i]! - p)).toBeLessThan(0.015))
    expect(draw(7)).toEqual(tokens)
    expect(draw(8)).not.toEqual(tokens)
  })

  it('refuses NaN and options out of range', () => {
    expect(() => nextToken(Float32Array.of(0, NaN), nothing, sampling(), new Random(0))).toThrow(
      'the model gives NaN (logit of token 1)',
    )
    expect(() => nextToken(Float32Array.of(0, 1, Infinity), nothing, sampling(), new Random(0))).toThrow(
      'the model gives Infinity (logit of token 2)',
    )
    expect(() => sampling({ temperature: -1 })).toThrow('temperature must be a finite number of at least 0, got -1')
    expect(() => sampling({ topK: 0 })).toThrow('topK must be a whole number of at least 1, got 0')
    expect(() => sampling({ topP: 1.5 })).toThrow('topP must be above 0 and at most 1, got 1.5')
    expect(() => sampling({ minP: 1.1 })).toThrow('minP must be from 0 to 1, got 1.1')
    expect(() => sampling({ presencePenalty: NaN })).toThrow('presencePenalty must be a finite number, got NaN')
    for (const logitBias of [{ x: 1 }, { '-1': 1 }, { 5: Infinity }, [1]])
      expect(() => sampling({ logitBias: logitBias as Record<number, number> })).toThrow(
        'logitBias must give finite numbers by token id',
      )
    expect(() => sampling({ repetitionPenalty: 0 })).toThrow('repetitionPenalty must be above 0, got 0')
  })
})

interface Case {
  readonly options: SamplingOptions
  readonly logits: readonly number[]
  readonly seen: readonly number[]
  readonly probabilities: Readonly<Record<string, number>>
}
const cases = JSON.parse(readFileSync('test/fixtures/generate/sampling.json', 'utf8')) as Case[]

describe('sampling as transformers does', () => {
  it.each(cases.map((c) => [JSON.stringify(c.options), c] as const))('%s', (_, { options, logits, seen, probabilities }) => {
    const values = Float32Array.from(logits)
    processLogits(values, { ...nothing, prompt: seen }, sampling(options))
    const ours = distribution(values, options)
    expect(Array.from(ours.ids, String)).toEqual(Object.keys(probabilities))
    Object.values(probabilities).forEach((p, i) => expect(Math.abs(ours.probabilities[i]! - p)).toBeLessThan(1e-6))
  })
})
