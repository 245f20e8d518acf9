/** @file Texts and pairs of texts against Python's tokenizers, special tokens, types and cuts. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { memoryFiles } from '../../test/support/data.js'
import { longestFirst, readSurroundings, surround } from './text-pairs.js'
import { loadTokenizer, type Tokenizer } from './tokenizer.js'

interface Encoded {
  readonly texts: readonly [string] | readonly [string, string]
  readonly maxLength: number | null
  readonly ids: readonly number[]
  readonly types: readonly number[]
}
interface Known {
  readonly json: object
  readonly rows: readonly Encoded[]
  readonly words: { readonly words: string[]; readonly ids: number[]; readonly owners: number[] }
}
const fixture = resolve(import.meta.dirname, '../../test/fixtures/data/tokenizers.json')
const { tokenizers } = JSON.parse(readFileSync(fixture, 'utf8')) as { tokenizers: Record<string, Known> }

const open = async (name: string, config: object = {}): Promise<Tokenizer> => {
  const files = { 'm/tokenizer.json': JSON.stringify(tokenizers[name]!.json), 'm/tokenizer_config.json': JSON.stringify(config) }
  return (await loadTokenizer(memoryFiles(files), 'm'))!
}

describe.each(['bert', 'roberta'])('%s', (name) => {
  const known = tokenizers[name]!

  it.each(known.rows.map((row) => [JSON.stringify(row.texts), row.maxLength, row] as const))(
    '%s cut to %s',
    async (_texts, maxLength, { texts, ids, types }) => {
      const found = (await open(name)).encodeTexts(texts, maxLength ?? undefined)
      expect(found.ids).toEqual(ids)
      expect(found.typeIds).toEqual(types)
      expect(found.truncated).toBe(maxLength !== null && ids.length < (await open(name)).encodeTexts(texts).ids.length)
    },
  )

  it('words keep their numbers', async () => {
    const { words, ids, owners } = known.words
    const found = (await open(name)).encodeWords(words)
    expect([found.ids, found.words]).toEqual([ids, owners])
    expect((await open(name)).encodeWords(words, ids.length - 1).words).toEqual([...owners.slice(0, -2), -1])
  })
})

it('a tokenizer whose model takes no types gives none', async () => {
  const tokenizer = await open('bert', { model_input_names: ['input_ids', 'attention_mask'] })
  expect(new Set(tokenizer.encodeTexts(['the cat', 'the dog']).typeIds)).toEqual(new Set([0]))
})

it.each([
  [3, 3, 6, [3, 3]],
  [9, 2, 6, [4, 2]],
  [2, 9, 6, [2, 4]],
  [9, 9, 7, [3, 4]],
  [10, 9, 7, [4, 3]],
  [5, 5, 0, [0, 0]],
] as const)('longest first: %i and %i into %i', (first, second, room, expected) => {
  expect(longestFirst(first, second, room)).toEqual(expected)
})

it('texts that the surroundings swallow are found out', () => {
  expect(readSurroundings([{ id: 1, type: 0 }], [[2]])).toBeUndefined()
  const around = readSurroundings(
    [9, 1, 8, 2, 7].map((id, i) => ({ id, type: Number(i > 2) })),
    [[1], [2]],
  )!
  expect(surround([[4, 4], [5]], around)).toEqual({ ids: [9, 4, 4, 8, 5, 7], typeIds: [0, 0, 0, 0, 1, 1], truncated: false })
})
