/** @file When transformers' AutoTokenizer 5.18 obeys `fix_mistral_regex`, and what its words are then. */
import { expect, it } from 'vitest'
import { byteTokenizer, memoryFiles } from '../../test/support/data.js'
import { mendedPreTokenizer } from './mistral-pattern.js'
import { loadTokenizer } from './tokenizer.js'

const fix = { fix_mistral_regex: true }
const mistral = { model_type: 'mistral', transformers_version: '4.57.1' }
const words = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }

it.each([
  [fix, mistral, 131_072, true],
  [fix, { ...mistral, model_type: 'pixtral', transformers_version: '5.0.0.dev0' }, 131_072, true],
  [fix, { ...mistral, transformers_version: '5.0.0rc1' }, 131_072, true],
  [fix, { model_type: 'llama' }, 131_072, true],
  [fix, { ...mistral, model_type: 'llama' }, 131_072, false],
  [fix, { ...mistral, transformers_version: '5.0.0' }, 131_072, false],
  [fix, {}, 131_072, false],
  [fix, mistral, 100_000, false],
  [{ fix_mistral_regex: false }, mistral, 131_072, false],
  [{}, mistral, 131_072, false],
])('%j beside %j and %i tokens: %s', (config, modelConfig, size, mended) => {
  expect(mendedPreTokenizer(words, config, modelConfig, size) !== undefined).toBe(mended)
  expect(mendedPreTokenizer(null, config, modelConfig, size)).toBe(undefined)
})

it('puts the pattern in the place of the first of a sequence, or before what is there', () => {
  const types = (preTokenizer: object): unknown =>
    (mendedPreTokenizer(preTokenizer, fix, mistral, 131_072)?.['pretokenizers'] as { type: string }[]).map(({ type }) => type)
  expect(types({ type: 'Sequence', pretokenizers: [{ type: 'Digits' }, words] })).toEqual(['Split', 'ByteLevel'])
  expect(types(words)).toEqual(['Split', 'ByteLevel'])
  expect(types({ type: 'Metaspace' })).toEqual(['Split', 'ByteLevel'])
})

it('splits words where their case changes', async () => {
  const file = JSON.parse(byteTokenizer(['<s>'])) as { model: { vocab: Record<string, number>; merges: unknown } }
  const { vocab } = file.model
  for (const token of ['oW', 'lo']) vocab[token] = Object.keys(vocab).length
  for (let i = 0; i < 100_000; i++) vocab[`filler ${i}`] = 1000 + i
  file.model.merges = ['o W', 'l o']
  const load = async (config: object): Promise<readonly number[]> => {
    const files = { 'tokenizer.json': file, 'tokenizer_config.json': config, 'config.json': mistral }
    const texts = Object.entries(files).map(([name, json]) => [`m/${name}`, JSON.stringify(json)])
    return (await loadTokenizer(memoryFiles(Object.fromEntries(texts)), 'm'))!.encode('loW')
  }
  expect(await load({})).toEqual([vocab['l'], vocab['oW']])
  expect(await load(fix)).toEqual([vocab['lo'], vocab['W']])
})
