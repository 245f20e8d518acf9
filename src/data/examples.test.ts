/**
 * @file Rows to tokens and labels by hand: what is learned of each shape of row, where it is cut, and rows that are refused.
 */
import { describe, expect, it } from 'vitest'
import { encodeRow, type ExampleOptions } from './examples.js'
import { causalLmEncoding } from './encoding.js'
import { byteTokenizer, memoryFiles } from '../../test/support/data.js'
import { loadTokenizer } from './tokenizer.js'

const config = { tokenizer_class: 'LlamaTokenizer', bos_token: '<s>', eos_token: '</s>', add_bos_token: true }
const files = memoryFiles({
  'm/tokenizer.json': byteTokenizer(['<s>', '</s>']),
  'm/tokenizer_config.json': JSON.stringify(config),
})
const tokenizer = await loadTokenizer(files, 'm')
if (tokenizer === undefined) throw new Error('no tokenizer')
const options: ExampleOptions = { tokenizer, vocabularySize: 258, maxPositions: 64 }
const encode = (value: Record<string, unknown>, changes: Partial<ExampleOptions> = {}) =>
  encodeRow({ value, file: 'd.jsonl', line: 3 }, { ...options, ...changes })
const BOS = 256
const EOS = 257
const _ = -100

describe('encodeRow', () => {
  it('learns all of a text, with the end of text once', () => {
    expect(encode({ text: 'ab' })).toEqual({
      inputIds: [BOS, 97, 98, EOS],
      attentionMask: [1, 1, 1, 1],
      labels: [BOS, 97, 98, EOS],
      tokens: 3,
      truncated: false,
    })
    expect(encode({ text: 'ab</s>' }).inputIds).toEqual([BOS, 97, 98, EOS])
  })

  it('learns the completion and the end of text, not the prompt', () => {
    const example = encode({ prompt: 'a\n', completion: 'bc' })
    expect(example.inputIds).toEqual([BOS, 97, 10, 98, 99, EOS])
    expect(example.labels).toEqual([_, _, _, 98, 99, EOS])
    expect(example.tokens).toBe(3)
  })

  it.each([
    ['text', { text: 'a zebra' }],
    ['completion', { prompt: 'a', completion: 'zebra' }],
  ])('names the row whose text cannot be tokenised: %s', async (_name, value) => {
    const model = { type: 'WordLevel', vocab: { a: 0 }, unk_token: '[UNK]' }
    const json = { version: '1.0', added_tokens: [], pre_tokenizer: { type: 'Whitespace' }, model }
    const words = await loadTokenizer(memoryFiles({ 'w/tokenizer.json': JSON.stringify(json) }), 'w')
    expect(() => encode(value, { tokenizer: words! })).toThrow(
      /^d\.jsonl, line 3: w\/tokenizer\.json.*"zebra" is not in the vocabulary/,
    )
  })

  it('learns the end alone of an empty completion', () => {
    expect(encode({ prompt: 'a', completion: '' }).labels).toEqual([_, _, EOS])
  })

  it('takes tokenised rows as they are, without the padding at their end', () => {
    expect(encode({ input_ids: [5, 6, 7, 0, 0], attention_mask: [1, 1, 1, 0, 0] })).toMatchObject({
      inputIds: [5, 6, 7],
      labels: [5, 6, 7],
      tokens: 2,
    })
    expect(encode({ input_ids: [0, 6, 7], attention_mask: [0, 1, 1] })).toMatchObject({
      inputIds: [0, 6, 7],
      attentionMask: [0, 1, 1],
      labels: [_, 6, 7],
    })
    expect(encode({ input_ids: [5, 6, 7], labels: [_, 9, _] })).toMatchObject({ labels: [_, 9, _], tokens: 1 })
  })

  it('cuts the end off and says so', () => {
    expect(encode({ prompt: 'abc', completion: 'defg' }, { maxLength: 6 })).toMatchObject({
      inputIds: [BOS, 97, 98, 99, 100, 101],
      labels: [_, _, _, _, 100, 101],
      tokens: 2,
      truncated: true,
    })
    expect(encode({ prompt: 'abcdef', completion: 'g' }, { maxLength: 6 }).tokens).toBe(0)
  })

  it("cuts at the model's positions unless told, and nowhere where there is no limit", () => {
    expect(encode({ text: 'x'.repeat(80) })).toMatchObject({ truncated: true, tokens: 63 })
    expect(encode({ input_ids: new Array<number>(70).fill(5) }).inputIds).toHaveLength(64)
    expect(encode({ text: 'x'.repeat(80) }, { maxPositions: 0 })).toMatchObject({ truncated: false, tokens: 81 })
  })

  it('obeys the masks and the positions of a tokenised row', () => {
    const row = { input_ids: [5, 6, 7, 8], attention_mask: [0, 1, 1, 1] }
    expect(encode({ ...row, completion_mask: [0, 0, 1, 1] }).labels).toEqual([_, _, 7, 8])
    expect(encode({ ...row, assistant_masks: [1, 1, 0, 1], loss_mask: [1, 1, 1, 0] }).labels).toEqual([_, 6, _, _])
    expect(encode({ ...row, labels: [_, 1, 2, 3], completion_mask: [0, 0, 0, 1] }).labels).toEqual([_, _, _, 3])
    expect(() => encode({ ...row, completion_mask: [1] })).toThrow('"completion_mask" holds 1 numbers and "input_ids" 4')
    // The padding before the tokens counts no positions, as in transformers.
    expect(encode({ ...row, position_ids: [1, 0, 1, 2] })).toMatchObject({ positionIds: [1, 0, 1, 2], tokens: 3 })
    expect(encode({ ...row, position_ids: [1, 0, 1, 2] }, { maxLength: 3 }).positionIds).toEqual([1, 0, 1])
    expect(() => encode({ input_ids: [5, 6, 7], position_ids: [0, 1, 0] })).toThrow(
      '"position_ids"[2] is 0 after 1: several texts share the row',
    )
    expect(() => encode({ input_ids: [5, 6, 7], position_ids: [0, 1, 64] })).toThrow('the model has 64 positions, 0 to 63')
  })

  it.each([
    [{ prompt: 'a', completion: 'b', label: false }, '"label" is false, which says that it is not to be learned'],
    [{ prompt: 'a', completion: 'b', label: 'False' }, '"label" is "False"'],
    [{ instruction: 'a', output: 'b', weight: 0 }, '"weight" is 0'],
    [{ text: 'ab', train: false }, '"train" is false'],
    [{ input_ids: [5, 6], label: 0 }, '"label" is 0'],
  ])('learns nothing of %j', (value, reason) => {
    const example = encode(value)
    expect(example.tokens).toBe(0)
    expect(causalLmEncoding(options).emptyReason(example)).toContain(reason)
  })

  it('learns rows that say they are to be learned, or nothing about it', () => {
    for (const more of [
      { label: true },
      { label: 1, weight: 1.0 },
      { label: 'True' },
      { label: 'greeting' },
      { weight: '70 kg' },
    ])
      expect(encode({ prompt: 'a', completion: 'b', ...more }).tokens).toBe(2)
    expect(() => encode({ prompt: 'a', completion: 'b', weight: 0.5 })).toThrow(
      'd.jsonl, line 3: "weight" is the number 0.5; a row is learned or not: expected true or false, 1 or 0',
    )
    expect(() => encode({ prompt: 'a', completion: 'b', label: -1 })).toThrow('"label" is the number -1')
  })

  it.each([
    [
      { text: 'a' },
      { vocabularySize: 256 },
      "d.jsonl, line 3: token id 256 at position 0 is outside the model's vocabulary of 256 (0 to 255)",
    ],
    [{ input_ids: [1, -1] }, {}, 'token id -1 at position 1'],
    [{ input_ids: [1, 2], labels: [-100, 300] }, {}, 'label 300 at position 1 is neither -100 nor'],
    [{ messages: [{ role: 'user', content: 'x' }] }, {}, 'd.jsonl, line 3: m: the model has no chat template'],
  ])('refuses %j', (value, changes, message) => {
    expect(() => encode(value, changes)).toThrow(message)
  })

  it('needs a tokenizer for text, none for tokens', () => {
    const bare = { vocabularySize: 258, maxPositions: 64 }
    expect(() => encodeRow({ value: { text: 'a' }, file: 'd.jsonl', line: 3 }, bare)).toThrow(
      "d.jsonl, line 3: the row is text, but the model's folder has no tokenizer.json",
    )
    expect(encodeRow({ value: { input_ids: [1, 2] }, file: 'd.jsonl', line: 3 }, bare).tokens).toBe(1)
  })
})
