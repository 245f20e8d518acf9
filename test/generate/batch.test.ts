/** @file Several prompts at once: the tokens that each gives alone. */
import { describe, expect, it, vi } from 'vitest'
import { addLora, loadAdapter, type Adapter } from '../../src/adapter/adapter.js'
import { AdapterSet } from '../../src/adapter/adapter-set.js'
import { FolderModel } from '../../src/model/folder-model.js'
import type { Model } from '../../src/model/model.js'
import { DecodeSession } from '../../src/generate/decode-session.js'
import { generate, generateStream } from '../../src/generate/generate.js'
import { generateBatch } from '../../src/generate/generate-batch.js'
import { Random } from '../../src/util/rng.js'
import { loadTokenizer } from '../../src/data/tokenizer.js'
import { ConfigReader } from '../../src/models/config-reader.js'
import { randomWeights } from '../../src/models/random.js'
import { byteTokenizer, memoryFiles } from '../support/data.js'
import { llamaConfig, testEnvironment } from '../support/training.js'

const golden = 'test/fixtures/golden/peft'

async function randomAdapter(model: Model, r: number, seed: number): Promise<Adapter> {
  const adapter = await addLora(model, { r, targetModules: 'all-linear', seed })
  const random = new Random(seed)
  for (let i = 0; i < adapter.parameters.data.length; i++) adapter.parameters.data[i] = random.normal(0, 0.2)
  return adapter
}

const prompts = [[5, 17, 60, 3, 88, 41, 9, 22, 70, 13, 32], [7], [44, 45, 46], [9, 9, 9, 9, 9, 2, 80], [63, 1]]

describe.each(['gpt2', 'llama', 'mistral', 'qwen2', 'qwen3', 'gemma2', 'gemma3', 'phi3', 'gpt_neox'])(
  'a batch with %s',
  (name) => {
    it('gives the tokens of each prompt alone: base, one adapter, and one for each row', async () => {
      const model = await FolderModel.open(`${golden}/${name}/model`, testEnvironment())
      const trained = await loadAdapter(model, `${golden}/${name}/adapter-trained`)
      const set = new AdapterSet(model)
      const others = [await randomAdapter(model, 2, 1), await randomAdapter(model, 5, 2)]
      await set.add('trained', trained)
      await set.add('two', others[0]!)
      await set.add('five', others[1]!)
      const options = { maxNewTokens: 12 }
      const one = (subject: Model | Adapter, inputIds: readonly number[]) =>
        generate(subject, { inputIds, ...options }).then(({ ids, finishReason }) => ({ ids, finishReason }))
      const found = async (...args: Parameters<typeof generateBatch>) =>
        (await generateBatch(...args)).map(({ ids, finishReason }) => ({ ids, finishReason }))
      const rows = prompts.map((inputIds) => ({ inputIds }))
      expect(await found(model, rows, options)).toEqual(await Promise.all(prompts.map((p) => one(model, p))))
      expect(await found(trained, rows, options)).toEqual(await Promise.all(prompts.map((p) => one(trained, p))))
      set.setAdapter('two')
      expect(await found(set, rows, options)).toEqual(await Promise.all(prompts.map((p) => one(others[0]!, p))))
      const named = ['five', null, 'trained', 'two', 'five'] as const
      const subjects = { five: others[1]!, trained, two: others[0]! }
      const expected = await Promise.all(prompts.map((p, i) => one(named[i] === null ? model : subjects[named[i]!], p)))
      const mixed = rows.map((row, i) => (named[i] === null ? row : { ...row, adapter: named[i]! }))
      expect(await found(set, mixed, options)).toEqual(expected)
    })
  },
)

