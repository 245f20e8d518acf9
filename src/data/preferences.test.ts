/**
 * @file Pairs of a chosen and a rejected answer to tokens and labels by hand, in every shape of row, and rows that are
 * refused.
 */
import { describe, expect, it } from 'vitest'
import { byteTokenizer, memoryFiles } from '../../test/support/data.js'
import { preferenceEncoding, type PreferenceOptions } from './preferences.js'
import { loadTokenizer } from './tokenizer.js'

const template =
  "{% for m in messages %}{{ m['role'][0] + ':' + m['content'] + '|' }}{% endfor %}{% if add_generation_prompt %}a:{% endif %}"
const files = memoryFiles({
  'm/tokenizer.json': byteTokenizer(['<s>', '</s>']),
  'm/tokenizer_config.json': JSON.stringify({
    ...{ tokenizer_class: 'LlamaTokenizer', bos_token: '<s>', eos_token: '</s>', add_bos_token: true },
    chat_template: template,
  }),
})
const tokenizer = (await loadTokenizer(files, 'm'))!
const EOS = 257
const base = { tokenizer, vocabularySize: 258, maxPositions: 64, inputs: [] }

const encodingOf = (options: object = {}, preference: PreferenceOptions = { labels: 'completion' }) =>
  preferenceEncoding({ ...base, ...options }, preference)
const encode = (value: Record<string, unknown>, options: object = {}) =>
  encodingOf(options).encode({ value, file: 'p.jsonl', line: 3 })
/** Chosen and rejected as text, what is learned between brackets. */
const shown = (example: ReturnType<typeof encode>): string[] =>
  example.rows.map(({ input_ids, labels }) =>
    Array.from(input_ids!.values, (id, i) => {
      const text = id < 256 ? String.fromCharCode(id) : id === EOS ? '</s>' : '<s>'
      return labels!.values[i] === -100 ? text : `[${text}]`
    }).join(''),
  )
const turn = (role: string, content: string) => ({ role, content })

