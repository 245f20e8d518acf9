/** @file Adapters of every kind that we write, for Python's PEFT to load. The same numbers at each run. */
import { join } from 'node:path'
import { addLora, type LoraOptions } from '../../src/adapter/adapter.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { Random } from '../../src/util/rng.js'
import { testEnvironment } from '../support/environment.js'

const golden = join(import.meta.dirname, '../fixtures/golden/peft')

export interface AdapterCase {
  readonly name: string
  /** Golden case whose model is the base. */
  readonly base: string
  readonly options: LoraOptions
  /** The tensors are moved away from where they begin. */
  readonly moved?: boolean
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
  { name: 'llama-embedding', moved: true, base: 'llama', options: { ...random, targetModules: ['embed_tokens', 'q_proj'] } },
  {
    name: 'llama-dora',
    moved: true,
    base: 'llama',
    options: { ...random, useDora: true, useRslora: true, targetModules: 'all-linear' },
  },
  {
    name: 'llama-dora-embedding',
    moved: true,
    base: 'llama',
    options: { ...random, useDora: true, targetModules: '.*(embed_tokens|v_proj)' },
  },
  { name: 'gpt2-dora', moved: true, base: 'gpt2', options: { ...random, useDora: true, targetModules: ['c_attn', 'c_fc'] } },
  { name: 'gpt2-bias', moved: true, base: 'gpt2', options: { ...random, loraBias: true, bias: 'lora_only' } },
  { name: 'gpt2-bias-all', moved: true, base: 'gpt2', options: { ...random, bias: 'all', modulesToSave: ['ln_f'] } },
  {
    name: 'gpt2-bitfit',
    moved: true,
    base: 'gpt2',
    options: { targetModules: 'none', bias: 'all', baseModelNameOrPath: 'base' },
  },
  { name: 'llama-saved', moved: true, base: 'llama', options: { ...random, modulesToSave: ['lm_head', 'norm'] } },
  { name: 'llama-tokens', moved: true, base: 'llama', options: { ...random, trainableTokenIndices: [5, 17, 42] } },
  {
    name: 'llama-pissa',
    moved: true,
    base: 'llama',
    options: { ...random, initLoraWeights: 'pissa', rankPattern: { v_proj: 2 } },
  },
  {
    name: 'gpt2-pissa-rslora',
    moved: true,
    base: 'gpt2',
    options: { ...random, initLoraWeights: 'pissa_niter_4', useRslora: true },
  },
  { name: 'qwen2-olora', moved: true, base: 'qwen2', options: { ...random, initLoraWeights: 'olora' } },
  { name: 'llama-orthogonal', moved: true, base: 'llama', options: { ...random, initLoraWeights: 'orthogonal' } },
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
  const model = await FolderModel.open(baseFolder(adapterCase), testEnvironment())
  const adapter = await addLora(model, adapterCase.options)
  // Values that begin as those of the base, or cancel: a little of everything.
  const random = new Random(7)
  if (adapterCase.moved === true)
    for (let i = 0; i < adapter.parameters.count; i++) adapter.parameters.data[i]! += random.normal(0, 0.1)
  await adapter.save(folder)
}
