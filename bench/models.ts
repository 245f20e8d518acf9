/** @file Models with random weights, written once into a temporary folder: their speed does not depend on what they know. */
import { existsSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeSafetensors } from '../src/formats/safetensors-write.js'
import { ConfigReader, type Json } from '../src/models/config-reader.js'
import { randomWeights } from '../src/models/random.js'

/** Everything that the benchmark writes and may find again. */
export const folder = join(tmpdir(), 'lowrank-bench')

export const configs = {
  'gpt2-small': {
    ...{ architectures: ['GPT2LMHeadModel'], model_type: 'gpt2', activation_function: 'gelu_new', layer_norm_epsilon: 1e-5 },
    ...{ vocab_size: 50257, n_positions: 1024, n_embd: 768, n_layer: 12, n_head: 12, tie_word_embeddings: true },
    // transformers' default is 0.1; a frozen base is better without, and ours has none.
    ...{ resid_pdrop: 0, embd_pdrop: 0, attn_pdrop: 0 },
  },
  /** The sizes of Qwen2-0.5B: the vocabulary is more than a quarter of it. */
  'qwen2-0.5b': {
    ...{ architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2', hidden_act: 'silu', rms_norm_eps: 1e-6 },
    ...{ vocab_size: 151936, hidden_size: 896, intermediate_size: 4864, num_hidden_layers: 24 },
    ...{ num_attention_heads: 14, num_key_value_heads: 2, max_position_embeddings: 32768, rope_theta: 1000000 },
    ...{ tie_word_embeddings: true, use_sliding_window: false, attention_dropout: 0 },
  },
  'bert-base': {
    ...{ architectures: ['BertForSequenceClassification'], model_type: 'bert', hidden_act: 'gelu', layer_norm_eps: 1e-12 },
    ...{ vocab_size: 30522, hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 12, num_attention_heads: 12 },
    ...{ max_position_embeddings: 512, type_vocab_size: 2, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 },
    ...{ id2label: { 0: 'no', 1: 'yes' }, label2id: { no: 0, yes: 1 }, problem_type: 'single_label_classification' },
  },
} as const

export type ModelName = keyof typeof configs

/** A model with random weights, written once. @returns its folder */
export async function randomModel(name: ModelName): Promise<string> {
  const config = configs[name]
  const path = join(folder, `${name}-model`)
  if (!existsSync(join(path, 'config.json'))) {
    await mkdir(path, { recursive: true })
    const weights = randomWeights(new ConfigReader(config as unknown as Record<string, Json>, path), 1)
    await writeFile(join(path, 'part'), encodeSafetensors(weights))
    await rename(join(path, 'part'), join(path, 'model.safetensors'))
    // Last: whoever finds it finds all.
    await writeFile(join(path, 'config.json'), `${JSON.stringify(config)}\n`)
  }
  return path
}

/** GPT-2 small with random weights. @returns its folder */
export const gpt2Small = (): Promise<string> => randomModel('gpt2-small')
