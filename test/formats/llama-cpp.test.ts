/** @file Adapters that we wrote, run by llama.cpp. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Llama, LlamaModel, Token } from 'node-llama-cpp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { convert } from '../../src/adapter/convert.js'
import { loadAdapter } from '../../src/adapter/adapter.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { generate } from '../../src/generate/generate.js'
import { hostTensor, floats, tensorsOf } from '../models/golden.js'
import { testEnvironment } from '../support/environment.js'
import { ggufModel } from '../support/gguf-model.js'

/** llama.cpp with its prebuilt program for this machine, or undefined. */
async function openLlama(): Promise<Llama | undefined> {
  const { getLlama, LlamaLogLevel, NoBinaryFoundError } = await import('node-llama-cpp')
  try {
    return await getLlama({
      build: 'never',
      gpu: false,
      skipDownload: true,
      progressLogs: false,
      logLevel: LlamaLogLevel.error,
      maxThreads: 2,
    })
  } catch (error) {
    if (error instanceof NoBinaryFoundError) return undefined
    throw error
  }
}

const golden = resolve(import.meta.dirname, '../fixtures/golden/peft')
const llama = await openLlama()

interface Answer {
  readonly ids: readonly number[]
  /** Of the token after the prompt, by id. */
  readonly probabilities: Float64Array
}

async function ask(model: LlamaModel, prompt: readonly number[], count: number, lora: string): Promise<Answer> {
  const context = await model.createContext({
    contextSize: 64,
    flashAttention: false,
    experimentalKvCacheKeyType: 'F32',
    experimentalKvCacheValueType: 'F32',
    lora,
  })
  try {
    const sequence = context.getSequence()
    const tokens = [...prompt] as Token[]
    const last = tokens.pop()!
    const output = await sequence.controlledEvaluate([...tokens, [last, { generateNext: { probabilities: true } }]])
    const { next } = output.at(-1)!
    const probabilities = new Float64Array(next.probabilities!.size)
    for (const [token, value] of next.probabilities!) probabilities[token] = value
    await sequence.clearHistory()
    const ids: number[] = []
    for await (const token of sequence.evaluate([...prompt] as Token[], { temperature: 0, yieldEogToken: true })) {
      ids.push(token)
      if (ids.length === count) break
    }
    return { ids, probabilities }
  } finally {
    await context.dispose()
  }
}

function softmax(logits: Float32Array): Float64Array {
  const top = Math.max(...logits)
  const powers = Float64Array.from(logits, (value) => Math.exp(value - top))
  const sum = powers.reduce((a, b) => a + b)
  return powers.map((value) => value / sum)
}

const largest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? 0))), 0)

describe.skipIf(llama === undefined)('adapters run by llama.cpp', () => {
  let folder: string
  beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'lowrank-gguf-'))))
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true })
    await llama?.dispose()
  })

  it.each([
    'llama',
    'llama-all-linear',
    'llama-patterns',
    'llama-rslora',
    'llama-embedding',
    'mistral',
    'qwen2',
    'qwen3',
    'gemma2',
    'gemma3',
    'phi3',
    'gpt2',
    'gpt2-all-linear',
    'gpt_neox',
  ])("%s: PEFT's probabilities and our greedy tokens", async (name) => {
    // ggml rounds its tables of GELU to 16 bits.
    const tolerance = /^(gemma|gpt)/.test(name) ? 500 : 100_000
    const at = join(golden, name)
    const environment = testEnvironment()
    const modelFile = join(folder, `${name}.gguf`)
    const adapterFile = join(folder, `${name}-adapter.gguf`)
    writeFileSync(modelFile, await ggufModel(join(at, 'model')))
    const base = await FolderModel.open(join(at, 'model'), environment)
    await convert(join(at, 'adapter'), adapterFile, { model: base }, environment)

    const tensors = await tensorsOf(join(at, 'tensors.safetensors'))
    const input = await hostTensor(tensors, 'input.input_ids')
    const mask = await hostTensor(tensors, 'input.attention_mask')
    const length = Array.from(mask.data.subarray(0, input.shape[1]), Number).lastIndexOf(1) + 1
    // llama.cpp knows no sliding window for Mistral: there the row ends with it.
    const [used, count] = name === 'mistral' ? [6, 3] : [length, 12]
    const prompt = Array.from(input.data.subarray(0, used), Number)
    const after = async (key: string): Promise<Float64Array> => {
      const logits = await floats(tensors, key)
      const vocabulary = logits.length / input.data.length
      return softmax(logits.subarray((used - 1) * vocabulary, used * vocabulary))
    }
    const expected = await after('logits')
    const effect = largest(await after('base_logits'), expected)

    const model = await llama!.loadModel({ modelPath: modelFile, gpuLayers: 0 })
    try {
      const adapted = await ask(model, prompt, count, adapterFile)
      expect(largest(adapted.probabilities, expected)).toBeLessThan(effect / tolerance)
      const ours = await generate(await loadAdapter(base, join(at, 'adapter')), { inputIds: prompt, maxNewTokens: count })
      expect(adapted.ids.slice(0, ours.ids.length)).toEqual(ours.ids)
    } finally {
      await model.dispose()
    }
  })
})
