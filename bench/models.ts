/** @file Models with random weights, written once into a temporary folder: their speed does not depend on what they know. */
import { existsSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeSafetensors, safetensorsChunks } from '../src/formats/index.js'
import { nodeEnvironment, Random, randomWeights, weightShapes } from '../src/index.js'

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
  /** The sizes of TinyLlama, 1.1 billion parameters. */
  'llama-1.1b': {
    ...{ architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_act: 'silu', rms_norm_eps: 1e-5 },
    ...{ vocab_size: 32000, hidden_size: 2048, intermediate_size: 5632, num_hidden_layers: 22 },
    ...{ num_attention_heads: 32, num_key_value_heads: 4, max_position_embeddings: 2048, rope_theta: 10000 },
    ...{ tie_word_embeddings: false, attention_bias: false, mlp_bias: false },
  },
  /** The sizes of SmolLM2-135M. */
  'smollm2-135m': {
    ...{ architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_act: 'silu', rms_norm_eps: 1e-5 },
    ...{ vocab_size: 49152, hidden_size: 576, intermediate_size: 1536, num_hidden_layers: 30 },
    ...{ num_attention_heads: 9, num_key_value_heads: 3, max_position_embeddings: 8192, rope_theta: 100000 },
    ...{ tie_word_embeddings: true, attention_bias: false, mlp_bias: false, torch_dtype: 'float32' },
  },
  'bert-base': {
    ...{ architectures: ['BertForSequenceClassification'], model_type: 'bert', hidden_act: 'gelu', layer_norm_eps: 1e-12 },
    ...{ vocab_size: 30522, hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 12, num_attention_heads: 12 },
    ...{ max_position_embeddings: 512, type_vocab_size: 2, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 },
    ...{ id2label: { 0: 'no', 1: 'yes' }, label2id: { no: 0, yes: 1 }, problem_type: 'single_label_classification' },
  },
} as const

export type ModelName = keyof typeof configs

/** Numbers of a bfloat16 matrix that repeat: a random one of a billion numbers takes minutes, and no engine sees the difference. */
const PERIOD = 1 << 20

/** A safetensors file of random weights: float32, but bfloat16 in blocks that repeat where they are gigabytes. */
function weightsOf(name: ModelName): AsyncIterable<Uint8Array> | Uint8Array {
  const config = configs[name]
  if (name !== 'llama-1.1b') return encodeSafetensors(randomWeights(config, 1))
  const random = Random.derive(1, name)
  const one = 0x3f80
  // The upper half of a float32 is the bfloat16 of the same number, rounded towards zero.
  const bits = (x: number): number => new Uint32Array(Float32Array.of(x).buffer)[0]! >>> 16
  const block = Uint16Array.from({ length: PERIOD }, () => bits(random.normal(0, 0.02)))
  const tensors = [...weightShapes(config)].map(([tensor, shape], i) => ({
    ...{ name: tensor, dtype: 'bfloat16' as const, shape },
    load: () => {
      const data = new Uint16Array(shape.reduce((product, dim) => product * dim, 1))
      if (shape.length === 1) data.fill(one)
      else {
        // Each begins elsewhere: of equal weights the runtime keeps one.
        const start = (i * 4099) % PERIOD
        for (let at = -start; at < data.length; at += PERIOD)
          data.set(block.subarray(Math.max(0, -at), Math.min(PERIOD, data.length - at)), Math.max(0, at))
      }
      return Promise.resolve(new Uint8Array(data.buffer))
    },
  }))
  return safetensorsChunks(tensors)
}

/** A model with random weights, written once. @returns its folder */
export async function randomModel(name: ModelName): Promise<string> {
  const config = configs[name]
  const path = join(folder, `${name}-model`)
  if (!existsSync(join(path, 'config.json'))) {
    await mkdir(path, { recursive: true })
    await nodeEnvironment().files.write(join(path, 'part'), weightsOf(name))
    await rename(join(path, 'part'), join(path, 'model.safetensors'))
    // Last: whoever finds it finds all.
    await writeFile(join(path, 'config.json'), `${JSON.stringify(config)}\n`)
  }
  return path
}

/** GPT-2 small with random weights. @returns its folder */
export const gpt2Small = (): Promise<string> => randomModel('gpt2-small')