describe('a batch', () => {
  const open = async () => FolderModel.open(`${golden}/llama/model`, testEnvironment())

  it('samples with a seed for each row, as alone', async () => {
    const model = await open()
    const options = {
      maxNewTokens: 10,
      temperature: 1.5,
      topK: 40,
      repetitionPenalty: 1.2,
      noRepeatNgramSize: 2,
      minNewTokens: 4,
    }
    const batch = await generateBatch(model, prompts.map((inputIds, i) => ({ inputIds, seed: i })), options) // prettier-ignore
    for (const [i, inputIds] of prompts.entries())
      expect(batch[i]!.ids).toEqual((await generate(model, { inputIds, seed: i, ...options })).ids)
    expect(new Set(batch.map(({ ids }) => ids.join())).size).toBe(prompts.length)
  })

  it('gives each row its own options, as alone', async () => {
    const model = await open()
    const shared = { maxNewTokens: 8, temperature: 1, seed: 3 }
    const own = [
      {},
      { temperature: 0, logitBias: { 7: 50 }, frequencyPenalty: 20 },
      { maxNewTokens: 3, minP: 0.2, presencePenalty: 1.5 },
      { seed: 9, topP: 0.7, noRepeatNgramSize: 1 },
      { numReturn: 3, eosTokenIds: [4, 8, 12, 16, 20, 24, 28], ignoreEos: true, temperature: 1.3 },
    ]
    const rows = prompts.map((inputIds, i) => ({ inputIds, ...own[i] }))
    const batch = await generateBatch(model, rows, shared)
    for (const [i, row] of rows.entries()) {
      const { tokensPerSecond: _, ...alone } = await generate(model, { ...shared, ...row })
      const { tokensPerSecond: __, ...together } = batch[i]!
      expect(together).toEqual(alone)
    }
    expect(batch.map(({ ids }) => ids.length).slice(0, 4)).toEqual([8, 8, 3, 8])
    // Each time that the token 7 was chosen costs it 20 of its 50.
    expect(batch[1]!.ids.slice(0, 2)).toEqual([7, 7])
    expect(batch[1]!.ids.filter((id) => id === 7).length).toBeLessThan(5)
  })

  it('samples several texts of a prompt that is read once, each what its seed gives alone', async () => {
    const model = await open()
    const options = { maxNewTokens: 9, temperature: 1.4, repetitionPenalty: 1.1 }
    const [one, three] = await generateBatch(model, [{ inputIds: prompts[0]! }, { inputIds: prompts[2]!, seed: 5, numReturn: 3 }], options) // prettier-ignore
    expect(one!.samples).toBeUndefined()
    expect(one!.ids).toEqual((await generate(model, { inputIds: prompts[0]!, ...options })).ids)
    expect(three!.ids).toEqual(three!.samples![0]!.ids)
    for (const [i, { ids }] of three!.samples!.entries())
      expect(ids).toEqual((await generate(model, { inputIds: prompts[2]!, seed: 5 + i, ...options })).ids)
    expect(new Set(three!.samples!.map(({ ids }) => ids.join())).size).toBe(3)
    const stream = generateStream(model, { inputIds: prompts[2]!, seed: 5, numReturn: 3, ...options })
    const streamed: number[][] = [[], [], []]
    for await (const { index, id } of stream) if (id !== undefined) streamed[index]!.push(id)
    expect(streamed).toEqual(three!.samples!.map(({ ids }) => ids))
  })

  it('ends one row alone when its own signal says so, and the others go on', async () => {
    const model = await open()
    const options = { maxNewTokens: 12, temperature: 1 }
    const free = await generateBatch(model, prompts.map((inputIds) => ({ inputIds })), options) // prettier-ignore
    // Raised while the fourth token is computed.
    const gone = new AbortController()
    const counted: number[] = []
    const original = Reflect.get(DecodeSession.prototype, 'runRows') as DecodeSession['runRows']
    const run = vi.spyOn(DecodeSession.prototype, 'runRows').mockImplementation(function (this: DecodeSession, rows, ...rest) {
      counted.push(rows.length)
      if (counted.length === 4) gone.abort()
      return original.call(this, rows, ...rest)
    })
    const rows = prompts.map((inputIds, i) => ({ inputIds, ...(i === 2 && { signal: gone.signal }) }))
    const batch = await generateBatch(model, [...rows, { inputIds: [1, 2], signal: AbortSignal.abort() }], options)
    run.mockRestore()
    expect(counted).toEqual([6, 5, 5, 5, ...new Array<number>(8).fill(4)])
    for (const i of [0, 1, 3, 4]) expect(batch[i]!.ids).toEqual(free[i]!.ids)
    expect([batch[2]!.ids, batch[2]!.finishReason]).toEqual([free[2]!.ids.slice(0, 4), 'aborted'])
    expect([batch[5]!.ids, batch[5]!.finishReason]).toEqual([[], 'aborted'])
  })

  it('ends each row by itself: at an end token, and at the last position of the model', async () => {
    const model = await open()
    const free = await generateBatch(model, prompts.map((inputIds) => ({ inputIds })), { maxNewTokens: 20 }) // prettier-ignore
    const end = free[1]!.ids[3]!
    const options = { maxNewTokens: 100, eosTokenIds: [end] }
    const batch = await generateBatch(model, prompts.map((inputIds) => ({ inputIds })), options) // prettier-ignore
    const lengths = new Set<number>()
    for (const [i, inputIds] of prompts.entries()) {
      const { ids, finishReason } = await generate(model, { inputIds, ...options })
      expect([batch[i]!.ids, batch[i]!.finishReason]).toEqual([ids, finishReason])
      lengths.add(ids.length)
    }
    expect(lengths.size).toBeGreaterThan(1)
    expect(batch[1]!.ids.length).toBeLessThanOrEqual(3)
    expect(batch.some(({ ids }, i) => ids.length === 64 - prompts[i]!.length)).toBe(true)
  })

  it('stops rows at strings, and is told to stop', async () => {
    const json = byteTokenizer(['<s>', '</s>'])
    const files = memoryFiles({ 'm/tokenizer.json': json, 'm/tokenizer_config.json': '{"bos_token":"<s>","eos_token":"</s>"}' })
    const tokenizer = (await loadTokenizer(files, 'm'))!
    const config = new ConfigReader({ ...llamaConfig, vocab_size: 258, max_position_embeddings: 64 }, 'bytes')
    const spoken = FolderModel.fromWeights(testEnvironment(), config, randomWeights(config, 1), { tokenizer })
    const sampled = { maxNewTokens: 30, temperature: 1, seed: 4 }
    const rows = [{ prompt: 'a' }, { prompt: 'hello there' }]
    const free = await generateBatch(spoken, rows, sampled)
    const stop = /[a-zA-Z0-9]/.exec(free[1]!.text)![0]
    const stopped = await generateBatch(spoken, rows, { ...sampled, stop })
    for (const [i, { prompt }] of rows.entries()) {
      const { text, finishReason } = await generate(spoken, { prompt, ...sampled, stop })
      expect([stopped[i]!.text, stopped[i]!.finishReason]).toEqual([text, finishReason])
    }
    expect(stopped[1]!.finishReason).toBe('stop')
    const aborted = await generateBatch(spoken, rows, { signal: AbortSignal.abort() })
    expect(aborted.map(({ ids, finishReason }) => [ids, finishReason])).toEqual([[[], 'aborted'], [[], 'aborted']]) // prettier-ignore
  })

  it('names mistakes', async () => {
    const model = await open()
    expect(await generateBatch(model, [])).toEqual([])
    const long = Array.from({ length: 64 }, () => 1)
    await expect(generateBatch(model, [{ inputIds: [1] }, { inputIds: long }])).rejects.toThrow('prompt 1 has 64 tokens')
    await expect(generateBatch(model, [{ inputIds: [1], adapter: 'x' }])).rejects.toThrow('only with an AdapterSet')
    await expect(generateBatch(new AdapterSet(model), [{ inputIds: [1], adapter: 'x' }])).rejects.toThrow('no adapter "x"')
    await expect(generateBatch(model, [{ inputIds: [1] }], { maxNewTokens: 0 })).rejects.toThrow('maxNewTokens')
    const ask = (prompt: object, options: object = {}) => generateBatch(model, [{ inputIds: [1] }, { inputIds: [1], ...prompt }], options) // prettier-ignore
    await expect(ask({ topP: 2 })).rejects.toThrow('prompt 1: topP must be above 0 and at most 1, got 2')
    await expect(ask({ minNewTokens: 9 }, { maxNewTokens: 8 })).rejects.toThrow(
      'prompt 1: minNewTokens must be at most maxNewTokens (8), got 9',
    )
    await expect(ask({ logitBias: { 96: 1 } })).rejects.toThrow("logitBias names token 96, but the model's vocabulary has 96")
    await expect(ask({ numReturn: 2 })).rejects.toThrow('prompt 1: numReturn 2 would give the same text 2 times: sample')
    await expect(ask({ temperature: 1 }, { beams: 2 })).rejects.toThrow(
      'prompt 1: temperature samples, and a beam search (beams 2) does not',
    )
    await expect(ask({ minP: 0.1 }, { beams: 2 })).rejects.toThrow('prompt 1: minP samples')
    await expect(ask({ signal: AbortSignal.abort() }, { beams: 2 })).rejects.toThrow('prompt 1: beams are searched together')
    await expect(ask({ beams: 2 })).rejects.toThrow('unknown option "beams"')
    await expect(generateBatch(model, [{}])).rejects.toThrow('give exactly one of prompt')
  })
})
