/** @file METEOR's aligner on matches given by hand: what it prefers, and the habits that scores depend on. */
import { describe, expect, it } from 'vitest'
import { align } from './align.js'
import type { Match } from './matches.js'
import type { MeteorModule } from './modules.js'

/** A match of single words, or of phrases of a length. */
const match = (module: MeteorModule, hypothesisStart: number, referenceStart: number, length = 1): Match => ({
  module,
  hypothesisStart,
  hypothesisLength: length,
  referenceStart,
  referenceLength: length,
})

/** The matches that are chosen, as `hypothesis-reference`. */
function chosen(matches: readonly Match[], hypothesisLength: number, referenceLength: number): [string, number] {
  const starting = Array.from({ length: referenceLength }, (_, position) =>
    matches.filter(({ referenceStart }) => referenceStart === position),
  )
  const alignment = align(starting, hypothesisLength)
  return [alignment.matches.map((m) => `${m.hypothesisStart}-${m.referenceStart}`).join(' '), alignment.chunks]
}

describe('the aligner', () => {
  it('prefers more words, then fewer chunks, then shorter ways', () => {
    // a b a | b a: the second a goes on behind the b, the first would be a chunk of its own.
    expect(chosen([match('exact', 1, 0), match('exact', 0, 1), match('exact', 2, 1)], 3, 2)).toEqual(['1-0 2-1', 1])
    // a b a | a: both are one word in one chunk; the first is tried first.
    expect(chosen([match('exact', 0, 0), match('exact', 2, 0)], 3, 1)).toEqual(['0-0', 1])
    // a b | a a b: the a before the b makes one chunk of both.
    expect(chosen([match('exact', 0, 0), match('exact', 0, 1), match('exact', 1, 2)], 2, 3)).toEqual(['0-1 1-2', 1])
  })

  it('finds a phrase worth more than the words within it', () => {
    const matches = [match('stem', 0, 0), match('paraphrase', 0, 0, 3)]
    expect(chosen(matches, 3, 3)).toEqual(['0-0', 1])
    const alignment = align([matches, [], []], 3)
    expect(alignment.matches[0]!.module).toBe('paraphrase')
  })

  it('counts a word that is not exact as nothing: fewer chunks go before it', () => {
    // a b x c, where x may be a stem of the second word of d b' a c … : taking it would break nothing but add a chunk.
    const exact = [match('exact', 0, 1), match('exact', 1, 2)]
    const stems = [match('stem', 3, 0), match('stem', 2, 0)]
    expect(chosen([...exact, ...stems], 4, 3)).toEqual(['0-1 1-2', 1])
    // An exact one is worth a chunk.
    expect(chosen([...exact, match('exact', 3, 0), match('exact', 2, 0)], 4, 3)).toEqual(['3-0 0-1 1-2', 2])
  })

  it('takes what is certain, even where it is worth nothing', () => {
    expect(chosen([match('exact', 0, 1), match('exact', 1, 2), match('stem', 3, 0)], 4, 3)).toEqual(['3-0 0-1 1-2', 2])
  })

  it('adds the distance of a match to the paths that are made after it', () => {
    // The nearer of two that are equal otherwise is the later one; its distance already has that of the first.
    expect(chosen([match('exact', 0, 3), match('exact', 4, 3)], 5, 4)).toEqual(['0-3', 1])
  })

  it('uses no word of the hypothesis twice, beyond the 32nd too', () => {
    for (const first of [0, 31, 32, 40]) {
      const both = [match('exact', first, 0), match('exact', first, 1)]
      expect(chosen(both, 64, 2)[0].split(' ')).toHaveLength(1)
    }
  })

  it('ends with texts of thousands of words', () => {
    const length = 2000
    const matches = Array.from({ length }, (_, i) => [match('exact', i, i), match('exact', (i + 7) % length, i)]).flat()
    const [words, chunks] = chosen(matches, length, length)
    expect(words.split(' ')).toHaveLength(length)
    expect(chunks).toBe(1)
  })
})
