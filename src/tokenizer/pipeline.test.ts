/**
 * @file A tokenizer's components in their order: what cannot run as in Python is refused by name, streams and borders agree
 * with the whole.
 */
import { describe, expect, it, vi } from 'vitest'
import { byteTokenizer } from '../../test/support/data.js'
import { TextStream } from '../generate/text-stream.js'
import { Pattern } from './pattern/pattern.js'
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

it('refuses a run that is too long for a pattern of JavaScript, by its beginning', () => {
  expect(() => open({}).encode(`1 ${'ab'.repeat(4_500_000)}`)).toThrow(
    'the run of text that begins with " abababababababababa" is too long for the tokenizer\'s pattern',
  )
})

describe('two letters that are one where case is ignored', () => {
  const text = '1st2ﬆ3St4ST5ﬅste ß sß ſt oﬀ'
  // As tokenizers 0.23 splits it.
  it.each([
    ['(?i:st)', ['1', 'st', '2', 'ﬆ', '3', 'St', '4', 'ST', '5', 'ﬅ', 'st', 'e ß sß ', 'ſt', ' oﬀ']],
    ['(?i:s)(?i:t)', ['1', 'st', '2ﬆ3', 'St', '4', 'ST', '5ﬅ', 'st', 'e ß sß ', 'ſt', ' oﬀ']],
    ['(?i:s)t', ['1', 'st', '2ﬆ3', 'St', '4ST5ﬅ', 'st', 'e ß sß ', 'ſt', ' oﬀ']],
    ['(?i:ſt)+', ['1', 'st', '2', 'ﬆ', '3', 'St', '4', 'ST', '5', 'ﬅst', 'e ß sß ', 'ſt', ' oﬀ']],
    ['(?i)ss|off', ['1st2ﬆ3St4ST5ﬅste ', 'ß', ' s', 'ß', ' ſt ', 'oﬀ']],
  ])('%s', (pattern, pieces) => {
    expect(new Pattern(pattern).cut(text).map(({ start, end }) => text.slice(start, end))).toEqual(pieces)
  })
})

it('streams the text that decoding the whole gives', () => {
  const pipeline = open({})
  const ids = pipeline.encode('क्\u200dष 👩\u200d👧 <s>é\u0000\ufffd漢\ufeff \ud800!')
  const decoder = { decode: (some: readonly number[]) => pipeline.decode(some, true) }
  const stream = new TextStream(decoder, [], [])
  const pieces = ids.map((id) => stream.push(id))
  expect([...pieces, stream.finish()].join('')).toBe(pipeline.decode(ids, true))
})

describe('borders', () => {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }
  const added = [
    { ...flags, id: 301, content: '<a>' },
    { ...flags, id: 302, content: '<a>b', lstrip: true },
    { ...flags, id: 303, content: 'end', single_word: true },
    { ...flags, id: 304, content: '</s>', rstrip: true },
    { ...flags, id: 305, content: 'NORM', normalized: true, special: false },
  ]
  const pipeline = open({ added_tokens: added, normalizer: { type: 'Prepend', prepend: '_' } })

  it('are those of the text before each place, tokenised by itself', () => {
    const text = 'x <a>b <a>  c end ends</s>  y NORM é👩\u200d👧<a> \n</s></s>end<a>bend z'
    const places = Array.from({ length: text.length + 2 }, (_, i) => i)
    const { ids, borders } = pipeline.encodeWithBorders(text, places)
    expect(ids).toEqual(pipeline.encode(text))
    const slowly = places.map((place) => {
      const before = pipeline.encode(text.slice(0, place))
      const common = before.findIndex((id, i) => id !== ids[i])
      return { tokens: common < 0 ? before.length : common, exact: common < 0 }
    })
    expect(borders).toEqual(slowly)
    expect(borders.some(({ exact }) => !exact)).toBe(true)
  })

  it('of many turns take little more than the text itself', () => {
    const turn = '<a>what is said in a turn</s>'
    const places = Array.from({ length: 400 }, (_, i) => i * turn.length + 3)
    const encode = vi.spyOn(pipeline, 'encode')
    pipeline.encodeWithBorders(turn.repeat(400), places)
    const length = encode.mock.calls.reduce((sum, [text]) => sum + text.length, 0)
    encode.mockRestore()
    expect(length).toBeLessThan(4 * 400 * turn.length)
  })
})
