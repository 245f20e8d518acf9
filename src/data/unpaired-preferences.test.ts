/** @file Judged completions to tokens and labels by hand, in every shape of row; prompts beside each other's completions. */
import { describe, expect, it } from 'vitest'
import { byteTokenizer, memoryFiles } from '../../test/support/data.js'
import { openEncodedDataset } from './dataset.js'
import { loadTokenizer } from './tokenizer.js'
import { unpairedEncoding } from './unpaired-preferences.js'
import type { Batch } from './batch.js'

const template =
  "{% for m in messages %}{{ m['role'][0] + ':' + m['content'] + '|' }}{% endfor %}{% if add_generation_prompt %}a:{% endif %}"
const files = memoryFiles({
  'm/tokenizer.json': byteTokenizer(['<s>', '</s>']),
  'm/tokenizer_config.json': JSON.stringify({
    ...{ tokenizer_class: 'LlamaTokenizer', bos_token: '<s>', eos_token: '</s>', add_bos_token: true },
    chat_template: template,
  }),
  'rows.csv': 'prompt,completion,label\na,x,true\nb,y,0\nc,z,True\n',
})
const tokenizer = (await loadTokenizer(files, 'm'))!
const base = { tokenizer, vocabularySize: 258, maxPositions: 64, inputs: [] }
const encodingOf = (options: object = {}) => unpairedEncoding({ ...base, ...options }, { mismatched: true })
const encode = (value: Record<string, unknown>, options: object = {}) =>
  encodingOf(options).encode({ value, file: 'k.jsonl', line: 3 })

const text = (ids: ArrayLike<number | bigint>, labels: ArrayLike<number | bigint>): string =>
  Array.from(ids, (each, i) => {
    const id = Number(each)
    const shown = id < 256 ? String.fromCharCode(id) : id === 257 ? '</s>' : '<s>'
    return Number(labels[i]) === -100 ? shown : `[${shown}]`
  }).join('')
/** As text, what is learned between brackets. */
const shown = ({ rows }: ReturnType<typeof encode>): string => text(rows[0]!['input_ids']!.values, rows[0]!['labels']!.values)
const rowsOf = ({ feeds, rows, lengths }: Batch): string[] =>
  Array.from({ length: rows }, (_, row) => {
    const width = feeds['input_ids']!.shape[1]!
    const part = (name: string) => (feeds[name]!.data as BigInt64Array).subarray(row * width, row * width + lengths[row]!)
    return text(part('input_ids') as never, part('labels') as never)
  })
const turn = (role: string, content: string) => ({ role, content })

