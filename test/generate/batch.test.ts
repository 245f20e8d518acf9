/** @file Several prompts at once: the tokens that each gives alone. */
import { describe, expect, it } from 'vitest'
import { addLora, loadAdapter, type Adapter } from '../../src/adapter/adapter.js'
import { AdapterSet } from '../../src/adapter/adapter-set.js'
import { FolderModel } from '../../src/model/folder-model.js'
import type { Model } from '../../src/model/model.js'
import { generate } from '../../src/generate/generate.js'
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
    await expect(generateBatch(model, [{}])).rejects.toThrow('give exactly one of prompt')
  })
})
