/**
 * @file Generation with a cache against the model without one, and its logits against PyTorch; where it ends, and refusals
 * before any work.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import {
  Adapter,
  addLora,
  generate,
  generateBatch,
  generateStream,
  loadAdapter,
  loadModel,
  merge,
  FolderModel,
  type Model,
} from '../../src/index.js'
import { argmax } from '../../src/generate/sampling.js'
import { sessionsOf } from '../../src/model/session-pool.js'
import { DecodeSession } from '../../src/generate/decode-session.js'
import { int64 } from '../../src/graph/constants.js'
import { loadTokenizer, type Tokenizer } from '../../src/data/tokenizer.js'
import { ConfigReader } from '../../src/models/config-reader.js'
import { randomWeights } from '../../src/models/random.js'
import { Random } from '../../src/util/rng.js'
import { nodeFiles } from '../../src/io/node-files.js'
import { CHATML, writeChatModel } from '../support/chat-model.js'
import { byteTokenizer, memoryFiles } from '../support/data.js'
import { gpt2Config, llamaConfig, testEnvironment, tinyModel, writeModel } from '../support/training.js'
import { floats, hostTensor, positionIds, relativeError, tensorsOf } from '../models/golden.js'

const work = mkdtempSync(join(tmpdir(), 'lowrank-generate-'))
afterAll(() => rmSync(work, { recursive: true, force: true }))

/** Greedy tokens without any cache: the whole text again for every token. */
async function withoutCache(subject: Model | Adapter, prompt: readonly number[], count: number): Promise<number[]> {
  const model = subject instanceof Adapter ? subject.model : subject
  const built = model.build({ mode: 'full' })
  const graph = subject instanceof Adapter ? subject.attach(built.graph).graph : built.graph
  const session = await model.environment.runtime.createSession(graph)
  const ids = [...prompt]
  for (let i = 0; i < count; i++) {
    const n = ids.length
    const feeds = {
      input_ids: int64([1, n], ids),
      attention_mask: int64([1, n], new Array<number>(n).fill(1)),
      position_ids: positionIds(1, n),
      ...(subject instanceof Adapter ? Object.fromEntries(subject.tensors) : {}),
    }
    const [logits] = Object.values(await session.run(feeds))
    ids.push(argmax((logits!.data as Float32Array).subarray((n - 1) * model.vocabularySize)))
  }
  await session.release()
  return ids.slice(prompt.length)
}

describe.each([
  'gpt2',
  'gpt2-all-linear',
  'llama',
  'llama-rslora',
  'llama-patterns',
  'mistral',
  'qwen2',
  'qwen3',
  'gemma2',
  'gemma3',
  'phi3',
  'gpt_neox',
])('generate with %s', (name) => {
  const folder = `test/fixtures/golden/peft/${name}`
  // Longer than mistral's window of 8; small enough for gpt2's 32 positions.
  const prompt = [5, 17, 60, 3, 88, 41, 9, 22, 70, 13, 2 + 30]
  const count = 16

  it('gives the tokens of the model without a cache: base, adapter and merged model', async () => {
    const model = await loadModel(`${folder}/model`, { threads: 1 })
    const adapter = await loadAdapter(model, `${folder}/adapter-trained`)
    const options = { inputIds: prompt, maxNewTokens: count }
    const expected = await withoutCache(model, prompt, count)
    const base = await generate(model, options)
    // A text ends at the model's end token; until there it must be the same.
    expect(base.ids).toEqual(expected.slice(0, base.ids.length))
    expect(base.ids.length === count || base.finishReason === 'eos').toBe(true)
    const adapted = await generate(adapter, options)
    expect(adapted.ids).toEqual((await withoutCache(adapter, prompt, count)).slice(0, adapted.ids.length))

    const out = join(work, name)
    await merge(adapter).save(out)
    expect((await generate(await loadModel(out, { threads: 1 }), options)).ids).toEqual(adapted.ids)
  })

  it('gives the logits of PyTorch with the adapter after a prefill in one run and token by token', async () => {
    const tensors = await tensorsOf(`${folder}/tensors.safetensors`)
    const ids = await hostTensor(tensors, 'input.input_ids')
    const logits = await floats(tensors, 'logits')
    const adapter = await loadAdapter(await loadModel(`${folder}/model`, { threads: 1 }), `${folder}/adapter`)
    const [, length] = ids.shape as [number, number]
    const mask = (await hostTensor(tensors, 'input.attention_mask')).data as BigInt64Array
    const row = 0
    const real = Array.from({ length }, (_, i) => mask[row * length + i]).filter((m) => m === 1n).length
    const tokens = Array.from((ids.data as BigInt64Array).subarray(row * length, row * length + real), Number)
    const session = await DecodeSession.for(adapter.model, adapter.parts, length)
    const whole = await session.run(tokens, session.newCache(), adapter.serving().tensors)
    const at = (position: number): Float32Array =>
      logits.subarray((row * length + position) * 96, (row * length + position + 1) * 96)
    expect(relativeError(whole, at(real - 1))).toBeLessThan(1e-5)
    const cache = session.newCache()
    for (let i = 0; i < real; i++)
      expect(relativeError(await session.run([tokens[i]!], cache, adapter.serving().tensors), at(i))).toBeLessThan(1e-5)
  })
})

