/** @file Log probabilities of the prompt and of what is generated, against the logits of PyTorch and those of the model without a cache. */
import { describe, expect, it } from 'vitest'
import { loadAdapter } from '../../src/adapter/adapter.js'
import { logits as logitsOf } from '../../src/adapter/forward.js'
import { ContinuousBatch } from '../../src/generate/continuous-batch.js'
import { generate, generateStream } from '../../src/generate/generate.js'
import { generateBatch } from '../../src/generate/generate-batch.js'
import type { TokenLogprob } from '../../src/generate/logprobs.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { ConfigReader } from '../../src/models/config-reader.js'
import { randomWeights } from '../../src/models/random.js'
import { floats, hostTensor, tensorsOf } from '../models/golden.js'
import { llamaConfig, testEnvironment } from '../support/training.js'

const folder = (name: string): string => `test/fixtures/golden/peft/${name}`
const WIDTH = 96

/** By the definition, in float64. */
function logSoftmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits)
  const total = values.reduce((sum, value) => sum + Math.exp(value), 0)
  return values.map((value) => value - Math.log(total))
}

function expectScore(found: TokenLogprob | null, id: number, expected: readonly number[], count: number): void {
  const order = [...expected.keys()].sort((a, b) => expected[b]! - expected[a]!).slice(0, count)
  expect(found!.id).toBe(id)
  expect(Math.abs(found!.logprob - expected[id]!)).toBeLessThan(2e-5)
  expect(found!.top.map((each) => each.id)).toEqual(order)
  found!.top.forEach(({ id, logprob }) => expect(Math.abs(logprob - expected[id]!)).toBeLessThan(2e-5))
}

describe.each(['gpt2', 'llama', 'gpt_neox', 'gemma2'])('log probabilities with %s', (name) => {
  it('of prompts are those of PyTorch, alone, in a batch and in pieces', async () => {
    const tensors = await tensorsOf(`${folder(name)}/tensors.safetensors`)
    const ids = await hostTensor(tensors, 'input.input_ids')
    const mask = (await hostTensor(tensors, 'input.attention_mask')).data as BigInt64Array
    const expected = await floats(tensors, 'logits')
    const [rows, length] = ids.shape as [number, number]
    const adapter = await loadAdapter(
      await FolderModel.open(`${folder(name)}/model`, testEnvironment()),
      `${folder(name)}/adapter`,
    )
    const prompts = Array.from({ length: rows }, (_, row) => {
      const real = Array.from({ length }, (_, i) => mask[row * length + i]).filter((m) => m === 1n).length
      return Array.from((ids.data as BigInt64Array).subarray(row * length, row * length + real), Number)
    })
    const options = { maxNewTokens: 0, promptLogprobs: 3 }
    const together = await generateBatch(adapter, prompts.map((inputIds) => ({ inputIds })), options) // prettier-ignore
    for (const [row, inputIds] of prompts.entries()) {
      const alone = await generate(adapter, { inputIds, ...options })
      for (const { promptLogprobs, ids, finishReason } of [together[row]!, alone]) {
        expect([ids, finishReason, promptLogprobs!.length, promptLogprobs![0]]).toEqual([[], 'length', inputIds.length, null])
        for (let i = 1; i < inputIds.length; i++) {
          const start = (row * length + i - 1) * WIDTH
          expectScore(promptLogprobs![i]!, inputIds[i]!, logSoftmax(expected.subarray(start, start + WIDTH)), 3)
        }
      }
      const batch = new ContinuousBatch(adapter, { prefillTokens: 3 })
      const stream = batch.add({ inputIds, ...options })
      let next = await stream.next()
      while (next.done !== true) next = await stream.next()
      for (let i = 1; i < inputIds.length; i++)
        expect(Math.abs(next.value.promptLogprobs![i]!.logprob - alone.promptLogprobs![i]!.logprob)).toBeLessThan(1e-5)
    }
  })
})

