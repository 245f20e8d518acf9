/** @file GPT-2's tokenizer from the files that OpenAI published: transformers' tokens, and what is said of damaged ones. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { inspectData, loadTokenizer } from '../src/index.js'
import { InvalidDataError } from '../src/errors.js'
import { loadTokenizer as loadFrom } from '../src/data/tokenizer.js'
import { memoryFiles } from './support/data.js'

const folder = '../shared/data/gpt2-bpe'

// The files are OpenAI's and stay where they are.
describe.skipIf(!existsSync(folder))("GPT-2's encoder.json and vocab.bpe", () => {
  it("give the tokens of transformers' GPT2Tokenizer", async () => {
    const { rows, special } = JSON.parse(readFileSync('test/fixtures/tokenizer/gpt2.json', 'utf8')) as {
      rows: { text: string; ids: number[] }[]
      special: { bos: number; eos: number; unk: number }
    }
    const tokenizer = await loadTokenizer(folder)
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.unkTokenId]).toEqual([special.bos, special.eos, special.unk])
    for (const { text, ids } of rows) {
      expect(tokenizer.encode(text), text).toEqual(ids)
      expect(tokenizer.decode(ids)).toBe(text)
    }
  })

  it('are a model of which rows can be looked at', async () => {
    const { data } = await inspectData(folder, [{ prompt: 'a pub', completion: ' The pub.' }])
    expect(data).toMatchObject({ rows: 1 })
  })

  it('are both needed', async () => {
    const half = mkdtempSync(join(tmpdir(), 'lowrank-gpt2-'))
    try {
      cpSync(join(folder, 'encoder.json'), join(half, 'encoder.json'))
      await expect(loadTokenizer(half)).rejects.toThrow(/has encoder\.json but no vocab\.bpe/)
    } finally {
      rmSync(half, { recursive: true })
    }
  })
})

describe('vocabulary and merges of our own', () => {
  const vocabulary = JSON.stringify(
    Object.fromEntries(['a', 'b', 'ab', 'Ġ', 'Ġa', '<|endoftext|>'].map((token, id) => [token, id])),
  )
  const load = (files: Readonly<Record<string, string>>) =>
    loadFrom(memoryFiles(Object.fromEntries(Object.entries(files).map(([name, text]) => [`m/${name}`, text]))), 'm')

  it('are a tokenizer without a class if they have the names of GPT-2, and with one that is known if others', async () => {
    const merges = '#version: 0.2\na b\nĠ a\n'
    expect((await load({ 'encoder.json': vocabulary, 'vocab.bpe': merges }))!.encode('ab a')).toEqual([2, 4])
    const named = { 'vocab.json': vocabulary, 'merges.txt': merges }
    expect(await load(named)).toBeUndefined()
    expect(await load({ ...named, 'tokenizer_config.json': '{"tokenizer_class":"CLIPTokenizer"}' })).toBeUndefined()
    expect((await load({ ...named, 'config.json': '{"model_type":"gpt2"}' }))!.encode('ab a')).toEqual([2, 4])
    // RoBERTa numbers GPT-2's tokens in its own way.
    expect(
      await load({ 'encoder.json': vocabulary, 'vocab.bpe': merges, 'config.json': '{"model_type":"roberta"}' }),
    ).toBeUndefined()
  })

  it('are refused where they are damaged, by file and line', async () => {
    const loading = load({ 'encoder.json': vocabulary, 'vocab.bpe': '#version: 0.2\na b\nĠ\n' })
    await expect(loading).rejects.toThrow(InvalidDataError)
    await expect(loading).rejects.toThrow(/m\/vocab\.bpe, line 3: expected two tokens with a blank between them, found "Ġ"/)
    await expect(load({ 'encoder.json': '{"a":"b"}', 'vocab.bpe': 'a b\n' })).rejects.toThrow(/m\/encoder\.json/)
    await expect(load({ 'vocab.bpe': 'a b\n' })).rejects.toThrow(/has vocab\.bpe but no encoder\.json/)
  })
})
