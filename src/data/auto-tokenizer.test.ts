/** @file Folders of the main tokenizer classes: the ids and texts of transformers' AutoTokenizer, by their digests. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { memoryFiles } from '../../test/support/data.js'
import { loadTokenizer } from './tokenizer.js'

interface Folder {
  readonly base: string
  readonly changes: object
  readonly files: Readonly<Record<string, unknown>>
  readonly special: readonly (number | null)[]
  readonly answers: string
  /** Whether there is no tokenizer.json, but its vocabulary and merges. */
  readonly vocabulary?: true
}

const fixtures = resolve(import.meta.dirname, '../../test/fixtures/tokenizer')
const read = (name: string): string => readFileSync(resolve(fixtures, name), 'utf8')
const raw = read('python.json')
const python = JSON.parse(raw.replaceAll('$CHARSMAP', (JSON.parse(raw) as { charsmap: string }).charsmap)) as {
  texts: string[]
  tokenizers: Record<string, { model: Record<string, unknown> }>
}
for (const { model } of Object.values(python.tokenizers))
  for (const key of ['vocab', 'merges']) {
    const same = (model[key] as { '$as in'?: string } | undefined)?.['$as in']
    if (same !== undefined) model[key] = python.tokenizers[same]!.model[key]
  }
const { folders } = JSON.parse(read('auto.json')) as { folders: Record<string, Folder> }
const texts = python.texts.slice(0, 100)
const digest = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 8)

describe('AutoTokenizer', () => {
  it.each(Object.keys(folders))('%s', async (name) => {
    const { base, changes, files, special, answers, vocabulary } = folders[name]!
    const { vocab, merges } = python.tokenizers[base]!.model as { vocab: object; merges?: (string | string[])[] }
    const own: Record<string, unknown> = vocabulary
      ? {
          'vocab.json': vocab,
          'merges.txt': ['#version: 0.2', ...merges!.map((merge) => [merge].flat().join(' ')), ''].join('\n'),
        }
      : { 'tokenizer.json': { ...python.tokenizers[base], ...changes } }
    const contents = Object.entries({ ...own, ...files }).map(([file, content]) => [
      `m/${file}`,
      typeof content === 'string' ? content : JSON.stringify(content),
    ])
    const tokenizer = await loadTokenizer(memoryFiles(Object.fromEntries(contents)), 'm')
    if (tokenizer === undefined) throw new Error('no tokenizer')
    const { bosTokenId, eosTokenId, unkTokenId } = tokenizer
    expect([bosTokenId ?? null, eosTokenId ?? null, unkTokenId ?? null]).toEqual([special[0], special[1], special[3]])
    const right = answers.split(' ')
    const differing = texts.flatMap((text, i) => {
      const other = texts.at(i - 1)!
      const ids = tokenizer.encode(text, { addSpecialTokens: false })
      const got = [
        ids,
        tokenizer.encode(text),
        tokenizer.encodeTexts([other, text || 'x']).ids,
        tokenizer.encodeTexts([other, text || 'x'], 15).ids,
        tokenizer.decode(ids),
        tokenizer.decode([...ids].reverse(), { skipSpecialTokens: true }),
      ]
      return digest(got) === right[i] ? [] : [{ i, text, got }]
    })
    expect(differing).toEqual([])
  })
})
