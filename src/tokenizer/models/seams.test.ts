/** @file Texts tokenised in pieces between seams, against the same texts in one piece, on random vocabularies. */
import { describe, expect, it } from 'vitest'
import { Random } from '../../util/rng.js'
import { Component } from '../json.js'
import { bpe } from './bpe.js'
import { seams } from './seams.js'

const letters = [...'abcdé▁🚂']

/** A vocabulary of letters and of random merges of what is there already; some characters of texts are in none. */
function model(random: Random, fields: Readonly<Record<string, unknown>>): ReturnType<typeof bpe> {
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`)
  const tokens = ['<unk>', ...bytes, ...letters]
  const known = [...letters]
  const merges: string[][] = []
  for (let i = 0; i < 60; i++) {
    const pair = [known[random.integer(known.length)]!, known[random.integer(known.length)]!]
    // Few tokens hold a ▁ that is not at their beginning, as in real vocabularies.
    if (pair[1]!.includes('▁') && random.integer(8) > 0) continue
    const made = pair.join('')
    if (!tokens.includes(made)) {
      tokens.push(made)
      known.push(made)
    }
    merges.push(pair)
  }
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]))
  return bpe(Component.of({ type: 'BPE', vocab, merges, unk_token: '<unk>', ...fields }, 'tokenizer.json: model'))
}

describe('seams', () => {
  it.each([{}, { fuse_unk: true }, { byte_fallback: true }, { byte_fallback: true, fuse_unk: true }])(
    'change no token of a long piece: %j',
    (fields) => {
      let cuts = 0
      for (let seed = 1; seed <= 60; seed++) {
        const cut = model(new Random(seed), fields)
        // A piece that is no token is merged whole where whole pieces are looked up first.
        const whole = model(new Random(seed), { ...fields, ignore_merges: true })
        const random = new Random(seed + 1000)
        const text = Array.from({ length: 300 }, () => [...letters, 'x', '😀'][random.integer(letters.length + 2)]!).join('')
        const [found, expected]: [number[], number[]] = [[], []]
        cut.encode(text, found)
        whole.encode(text, expected)
        expect(found).toEqual(expected)
        cuts += found.length
      }
      expect(cuts).toBeGreaterThan(1000)
    },
  )

  it('lie between characters that no token holds side by side', () => {
    const ids = new Map([...'ab▁c'].map((text, id) => [text, id]))
    // ab, ▁c, then ab with a c behind it: b and c meet, and a and ▁ do not.
    const merges = () => [[0, 1, 10], [2, 3, 11], [10, 3, 12]] as const // prettier-ignore
    const cut = seams(merges, (text) => ids.get(text))
    expect(cut('ab▁cabc▁▁a')).toEqual(['ab', '▁c', 'abc', '▁', '▁', 'a'])
    expect(cut('ab?▁c')).toEqual(['ab?▁c'])
  })
})