describe('a judged completion', () => {
  it('of text: the prompt begins, the completion ends', () => {
    const example = encode({ prompt: 'ab', completion: 'x', label: false })
    expect(shown(example)).toBe('<s>ab[x][</s>]')
    expect(example).toMatchObject({ tokens: 1, length: 5, positions: 5, truncated: false, desirable: false })
    expect(example.once['desirable']!.values).toEqual([0])
  })

  it('of an instruction, and of tokens, needing no tokenizer', () => {
    expect(shown(encode({ instruction: 'a', output: 'x', label: 1 }))).toMatch(/Response:\[x\]\[<\/s>\]$/)
    const tokens = { prompt_ids: [65], completion_ids: [66, 67], label: true }
    expect(shown(encode(tokens, { tokenizer: undefined }))).toBe('A[B][C]')
  })

  it('of dialogues: prompt and completion as lists, and one dialogue, whose last turn is judged', () => {
    const [user, good] = [turn('user', 'hi'), turn('assistant', 'yo')]
    expect(shown(encode({ prompt: [user], completion: [good], label: true }))).toBe('u:hi|a:[y][o][|]')
    expect(shown(encode({ messages: [user, good, user, good], label: false }))).toBe('u:hi|a:yo|u:hi|a:[y][o][|]')
    expect(shown(encode({ conversations: [{ from: 'human', value: 'hi' }, { from: 'gpt', value: 'yo' }], label: 1 }))).toBe('u:hi|a:[y][o][|]') // prettier-ignore
    // How an undesirable answer ends is nothing to generate.
    expect(encode({ prompt: [user], completion: [good], label: true }).turnEnd).toBeDefined()
    expect(encode({ prompt: [user], completion: [good], label: false }).turnEnd).toBeUndefined()
  })

  it.each<[unknown, boolean]>([
    ...([true, 1, 'true', 'True', '1', 1n] as const).map((label) => [label, true] as [unknown, boolean]),
    ...([false, 0, 'false', 'FALSE', '0', 0n] as const).map((label) => [label, false] as [unknown, boolean]),
  ])('label %s is %s', (label, desirable) => {
    expect(encode({ prompt: 'a', completion: 'x', label }).desirable).toBe(desirable)
  })

  it('of a table', async () => {
    const dataset = await openEncodedDataset(files, 'rows.csv', encodingOf())
    const judged = await Promise.all([0, 1, 2].map(async (row) => (await dataset.example(row))!.desirable))
    expect(judged).toEqual([true, false, true])
  })

  it('is cut as those of pairs: the beginning of the prompt, then the end of the completion', () => {
    const row = { prompt: 'abcd', completion: 'xyz', label: true }
    expect(shown(encode(row, { maxLength: 6 }))).toBe('cd[x][y][z][</s>]')
    expect(shown(encode(row, { maxLength: 3 }))).toBe('d[x][y]')
    expect(encode(row, { maxLength: 3 }).truncated).toBe(true)
  })

  it('may say by another field that it is not to be learned', () => {
    const example = encode({ prompt: 'a', completion: 'x', label: true, weight: 0 })
    expect(example.tokens).toBe(0)
    expect(encodingOf().emptyReason(example)).toContain('"weight" is 0')
  })

  it.each<[Record<string, unknown>, string]>([
    [{ prompt: 'a', completion: 'b' }, 'k.jsonl, line 3: "label" is missing; found the fields "prompt", "completion"; expected {"prompt", "completion", "label"}'],
    [{ prompt: 'a', label: true }, '"completion" is missing'],
    [{ label: true }, '"prompt" and "completion" are missing'],
    [{ prompt: 'a', chosen: 'b', rejected: 'c', label: true }, 'Pairs are learned with the objective "dpo" or "orpo"'],
    [{ prompt: 'a', completion: 'b', label: 0.5 }, '"label" is the number 0.5; it says whether the completion is desirable'],
    [{ messages: [turn('assistant', 'a'), turn('user', 'b')], label: true }, 'the dialogue ends with a turn of "user"'],
    [{ messages: [turn('user', 'a'), { ...turn('assistant', 'b'), weight: 0 }], label: true }, 'the last turn, 1, is marked as not to be learned'],
    [{ prompt: [turn('user', 'a')], completion: [{ ...turn('assistant', 'b'), weight: 0 }], label: true }, '"completion"[0] is marked as not to be learned'],
  ])('refuses %j', (value, message) => {
    expect(() => encode(value)).toThrow(message)
  }) // prettier-ignore
})

describe('a batch', () => {
  const examples = (options: object = {}) =>
    [['ab', 'x'], ['c', 'yz'], ['d', 'w']].map(([prompt, completion], i) => encode({ prompt, completion, label: i > 0 }, options)) // prettier-ignore

  it("has its prompts with each other's completions beside it, shifted by one", () => {
    const batch = encodingOf().batch(examples().map((example) => [example]), false) // prettier-ignore
    expect(rowsOf(batch)).toEqual(['<s>ab[x][</s>]', '<s>c[y][z][</s>]', '<s>d[w][</s>]'])
    expect(Array.from(batch.feeds['desirable']!.data as Float32Array)).toEqual([0, 1, 1])
    expect(rowsOf(batch.mismatched!)).toEqual(['<s>ab[w][</s>]', '<s>c[x][</s>]', '<s>d[y][z][</s>]'])
    expect(batch.mismatched).toMatchObject({ rows: 3, tokens: 3, lengths: [5, 4, 5] })
  })

  it('of a single row has its own completion there, as in TRL', () => {
    const batch = encodingOf().batch([[examples()[0]!]], false)
    expect(rowsOf(batch.mismatched!)).toEqual(rowsOf(batch))
  })

  it('cuts them from what they were before', () => {
    const batch = encodingOf({ maxLength: 4 }).batch(examples({ maxLength: 4 }).map((example) => [example]), false) // prettier-ignore
    expect(rowsOf(batch)).toEqual(['ab[x][</s>]', 'c[y][z][</s>]', '<s>d[w][</s>]'])
    expect(rowsOf(batch.mismatched!)).toEqual(['ab[w][</s>]', '<s>c[x][</s>]', 'd[y][z][</s>]'])
  })

  it('has none where no KL divergence is asked for', () => {
    const encoding = unpairedEncoding(base, { mismatched: false })
    expect(encoding.batch(examples().map((example) => [example]), false).mismatched).toBeUndefined() // prettier-ignore
    expect(encoding.least).toBeUndefined()
  })
})