describe('generate', () => {
  const open = (): Promise<Model> => loadModel('test/fixtures/golden/peft/llama/model', { threads: 1 })

  it('stops at an end token and leaves it out', async () => {
    const model = await open()
    const free = await generate(model, { inputIds: [5, 6, 7], maxNewTokens: 6 })
    const end = free.ids[2]!
    const ended = await generate(model, { inputIds: [5, 6, 7], maxNewTokens: 6, eosTokenIds: [end] })
    expect([ended.ids, ended.finishReason]).toEqual([free.ids.slice(0, free.ids.indexOf(end)), 'eos'])
  })

  it('ends at the last position of the model', async () => {
    const model = await open()
    const prompt = Array.from({ length: 60 }, (_, i) => i % 50)
    const result = await generate(model, { inputIds: prompt, maxNewTokens: 100, eosTokenIds: [] })
    expect(result.finishReason === 'eos' || result.ids.length === 4).toBe(true)
    await expect(generate(model, { inputIds: Array.from({ length: 64 }, () => 1) })).rejects.toThrow(
      'the prompt has 64 tokens, but the model has only 64 positions; shorten it',
    )
  })

  it('refuses what it cannot do, before any work', async () => {
    const model = await open()
    await expect(generate(model, {})).rejects.toThrow('give exactly one of prompt, messages and inputIds; none was given')
    await expect(generate(model, { prompt: 'x' })).rejects.toThrow(/has no tokenizer\.json; .*AutoTokenizer.*Or give inputIds/)
    await expect(generate(model, { inputIds: [] })).rejects.toThrow('there is nothing to continue')
    await expect(generate(model, { inputIds: [96] })).rejects.toThrow(
      "token id 96 of the prompt is not in the model's vocabulary of 96",
    )
    await expect(generate(model, { inputIds: [1], maxNewTokens: 0 })).rejects.toThrow(
      'maxNewTokens must be a whole number of at least 1, got 0',
    )
    await expect(generate(model, { inputIds: [1], stop: 'x' })).rejects.toThrow('stop strings need a tokenizer')
  })

  it('sees an adapter that was trained on, without a new graph', async () => {
    const adapter = await loadAdapter(await open(), 'test/fixtures/golden/peft/llama/adapter')
    const options = { inputIds: [5, 17, 60], maxNewTokens: 12, eosTokenIds: [] }
    const before = await generate(adapter, options)
    for (let i = 0; i < adapter.parameters.data.length; i++) adapter.parameters.data[i]! *= 6
    expect((await generate(adapter, options)).ids).not.toEqual(before.ids)
  })
})

