/** @file Every kind of component on a hard corpus: what Python's tokenizers give, by its digest. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createDecoder } from './decoders.js'
import { Component } from './json.js'
import { createNormalizer } from './normalizers.js'
import { Pipeline } from './pipeline.js'
import { traced, type Traced } from './traced.js'
import { createPreTokenizer } from './pre-tokenizers.js'

type Named<T> = Readonly<Record<string, T>>

interface Fixture {
  readonly charsmap: string
  readonly texts: readonly string[]
  readonly tokenLists: readonly (readonly string[])[]
  readonly normalizers: Named<unknown>
  readonly preTokenizers: Named<unknown>
  readonly decoders: Named<unknown>
  readonly tokenizers: Named<{ readonly model: Record<string, unknown> }>
  readonly answers: Named<Named<string>>
}

const raw = readFileSync(resolve(import.meta.dirname, '../../test/fixtures/tokenizer/python.json'), 'utf8')
const { charsmap } = JSON.parse(raw) as Fixture
const fixture = JSON.parse(raw.replaceAll('$CHARSMAP', charsmap)) as Fixture
const { texts, tokenLists, answers } = fixture
for (const { model } of Object.values(fixture.tokenizers))
  for (const key of ['vocab', 'merges']) {
    const same = (model[key] as { '$as in'?: string } | undefined)?.['$as in']
    if (same !== undefined) model[key] = fixture.tokenizers[same]!.model[key]
  }

const digest = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 8)

/** Answers whose digest is not Python's, with what they are the answer to. */
function differing(digests: string, inputs: readonly unknown[], answer: (i: number) => unknown): unknown[] {
  const right = digests.split(' ')
  expect(right.length).toBe(inputs.length)
  return inputs.flatMap((input, i) => {
    const got = answer(i)
    return digest(got) === right[i] ? [] : [{ input, got }]
  })
}

describe('normalizers', () => {
  it.each(Object.keys(answers['normalizers']!))('%s', (name) => {
    const normalizer = createNormalizer(Component.of(fixture.normalizers[name], name))
    expect(differing(answers['normalizers']![name]!, texts, (i) => normalizer.normalize(texts[i]!))).toEqual([])
  })
})

describe('pre-tokenizers', () => {
  it.each(Object.keys(answers['pre_tokenizers']!))('%s', (name) => {
    const preTokenizer = createPreTokenizer(Component.of(fixture.preTokenizers[name], name))
    const split = (text: string): readonly string[] =>
      text === '' ? [] : preTokenizer.split({ texts: [text], fromStart: true }).texts
    expect(differing(answers['pre_tokenizers']![name]!, texts, (i) => split(texts[i]!))).toEqual([])
  })
})

/** What each character of a traced text stands for lies in the text that it was made from. */
function expectPlaces({ text, starts, ends }: Traced, of: string): void {
  expect([starts.length, ends.length]).toEqual([text.length, text.length])
  const isWrong = starts.some((start, i) => start < 0 || start >= ends[i]! || ends[i]! > of.length)
  expect(isWrong, `${JSON.stringify(text)} of ${JSON.stringify(of)}`).toBe(false)
}

describe('texts that remember where they come from are the same texts', () => {
  it.each(Object.keys(fixture.normalizers))('normalizer %s', (name) => {
    const normalizer = createNormalizer(Component.of(fixture.normalizers[name], name))
    for (const text of texts) {
      const found = normalizer.trace(traced(text))
      expect(found.text).toBe(normalizer.normalize(text))
      expectPlaces(found, text)
    }
  })

  it.each(Object.keys(fixture.preTokenizers))('pre-tokenizer %s', (name) => {
    const preTokenizer = createPreTokenizer(Component.of(fixture.preTokenizers[name], name))
    for (const text of texts.filter((each) => each !== '')) {
      const pieces = { texts: [text], fromStart: true }
      const found = preTokenizer.trace({ ...pieces, texts: [traced(text)] })
      const { texts: split, fromStart } = preTokenizer.split(pieces)
      expect([found.texts.map((piece) => piece.text), found.fromStart]).toEqual([split, fromStart])
      for (const piece of found.texts) expectPlaces(piece, text)
    }
  })
})

describe('tokens with their places are the same tokens', () => {
  /** Where a vocabulary lacks some of the bytes, Python's library puts the unknown token behind those of later characters. */
  const outOfOrder = ['some bytes, fused True', 'some bytes, fused False']

  it.each(Object.keys(fixture.tokenizers))('%s', (name) => {
    const pipeline = new Pipeline(fixture.tokenizers[name], name)
    const attempt = (run: () => number[]): number[] | string => {
      try {
        return run()
      } catch (error) {
        return (error as Error).message
      }
    }
    const refused: string[] = []
    for (const text of texts) {
      const found = attempt(() => pipeline.placeTokens(text).map(({ id }) => id))
      if (typeof found === 'string' && found.includes('cannot be related to its characters')) refused.push(text)
      else expect(found).toEqual(attempt(() => pipeline.encode(text)))
    }
    if (outOfOrder.includes(name)) expect(refused.length).toBeLessThan(texts.length / 5)
    else expect(refused).toEqual([])
  })
})

describe('decoders', () => {
  it.each(Object.keys(answers['decoders']!))('%s', (name) => {
    const component = fixture.decoders[name]
    const decode =
      component === null ? (tokens: readonly string[]) => [tokens.join(' ')] : createDecoder(Component.of(component, name))
    expect(differing(answers['decoders']![name]!, tokenLists, (i) => decode(tokenLists[i]!).join(''))).toEqual([])
  })
})

describe('tokenizers', () => {
  it.each(Object.keys(answers['tokenizers']!))('%s', (name) => {
    const pipeline = new Pipeline(fixture.tokenizers[name], name)
    const encode = (text: string): number[] | undefined => {
      try {
        return pipeline.encode(text)
      } catch {
        return undefined
      }
    }
    const answer = (i: number): unknown => {
      const ids = encode(texts[i]!)
      if (ids === undefined) return ['error']
      const other = encode(texts.at(i - 1)!)
      const pair = other === undefined ? undefined : pipeline.process([other, ids])
      return [
        ids,
        pipeline.process([ids]).ids,
        pair === undefined ? 'error' : [pair.ids, pair.types],
        pipeline.decode(ids, false),
        pipeline.decode([...ids].reverse(), true),
      ]
    }
    expect(differing(answers['tokenizers']![name]!, texts, answer)).toEqual([])
  })
})
