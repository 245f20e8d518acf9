import { describe, expect, it } from 'vitest'
import { byteTokenizer } from '../../test/support/data.js'
import { TextStream } from '../generate/text-stream.js'
import { Pipeline } from './pipeline.js'

const file = JSON.parse(byteTokenizer(['<s>'])) as Record<string, unknown>
const model = file['model'] as Record<string, unknown>
const open = (fields: object): Pipeline => new Pipeline({ ...file, ...fields }, 'm/tokenizer.json')

describe('what cannot be run as in Python', () => {
  it.each([
    [{ normalizer: { type: 'Sequence', normalizers: [{ type: 'Magic' }] } }, 'm/tokenizer.json.normalizer.normalizers[0]: normalizer "Magic" is not supported; expected Sequence'], // prettier-ignore
    [{ pre_tokenizer: { type: 'Magic' } }, 'pre-tokenizer "Magic" is not supported'],
    [{ decoder: { type: 'Magic' } }, 'decoder "Magic" is not supported'],
    [{ post_processor: { type: 'Magic' } }, 'post-processor "Magic" is not supported'],
    [{ model: { ...model, dropout: 0.1 } }, '"dropout" makes other tokens of a text each time'],
    [{ model: { ...model, merges: ['a zz'] } }, 'merges[0] needs the token "zz"'],
    [{ normalizer: { type: 'Replace', pattern: { Regex: '(?i)ß' }, content: '' } }, 'letters such as ß'],
    [
      { normalizer: { type: 'Replace', pattern: { Regex: '\\p{Klingon}' }, content: '' } },
      '\\p{Klingon}, a property that is not known',
    ],
    [{ normalizer: { type: 'Replace', pattern: { Regex: '\\X' }, content: '' } }, '"\\X", which is not supported'],
    [{ normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAAA' } }, '"precompiled_charsmap" is damaged'],
  ])('is refused by name (%#)', (fields, message) => {
    expect(() => open(fields)).toThrow(message)
  })
})

it('takes long runs apart in one go', () => {
  const pipeline = open({ model: { ...model, vocab: { ...(model['vocab'] as object), aa: 300 }, merges: [['a', 'a']] } })
  expect(pipeline.encode('a'.repeat(200_000))).toEqual(new Array<number>(100_000).fill(300))
})

it('streams the text that decoding the whole gives', () => {
  const pipeline = open({})
  const ids = pipeline.encode('क्\u200dष 👩\u200d👧 <s>é\u0000\ufffd漢\ufeff \ud800!')
  const decoder = { decode: (some: readonly number[]) => pipeline.decode(some, true) }
  const stream = new TextStream(decoder, [], [])
  const pieces = ids.map((id) => stream.push(id))
  expect([...pieces, stream.finish()].join('')).toBe(pipeline.decode(ids, true))
})