describe('generate with several adapters', () => {
  it('compiles one graph for all with the same targets, whatever their ranks and scales; the head can be one', async () => {
    const model = tinyModel()
    const prompt = [3, 1, 4, 1, 5]
    const texts: (readonly number[])[] = [(await generate(model, { inputIds: prompt, maxNewTokens: 12 })).ids]
    for (const [r, alpha] of [
      [1, 64],
      [4, 8],
      [2, 32],
    ] as const) {
      const adapter = await addLora(model, { r, alpha, targetModules: ['q_proj', 'down_proj', 'lm_head'] })
      const random = new Random(r)
      adapter.parameters.data.forEach((_, i, data) => (data[i] = random.normal(0, 0.3)))
      const { ids } = await generate(adapter, { inputIds: prompt, maxNewTokens: 12 })
      expect(ids).toEqual(await withoutCache(adapter, prompt, 12))
      texts.push(ids)
      expect(sessionsOf(model).size).toBe(1)
    }
    expect(new Set(texts.map(String)).size).toBe(4)
  })
})

/** 256 bytes, then special tokens: whatever the random model says is text, mostly of broken characters. */
async function byteModel(): Promise<{ model: Model; tokenizer: Tokenizer }> {
  const json = byteTokenizer(['<s>', '</s>', '<|end|>'])
  const files = memoryFiles({ 'm/tokenizer.json': json, 'm/tokenizer_config.json': '{"bos_token":"<s>","eos_token":"</s>"}' })
  const tokenizer = (await loadTokenizer(files, 'm'))!
  const config = new ConfigReader({ ...llamaConfig, vocab_size: 259, max_position_embeddings: 256 }, 'bytes')
  return { model: FolderModel.fromWeights(testEnvironment(), config, randomWeights(config, 1), { tokenizer }), tokenizer }
}

describe('generate with text', () => {
  it('streams exactly its text and tokens, the same for the same seed', async () => {
    const { model, tokenizer } = await byteModel()
    const prompt = 'Ça'
    const inputs = tokenizer.encodePrompt(prompt)
    const texts = new Set<string>()
    for (const seed of [1, 2, 3]) {
      const options = { prompt, maxNewTokens: 60, temperature: 1.5, seed }
      const stream = generateStream(model, options)
      const [ids, deltas]: [number[], string[]] = [[], []]
      let next = await stream.next()
      for (; next.done !== true; next = await stream.next()) {
        if (next.value.id !== undefined) ids.push(next.value.id)
        deltas.push(next.value.text)
      }
      const { text, ids: all } = next.value
      expect([ids, deltas.join('')]).toEqual([all, text])
      expect(prompt + text).toBe(tokenizer.decode([...inputs, ...all], { skipSpecialTokens: true }))
      expect((await generate(model, options)).text).toBe(text)
      texts.add(text)
    }
    expect(texts.size).toBe(3)
  })

  it('cuts before a stop string, and stops at one that is a special token', async () => {
    const { model, tokenizer } = await byteModel()
    const options = { prompt: 'x', maxNewTokens: 40, temperature: 1, seed: 5 }
    const free = await generate(model, options)
    const stop = free.text.slice(6, 8)
    const cut = await generate(model, { ...options, stop: ['never said', stop] })
    expect([cut.text, cut.finishReason]).toEqual([free.text.slice(0, free.text.indexOf(stop)), 'stop'])

    const [end] = tokenizer.encode('<|end|>', { addSpecialTokens: false })
    for (let seed = 0; ; seed++) {
      const said = await generate(model, { ...options, maxNewTokens: 200, seed })
      const at = said.ids.indexOf(end!)
      if (at < 0) continue
      const ended = await generate(model, { ...options, maxNewTokens: 200, seed, stop: '<|end|>' })
      expect([ended.ids, ended.finishReason]).toEqual([said.ids.slice(0, at), 'stop'])
      break
    }
    await expect(generate(model, { prompt: 'x', stop: ['a', ''] })).rejects.toThrow('a stop string must not be empty')
    await expect(generate(model, { messages: [{ role: 'user', content: 'x' }] })).rejects.toThrow('has no chat template')
  })

  it('gives the chat template what stands beside a dialogue', async () => {
    const folder = writeChatModel(join(work, 'chat'), `{{ tools|tojson }}{{ style }}${CHATML}`)
    const model = await loadModel(folder)
    const tokenizer = (await loadTokenizer(nodeFiles(), folder))!
    const messages = [{ role: 'user', content: 'hi' }]
    const variables = { tools: [{ name: 'f' }], style: 'short' }
    const text = '[{"name": "f"}]short<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n'
    const right = await generate(model, { inputIds: tokenizer.encode(text, { addSpecialTokens: false }), maxNewTokens: 4 })
    expect((await generate(model, { messages, variables, maxNewTokens: 4 })).ids).toEqual(right.ids)
    const [row] = await generateBatch(model, [{ messages, variables }], { maxNewTokens: 4 })
    expect(row!.ids).toEqual(right.ids)
    await expect(generate(model, { prompt: 'x', variables })).rejects.toThrow('give messages with them')
    await model.dispose()
  })

  it('can be interrupted', async () => {
    const { model } = await byteModel()
    const controller = new AbortController()
    const stream = generateStream(model, { inputIds: [1, 2], maxNewTokens: 50, signal: controller.signal })
    await stream.next()
    await stream.next()
    controller.abort()
    let next = await stream.next()
    while (next.done !== true) next = await stream.next()
    expect([next.value.ids.length, next.value.finishReason]).toEqual([2, 'aborted'])
  })
})

