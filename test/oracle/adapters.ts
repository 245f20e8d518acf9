/** @file Adapters of every kind that we write, for Python's PEFT to load. The same numbers at each run. */
import { join } from 'node:path'
import { addLora, type LoraOptions } from '../../src/core/adapter.js'
import { Model } from '../../src/core/model.js'
import { testEnvironment } from '../support/environment.js'

const golden = join(import.meta.dirname, '../fixtures/golden/peft')

export interface AdapterCase {
  readonly name: string
  /** Golden case whose model is the base. */
  readonly base: string
  readonly options: LoraOptions
}

/** `initLoraWeights: false` fills B too; every branch is loud enough to be missed. */
const random = { r: 4, alpha: 16, initLoraWeights: false, baseModelNameOrPath: 'base' } as const

export const adapterCases: readonly AdapterCase[] = [
  { name: 'llama-default', base: 'llama', options: { ...random, seed: 1 } },
  { name: 'llama-rslora', base: 'llama', options: { ...random, useRslora: true, targetModules: ['q_proj', 'o_proj'] } },
  {
    name: 'llama-patterns',
    base: 'llama',
    options: {
      ...random,
      targetModules: ['q_proj', 'v_proj', 'down_proj'],
      rankPattern: { 'layers.0.self_attn.q_proj': 2, '^model.layers.1.mlp.down_proj': 6 },
      alphaPattern: { v_proj: 3, down_proj: 40 },
      useRslora: true,
    },
  },
  { name: 'llama-all-linear', base: 'llama', options: { ...random, targetModules: 'all-linear', dropout: 0.1 } },
  { name: 'llama-head', base: 'llama', options: { ...random, targetModules: ['lm_head', 'k_proj'] } },
  {
    name: 'llama-regex-excluded',
    base: 'llama',
    options: { ...random, targetModules: '.*self_attn\\.[qkv]_proj', excludeModules: ['k_proj'] },
  },
  {
    name: 'llama-layers',
    base: 'llama',
    options: { ...random, targetModules: ['gate_proj', 'up_proj'], layersToTransform: [1] },
  },
  { name: 'gpt2-default', base: 'gpt2', options: { ...random, fanInFanOut: true } },
  { name: 'gpt2-conv1d', base: 'gpt2', options: { ...random, targetModules: ['c_attn', 'c_proj', 'c_fc'] } },
  { name: 'gpt2-all-linear', base: 'gpt2', options: { ...random, targetModules: 'all-linear', useRslora: true } },
  { name: 'mistral-all-linear', base: 'mistral', options: { ...random, targetModules: 'all-linear' } },
  { name: 'qwen2-default', base: 'qwen2', options: random },
  { name: 'qwen3-all-linear', base: 'qwen3', options: { ...random, targetModules: 'all-linear' } },
]

/** Two rows, the second padded at its end. */
export const inputs = {
  input_ids: [
    [5, 17, 42, 8, 91],
    [60, 3, 3, 0, 0],
  ],
  attention_mask: [
    [1, 1, 1, 1, 1],
    [1, 1, 1, 0, 0],
  ],
} as const

export const baseFolder = ({ base }: AdapterCase): string => join(golden, base, 'model')

/** Writes the adapter of a case with `Adapter.save`. */
export async function writeAdapter(adapterCase: AdapterCase, folder: string): Promise<void> {
  const model = await Model.open(baseFolder(adapterCase), testEnvironment())
  await addLora(model, adapterCase.options).save(folder)
}
