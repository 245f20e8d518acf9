/**
 * @file A tokenizer opened from its files: special tokens, the end of text and the chat template from each place that may name
 * them.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nodeFiles } from '../io/node-files.js'
import { byteTokenizer, memoryFiles } from '../../test/support/data.js'
import { loadTokenizer, type Tokenizer } from './tokenizer.js'

const shared = join(import.meta.dirname, '../../../shared')
const stories = join(shared, 'models/stories260k')
const gpt2 = join(shared, 'data/gpt2-bpe')

async function load(contents: Record<string, unknown>): Promise<Tokenizer> {
  const files = Object.fromEntries(
    Object.entries(contents).map(([name, value]) => [`m/${name}`, typeof value === 'string' ? value : JSON.stringify(value)]),
  )
  const tokenizer = await loadTokenizer(memoryFiles(files), 'm')
  if (tokenizer === undefined) throw new Error('no tokenizer')
  return tokenizer
}

describe('loadTokenizer', () => {
  it('is undefined without tokenizer.json, and names a damaged file', async () => {
    expect(await loadTokenizer(memoryFiles({}), 'm')).toBeUndefined()
    await expect(load({ 'tokenizer.json': '{' })).rejects.toThrow('m/tokenizer.json is not valid JSON')
    await expect(load({ 'tokenizer.json': { model: { type: 'Magic' } } })).rejects.toThrow(
      'm/tokenizer.json.model: model "Magic" is not supported; expected BPE, Unigram, WordLevel, WordPiece',
    )
  })

  it('finds special tokens in each of their places', async () => {
    const json = byteTokenizer(['<s>', '</s>', '<end>'])
    const own = await load({
      'tokenizer.json': json,
      'tokenizer_config.json': { bos_token: { content: '<s>' }, eos_token: '<end>' },
      'special_tokens_map.json': { pad_token: { content: '</s>' } },
      'generation_config.json': { eos_token_id: [257, 258], bos_token_id: 5 },
    })
    expect([own.bosTokenId, own.eosTokenId, own.padTokenId, own.eosTokenIds]).toEqual([256, 258, 257, [258, 257]])
    const models = await load({ 'tokenizer.json': json, 'config.json': { bos_token_id: 256, eos_token_id: 257 } })
    expect([models.bosTokenId, models.eosTokenId, models.padTokenId, models.eosTokenIds]).toEqual([256, 257, 257, [257]])
    const none = await load({ 'tokenizer.json': json })
    expect([none.bosTokenId, none.eosTokenId, none.padTokenId, none.eosTokenIds]).toEqual([undefined, undefined, 0, []])
  })

  it('takes names of special_tokens_map.json first, unless tokenizer_config.json has an added_tokens_decoder', async () => {
    const json = byteTokenizer(['<s>', '</s>', '<end>'])
    const map = { 'special_tokens_map.json': { eos_token: '</s>' } }
    const config = { eos_token: '<end>' }
    expect((await load({ 'tokenizer.json': json, 'tokenizer_config.json': config, ...map })).eosTokenId).toBe(257)
    const decoder = { added_tokens_decoder: { 258: { content: '<end>', special: true } } }
    expect((await load({ 'tokenizer.json': json, 'tokenizer_config.json': { ...config, ...decoder }, ...map })).eosTokenId).toBe(
      258,
    )
  })

  it('lets add_bos_token decide for a vocabulary of another kind than its class', async () => {
    const json = byteTokenizer(['<s>', '</s>'])
    const config = { bos_token: '<s>', eos_token: '</s>', add_bos_token: true, add_eos_token: true }
    const llama = await load({
      'tokenizer.json': json,
      'tokenizer_config.json': { ...config, tokenizer_class: 'LlamaTokenizerFast' },
    })
    expect(llama.encode('A')).toEqual([256, 65, 257])
    expect(llama.encodePrompt('A')).toEqual([256, 65])
    const gpt = await load({
      'tokenizer.json': json,
      'tokenizer_config.json': { ...config, tokenizer_class: 'GPT2TokenizerFast' },
    })
    expect(gpt.encode('A')).toEqual([65])
  })

  it('says what is missing for messages', async () => {
    const tokenizer = await load({ 'tokenizer.json': byteTokenizer([]) })
    expect(tokenizer.hasChatTemplate).toBe(false)
    expect(() => tokenizer.applyChatTemplate([{ role: 'user', content: 'Hi' }])).toThrow('m: the model has no chat template')
  })

  it('takes the template named tool_use where tools are given', async () => {
    const named = [
      { name: 'default', template: 'D{{ tools is defined and tools is not none }}' },
      { name: 'tool_use', template: 'T{{ tools | length }}' },
    ]
    const load = async (more: Record<string, string>) =>
      (await loadTokenizer(memoryFiles({ 'm/tokenizer.json': byteTokenizer([]), ...more }), 'm'))!
    const config = { 'm/tokenizer_config.json': JSON.stringify({ chat_template: named }) }
    const messages = [{ role: 'user', content: 'a' }]
    const tokenizer = await load(config)
    expect(tokenizer.applyChatTemplate(messages)).toBe('DFalse')
    expect(tokenizer.applyChatTemplate(messages, { variables: { tools: [{}] } })).toBe('T1')
    expect(tokenizer.templateMentions('length', { tools: [{}] })).toBe(true)
    expect(tokenizer.templateMentions('length')).toBe(false)
    // A file goes before the list.
    const alone = await load({ ...config, 'm/chat_template.jinja': 'F' })
    expect(alone.applyChatTemplate(messages, { variables: { tools: [{}] } })).toBe('F')
    const beside = await load({ 'm/chat_template.jinja': 'F', 'm/additional_chat_templates/tool_use.jinja': 'B' })
    expect(beside.applyChatTemplate(messages, { variables: { tools: [{}] } })).toBe('B')
  })

  it('learns an end token of the model that only the next turn writes, as GLM has it', async () => {
    const files = memoryFiles({
      'm/tokenizer.json': byteTokenizer(['<|user|>', '<|assistant|>']),
      'm/generation_config.json': JSON.stringify({ eos_token_id: [256] }),
      'm/chat_template.jinja':
        '{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}',
    })
    const turn = (role: string, content: string) => ({ role, content })
    const { ids, learn, turnEnd } = (await loadTokenizer(files, 'm'))!.encodeMessages([
      ...[turn('user', 'a'), turn('assistant', 'b'), turn('user', 'c'), turn('assistant', 'd')],
    ])
    expect(ids).toEqual([256, 97, 257, 98, 256, 99, 257, 100])
    expect(learn).toEqual([
      { start: 3, end: 5 },
      { start: 7, end: 8 },
    ])
    expect(turnEnd).toEqual({ token: undefined, text: 'd', stops: false })
  })

  it('takes the template from its file first, then the one named default', async () => {
    const json = byteTokenizer([])
    const messages = [{ role: 'user', content: 'Hi' }]
    const named = {
      chat_template: [
        { name: 'tool_use', template: 'T' },
        { name: 'default', template: 'D {{ messages[0].content }}' },
      ],
    }
    expect((await load({ 'tokenizer.json': json, 'tokenizer_config.json': named })).applyChatTemplate(messages)).toBe('D Hi')
    expect(
      (await load({ 'tokenizer.json': json, 'tokenizer_config.json': named, 'chat_template.jinja': 'F' })).applyChatTemplate(
        messages,
      ),
    ).toBe('F')
    await expect(
      load({ 'tokenizer.json': json, 'tokenizer_config.json': { chat_template: [{ name: 'rag', template: '' }] } }),
    ).rejects.toThrow('none is named "default"')
  })

  it('marks the tokens of the assistant in the whole dialogue', async () => {
    const tokenizer = await load({
      'tokenizer.json': byteTokenizer(['<u>', '<a>', '</t>']),
      'tokenizer_config.json': {
        chat_template:
          "{% for m in messages %}{{ ('<u>' if m.role == 'user' else '<a>') + m.content + '</t>' }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}",
      },
    })
    const { ids, learn } = tokenizer.encodeMessages([
      { role: 'user', content: 'é' },
      { role: 'assistant', content: 'ok' },
      { role: 'user', content: '?' },
      { role: 'assistant', content: '' },
    ])
    expect(ids).toEqual([256, 0xc3, 0xa9, 258, 257, 111, 107, 258, 256, 63, 258, 257, 258])
    expect(learn).toEqual([
      { start: 5, end: 8 },
      { start: 12, end: 13 },
    ])
    expect(tokenizer.decode(ids)).toBe('<u>é</t><a>ok</t><u>?</t><a></t>')
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe('éok?')
    expect(tokenizer.decode([])).toBe('')
  })
})

describe.skipIf(!existsSync(stories))('the tokenizer of stories260k', () => {
  it("gives the ids of transformers' AutoTokenizer", async () => {
    const tokenizer = await loadTokenizer(nodeFiles(), stories)
    expect(tokenizer?.encode('a<s> b\n  héllo 😀 </s>\t x')).toEqual([
      1, 261, 1, 268, 13, 410, 270, 485, 306, 414, 410, 243, 162, 155, 131, 410, 2, 12, 410, 444,
    ])
    expect([tokenizer?.prefix, tokenizer?.suffix, tokenizer?.bosTokenId, tokenizer?.eosTokenId, tokenizer?.padTokenId]).toEqual([
      [1],
      [],
      1,
      2,
      0,
    ])
  })

  it('tells the bytes that tokens stand for: together the text, with the space that begins it', async () => {
    const tokenizer = (await loadTokenizer(nodeFiles(), stories))!
    const text = 'a\n  héllo 😀 ✓\t x'
    const bytes = tokenizer.encode(text, { addSpecialTokens: false }).flatMap((id) => [...tokenizer.tokenBytes(id)])
    expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(` ${text}`)
    expect(new TextDecoder().decode(tokenizer.tokenBytes(1))).toBe('<s>')
  })

  it('decodes and encodes the golden text', async () => {
    const tokenizer = await loadTokenizer(nodeFiles(), stories)
    const golden = JSON.parse(await readFile(join(stories, 'golden.json'), 'utf8')) as {
      greedy_ids_first_32: number[]
      greedy_text: string
    }
    const ids = golden.greedy_ids_first_32
    expect(golden.greedy_text.startsWith(tokenizer?.decode(ids) ?? '?')).toBe(true)
    const encoded = tokenizer?.encode(golden.greedy_text) ?? []
    expect(encoded.slice(0, 33)).toEqual([1, ...ids])
    expect(tokenizer?.decode(encoded, { skipSpecialTokens: true })).toBe(golden.greedy_text)
  })
})

it('tells the bytes of tokens of bytes, of a part of a character those of the part, of special tokens the name', async () => {
  const tokenizer = await load({ 'tokenizer.json': JSON.parse(byteTokenizer(['<s>'])) as object })
  const text = 'héllo 😀\n'
  const ids = tokenizer.encode(text)
  expect(ids.map((id) => tokenizer.tokenBytes(id).length)).toEqual(ids.map(() => 1))
  expect(new TextDecoder().decode(Uint8Array.from(ids.flatMap((id) => [...tokenizer.tokenBytes(id)])))).toBe(text)
  expect([...tokenizer.tokenBytes(256)]).toEqual([0x3c, 0x73, 0x3e])
})

describe.skipIf(!existsSync(gpt2))("GPT-2's tokenizer, assembled from its vocabulary", () => {
  it('gives the known ids, and the same for prompt and completion apart', async () => {
    const vocab = JSON.parse(await readFile(join(gpt2, 'encoder.json'), 'utf8')) as Record<string, number>
    const merges = (await readFile(join(gpt2, 'vocab.bpe'), 'utf8'))
      .split('\n')
      .slice(1)
      .filter((line) => line !== '')
    const base = JSON.parse(byteTokenizer([])) as Record<string, unknown>
    const end = {
      id: 50256,
      content: '<|endoftext|>',
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: true,
      special: true,
    }
    const tokenizer = await load({
      'tokenizer.json': { ...base, added_tokens: [end], model: { ...(base['model'] as object), vocab, merges } },
      'tokenizer_config.json': { tokenizer_class: 'GPT2Tokenizer', bos_token: '<|endoftext|>', eos_token: '<|endoftext|>' },
    })
    expect(tokenizer.encode('Hello, my dog is cute')).toEqual([15496, 11, 616, 3290, 318, 13779])
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.padTokenId, tokenizer.prefix]).toEqual([
      50256,
      50256,
      50256,
      [],
    ])
    const text = 'Zwei Häuser\n\n  and 12,345 🐶 dogs<|endoftext|>'
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
    expect([...tokenizer.encodePrompt('Hello,\n'), ...tokenizer.encode('my dog', { addSpecialTokens: false })]).toEqual(
      tokenizer.encode('Hello,\nmy dog'),
    )
  })
})