describe('preferences', () => {
  it('of texts: the prompt begins, the answers end', () => {
    const example = encode({ prompt: 'ab', chosen: 'x', rejected: 'yz' })
    expect(shown(example)).toEqual(['<s>ab[x][</s>]', '<s>ab[y][z][</s>]'])
    expect(example).toMatchObject({ tokens: 1, length: 6, positions: 11, truncated: false })
  })

  it("of texts that bring their prompt themselves: cut where TRL's extract_prompt cuts them", () => {
    const texts = { chosen: 'H: hi A: yo', rejected: 'H: hi A: no' }
    expect(shown(encode(texts))).toEqual(['<s>H: hi A:[ ][y][o][</s>]', '<s>H: hi A:[ ][n][o][</s>]'])
    expect(() => encode({ chosen: 'a', rejected: 'b' })).toThrow('"chosen" and "rejected" begin with different characters')
  })

  it('of dialogues: with a prompt, with turns in common, and beside a prompt as text', () => {
    const user = turn('user', 'hi')
    const [good, bad] = [turn('assistant', 'yo'), turn('assistant', 'no')]
    const expected = ['u:hi|a:[y][o][|]', 'u:hi|a:[n][o][|]']
    expect(shown(encode({ prompt: [user], chosen: [good], rejected: [bad] }))).toEqual(expected)
    expect(shown(encode({ chosen: [user, good], rejected: [user, bad] }))).toEqual(expected)
    expect(shown(encode({ prompt: 'hi', chosen: [user, good], rejected: [user, bad] }))).toEqual(expected)
  })

  it("is cut at the model's positions unless told", () => {
    const row = { prompt: 'abcd', chosen: 'x', rejected: 'xyz' }
    expect(shown(encode(row, { maxPositions: 7 }))).toEqual(shown(encode(row, { maxLength: 7 })))
    expect(encode(row, { maxPositions: 7 }).truncated).toBe(true)
  })

  it('gives tools to the template, and refuses turns that are marked as not to be learned', () => {
    const user = turn('user', 'hi')
    const [good, bad] = [turn('assistant', 'yo'), { ...turn('assistant', 'no'), weight: 0 }]
    expect(() => encode({ prompt: [user], chosen: [good], rejected: [bad] })).toThrow(
      'p.jsonl, line 3: "rejected"[0] is marked as not to be learned',
    )
    const example = encode({ prompt: 'a', chosen: 'x', rejected: 'y', label: false })
    expect(example.tokens).toBe(0)
    expect(encodingOf().emptyReason(example)).toContain('"label" is false')
  })

  it('of tokens, needing no tokenizer', () => {
    const tokens = { prompt_ids: [65], chosen_ids: [66, 67], rejected_ids: [68] }
    expect(shown(encode(tokens, { tokenizer: undefined }))).toEqual(['A[B][C]', 'A[D]'])
  })

  it.each([
    // The longer side has 9 tokens.
    [9, ['<s>abcd[x][</s>]', '<s>abcd[x][y][z][</s>]'], false],
    [7, ['bcd[x][</s>]', 'bcd[x][y][z][</s>]'], true],
    [5, ['d[x][</s>]', 'd[x][y][z][</s>]'], true],
    [3, ['d[x][</s>]', 'd[x][y]'], true],
  ])(
    'cut to %i tokens, the prompt from the left and as much on both sides, the completion last',
    (maxLength, expected, truncated) => {
      const example = encode({ prompt: 'abcd', chosen: 'x', rejected: 'xyz' }, { maxLength })
      expect(shown(example)).toEqual(expected)
      expect(example.truncated).toBe(truncated)
    },
  )

  it('answers that differ only where they are cut off teach nothing', () => {
    const row = { value: { prompt: 'a', chosen: 'xxy', rejected: 'xxz' }, file: 'p.jsonl', line: 3 }
    const encoding = encodingOf({ maxLength: 3 })
    const example = encoding.encode(row)
    expect(example.tokens).toBe(0)
    expect(encoding.emptyReason(example)).toContain('are the same')
  })

  it('learns the prompt of the chosen side too where it is asked for, weighted to a mean over tokens', () => {
    const encoding = encodingOf({}, { labels: 'all' })
    const pair = (value: Record<string, unknown>) => encoding.encode({ value, file: 'p.jsonl', line: 1 })
    const pairs = [pair({ prompt: 'ab', chosen: 'x', rejected: 'y' }), pair({ prompt: 'a', chosen: 'xyz', rejected: 'y' })]
    expect(shown(pairs[0]!)).toEqual(['[<s>][a][b][x][</s>]', '<s>ab[y][</s>]'])
    expect(pairs[0]!.rows[0]!['completion_mask']!.values).toEqual([0, 0, 0, 1, 1])
    const batch = encoding.batch(pairs.map((example) => [example]), false) // prettier-ignore
    // 4 and 5 tokens are predicted.
    expect(Array.from(batch.feeds['nll_weight']!.data as Float32Array)).toEqual([2 / 9, 0, 2 / 9, 0].map(Math.fround))
    expect(batch).toMatchObject({ tokens: 2, rows: 4, examples: 2, group: 2, lengths: [5, 5, 6, 4] })
  })

  it.each<[Record<string, unknown>, string]>([
    [{ prompt: 'a', chosen: 'b' }, 'p.jsonl, line 3: "rejected" is missing; found "prompt", "chosen"; expected {"prompt", "chosen", "rejected"}'],
    [{ chosen: 'b', rejected: null }, '"prompt" and "rejected" are missing'],
    [{ prompt: 'a', chosen: 'b', rejected: 7 }, 'p.jsonl, line 3: "rejected" must be text, found the number 7'],
    [{ prompt: [turn('user', 'a')], chosen: 'b', rejected: 'c' }, '"prompt" is a list of messages; "prompt", "chosen" and "rejected" must all be text or all be lists'],
    [{ chosen: [turn('user', 'a')], rejected: [turn('user', 'b')] }, '"chosen" and "rejected" begin with different turns'],
    [{ prompt: [], chosen: [turn('assistant', 'a')], rejected: [turn('assistant', 'b')] }, '"prompt" is an empty list'],
  ])('refuses %j', (value, message) => {
    expect(() => encode(value)).toThrow(message)
  }) // prettier-ignore
})