describe('log probabilities', () => {
  const open = () => FolderModel.open(`${folder('llama')}/model`, testEnvironment())

  it('of generated tokens are the model’s own, whatever chooses, and change nothing that is chosen', async () => {
    const model = await open()
    const options = { maxNewTokens: 6, temperature: 1.7, topK: 30, logitBias: { 7: 3 }, presencePenalty: 1, seed: 4 }
    const free = await generate(model, { inputIds: [5, 17, 60], ...options })
    const scored = { ...options, logprobs: 2, promptLogprobs: 0 }
    const told = await generate(model, { inputIds: [5, 17, 60], ...scored })
    expect(told.ids).toEqual(free.ids)
    const [whole] = await logitsOf(model, [[5, 17, 60, ...told.ids]])
    const at = (i: number): number[] => logSoftmax((whole!.data as Float32Array).subarray(i * WIDTH, (i + 1) * WIDTH))
    told.logprobs!.forEach((found, i) => expectScore(found, told.ids[i]!, at(2 + i), 2))
    expectScore(told.promptLogprobs![2]!, 60, at(1), 0)
    const [sampled] = await generateBatch(model, [{ inputIds: [5, 17, 60], ...scored, numReturn: 2 }])
    expect(sampled!.logprobs!.map(({ id }) => id)).toEqual(told.ids)
    expect(sampled!.samples![1]!.logprobs!.map(({ id }) => id)).toEqual(sampled!.samples![1]!.ids)
    const streamed: TokenLogprob[] = []
    for await (const { logprob } of generateStream(model, { inputIds: [5, 17, 60], ...options, logprobs: 2 }))
      streamed.push(logprob!)
    streamed.forEach((found, i) => expectScore(found, told.ids[i]!, at(2 + i), 2))
  })

  it('of the token that ends a text too', async () => {
    const model = await open()
    const prompt = { inputIds: [5, 17, 60], maxNewTokens: 6, logprobs: 1 }
    const free = await generate(model, prompt)
    expect(free.endLogprob).toBeUndefined()
    const end = free.ids.findIndex((id, i) => i > 0 && !free.ids.slice(0, i).includes(id))
    const ended = await generate(model, { ...prompt, eosTokenIds: [free.ids[end]!] })
    expect(ended).toMatchObject({ ids: free.ids.slice(0, end), finishReason: 'eos', endLogprob: free.logprobs![end] })
  })

  it('of a prompt that is read in several runs, beside a short one', async () => {
    const config = new ConfigReader({ ...llamaConfig, max_position_embeddings: 700 }, 'long')
    const model = FolderModel.fromWeights(testEnvironment(), config, randomWeights(config, 1))
    const width = model.vocabularySize
    const prompts = [Array.from({ length: 600 }, (_, i) => (i * 7) % width), [3, 1, 2]]
    const options = { maxNewTokens: 2, promptLogprobs: 1 }
    const together = await generateBatch(model, prompts.map((inputIds) => ({ inputIds })), options) // prettier-ignore
    for (const [row, { data }] of (await logitsOf(model, prompts)).entries())
      for (let i = 1; i < prompts[row]!.length; i++) {
        const expected = logSoftmax((data as Float32Array).subarray((i - 1) * width, i * width))
        expectScore(together[row]!.promptLogprobs![i]!, prompts[row]![i]!, expected, 1)
      }
    expect(together[1]!.ids).toEqual((await generate(model, { inputIds: prompts[1]!, maxNewTokens: 2 })).ids)
  })

  it('of a prompt that fills the positions', async () => {
    const model = await open()
    const full = Array.from({ length: 64 }, (_, i) => (i * 7) % WIDTH)
    const { promptLogprobs } = await generate(model, { inputIds: full, maxNewTokens: 0, promptLogprobs: 0 })
    const [whole] = await logitsOf(model, [full])
    for (let i = 1; i < 64; i++)
      expectScore(
        promptLogprobs![i]!,
        full[i]!,
        logSoftmax((whole!.data as Float32Array).subarray((i - 1) * WIDTH, i * WIDTH)),
        0,
      )
  })

  it('are refused where nothing tells them', async () => {
    const model = await open()
    const ask = (options: object) => generate(model, { inputIds: [1], ...options })
    await expect(ask({ maxNewTokens: 0, logprobs: 1 })).rejects.toThrow(
      'maxNewTokens must be a whole number of at least 1, got 0',
    )
    await expect(ask({ beams: 2, logprobs: 1 })).rejects.toThrow('logprobs tells of single tokens')
    await expect(ask({ beams: 2, promptLogprobs: 1 })).rejects.toThrow('promptLogprobs tells of single tokens')
    await expect(ask({ logprobs: -1 })).rejects.toThrow('logprobs must be a whole number of at least 0')
  })
})
