/** @file Rotary angles of every kind against the frequencies, cosines and sines of transformers. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ConfigReader, type Json } from './config-reader.js'
import { readRope, ropeTables } from './rope.js'

interface RopeCase {
  readonly config: Record<string, Json>
  readonly inverse_frequencies: readonly number[]
  readonly scaling: number
  readonly cos: readonly number[]
  readonly sin: readonly number[]
}

const fixture = JSON.parse(readFileSync('test/fixtures/models/rope.json', 'utf8')) as {
  readonly positions: readonly number[]
  readonly cases: Readonly<Record<string, RopeCase>>
}

const read = (json: Record<string, Json>, headDim = 8): ReturnType<typeof readRope> =>
  readRope(new ConfigReader({ max_position_embeddings: 2048, ...json }, 'config.json'), headDim)

describe.each(Object.entries(fixture.cases))('rope %s', (_, reference) => {
  const rope = read(reference.config, reference.inverse_frequencies.length * 2)

  it('has the frequencies and the attention factor of transformers', () => {
    expect(rope.scaling).toBeCloseTo(reference.scaling, 12)
    rope.inverseFrequencies.forEach((f, i) => {
      // Two units in the last place of float32: pow() of two libraries differs by that.
      expect(Math.abs(f / reference.inverse_frequencies[i]! - 1)).toBeLessThan(3e-7)
    })
  })

  it('has its cosines and sines', () => {
    const half = rope.rotaryDim / 2
    const tables = ropeTables(rope, 1001)
    fixture.positions.forEach((position, p) => {
      for (let i = 0; i < half; i++) {
        // An angle of 1,000 radians carries a rounding of 6e-5 in float32.
        const tolerance = 1e-6 + position * 3e-7
        expect(Math.abs(tables.cos[position * half + i]! - reference.cos[p * half + i]!)).toBeLessThan(tolerance)
        expect(Math.abs(tables.sin[position * half + i]! - reference.sin[p * half + i]!)).toBeLessThan(tolerance)
      }
    })
  })
})

describe('readRope', () => {
  it('knows how far each kind reaches', () => {
    expect(read({}).maxPositions).toBe(2048)
    expect(read({ rope_scaling: { type: 'linear', factor: 4 } }).maxPositions).toBe(8192)
    expect(read({ rope_scaling: { type: 'dynamic', factor: 4 } }).maxPositions).toBe(2048)
    expect(read({ rope_scaling: { type: 'yarn', factor: 4, original_max_position_embeddings: 2048 } }).maxPositions).toBe(8192)
    expect(
      read({ max_position_embeddings: 8192, rope_scaling: { type: 'yarn', factor: 4, original_max_position_embeddings: 2048 } })
        .maxPositions,
    ).toBe(8192)
  })

  it('rotates a part of the head where the config says so', () => {
    expect(read({ partial_rotary_factor: 0.5 }).rotaryDim).toBe(4)
  })

  it('refuses what it does not know', () => {
    expect(() => read({ rope_scaling: { type: 'proportional' } })).toThrow(
      'config.json: rope_scaling: rope type "proportional" is not supported; known are default, dynamic, linear, llama3, yarn, longrope',
    )
    expect(() => read({ rope_scaling: { type: 'longrope', short_factor: [1], long_factor: [2] } })).toThrow(
      'config.json: rope_scaling: "short_factor" must be a list of 4 numbers, one for each pair of rotated features, got 1',
    )
    expect(() => read({ rope_scaling: { type: 'longrope', short_factor: [1, 1, 1, 1] } })).toThrow(
      '"long_factor" must be a list of 4 numbers, one for each pair of rotated features, got none',
    )
    expect(() => read({ rope_parameters: { full_attention: { rope_type: 'default' } } })).toThrow(
      'per kind of layer ("full_attention")',
    )
    expect(() => read({ rope_scaling: { type: 'linear' } })).toThrow('key "factor" is missing')
    expect(() => read({}, 7)).toThrow("even number of features up to the head's 7, got 7")
  })
})