describe('generate on long prompts', () => {
  const long = { ...llamaConfig, max_position_embeddings: 2048 }
  it.each([
    ['llama', long],
    ['mistral', { ...long, model_type: 'mistral', sliding_window: 100 }],
    ['gpt2', { ...gpt2Config, n_positions: 2048 }],
  ] as const)('reads them in parts without changing the tokens: %s', async (_, config) => {
    const model = tinyModel(config)
    const random = new Random(4)
    // Two whole parts of 512 and a rest; and beyond the 1,024 positions that are compiled at least.
    const inputIds = Array.from({ length: 1100 }, () => random.integer(17))
    const { ids } = await generate(model, { inputIds, maxNewTokens: 5 })
    expect(ids).toEqual(await withoutCache(model, inputIds, 5))
    const short = inputIds.slice(0, 512)
    expect((await generate(model, { inputIds: short, maxNewTokens: 3 })).ids).toEqual(await withoutCache(model, short, 3))
  })
})

describe('generate without a tokenizer', () => {
  it('ends where generation_config.json says, or else config.json', async () => {
    const folder = join(work, 'ends')
    mkdirSync(folder)
    writeModel(folder, { ...llamaConfig, eos_token_id: 16 })
    const ask = async (): Promise<readonly number[]> =>
      (await generate(await loadModel(folder, { threads: 1 }), { inputIds: [1, 2, 3], maxNewTokens: 12 })).ids
    const free = await ask()
    const end = free.find((id, i) => i > 0 && id !== free[0])!
    writeFileSync(join(folder, 'generation_config.json'), JSON.stringify({ eos_token_id: [16, end] }))
    expect(await ask()).toEqual(free.slice(0, free.indexOf(end)))
    writeFileSync(join(folder, 'generation_config.json'), '{"eos_token_id"')
    await expect(ask()).rejects.toThrow(/generation_config\.json is not valid JSON/)
  })
})

const stories = '../shared/models/stories260k'
describe.skipIf(!existsSync(stories))('generate with a real model', () => {
  const golden = JSON.parse(existsSync(stories) ? readFileSync(`${stories}/golden.json`, 'utf8') : '{}') as {
    greedy_ids_first_32: number[]
    greedy_text: string
  }

  it('tells the story of the reference, whole, and streams it', async () => {
    const model = await loadModel(stories, { threads: 1 })
    // The reference's text, but for the BOS that the tokenizer adds.
    const length = (await model.tokenizer())!.encode(golden.greedy_text).length - 1
    const stream = generateStream(model, { prompt: '', maxNewTokens: length })
    let text = ''
    let result = await stream.next()
    for (; result.done !== true; result = await stream.next()) text += result.value.text
    expect(result.value.ids.slice(0, 32)).toEqual(golden.greedy_ids_first_32)
    expect(result.value.text).toBe(golden.greedy_text)
    expect(text).toBe(result.value.text)
  })
})
