/** @file Every kind of component on a hard corpus: what Python's tokenizers give, by its digest. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createDecoder } from './decoders.js'
import { Component } from './json.js'
import { createNormalizer } from './normalizers.js'
import { Pipeline } from './pipeline.js'
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
