/** Published checkpoints: their config.json as it is on the hub, their tensor names of every version, their parameter counts. */
import { describe, expect, it } from 'vitest'
import { elementCount, type FileTensor } from '../../src/graph/types.js'
import type { Json } from '../../src/models/config-reader.js'
import { buildModel, weightShapes } from '../../src/models/registry.js'
import { configOf } from './cases.js'

const gemma2 = {
  architectures: ['Gemma2ForCausalLM'],
  ...{ attention_bias: false, attention_dropout: 0.0, attn_logit_softcapping: 50.0, cache_implementation: 'hybrid' },
  ...{ final_logit_softcapping: 30.0, head_dim: 256, hidden_act: 'gelu_pytorch_tanh', hidden_activation: 'gelu_pytorch_tanh' },
  ...{ hidden_size: 2304, intermediate_size: 9216, max_position_embeddings: 8192, model_type: 'gemma2' },
  ...{ num_attention_heads: 8, num_hidden_layers: 26, num_key_value_heads: 4, pad_token_id: 0, query_pre_attn_scalar: 256 },
  ...{ rms_norm_eps: 1e-6, rope_theta: 10000.0, sliding_window: 4096, vocab_size: 256000 },
}
const gemma31b = {
  architectures: ['Gemma3ForCausalLM'],
  ...{ attention_bias: false, attn_logit_softcapping: null, final_logit_softcapping: null, head_dim: 256 },
  ...{ hidden_activation: 'gelu_pytorch_tanh', hidden_size: 1152, intermediate_size: 6912, max_position_embeddings: 32768 },
  ...{ model_type: 'gemma3_text', num_attention_heads: 4, num_hidden_layers: 26, num_key_value_heads: 1, pad_token_id: 0 },
  ...{ query_pre_attn_scalar: 256, rms_norm_eps: 1e-6, rope_local_base_freq: 10000, rope_scaling: null, rope_theta: 1000000 },
  ...{ sliding_window: 512, sliding_window_pattern: 6, vocab_size: 262144 },
}
const gemma34b = {
  ...{ architectures: ['Gemma3ForConditionalGeneration'], model_type: 'gemma3', mm_tokens_per_image: 256 },
  text_config: {
    ...{ hidden_size: 2560, intermediate_size: 10240, model_type: 'gemma3_text', num_hidden_layers: 34 },
    ...{ rope_scaling: { factor: 8.0, rope_type: 'linear' }, sliding_window: 1024 },
  },
  vision_config: { hidden_size: 1152, intermediate_size: 4304, model_type: 'siglip_vision_model', num_hidden_layers: 27 },
}
const phi3 = {
  architectures: ['Phi3ForCausalLM'],
  ...{ attention_bias: false, attention_dropout: 0.0, embd_pdrop: 0.0, hidden_act: 'silu', hidden_size: 3072 },
  ...{ intermediate_size: 8192, max_position_embeddings: 4096, model_type: 'phi3', num_attention_heads: 32 },
  ...{ num_hidden_layers: 32, num_key_value_heads: 32, original_max_position_embeddings: 4096, pad_token_id: 32000 },
  ...{ resid_pdrop: 0.0, rms_norm_eps: 1e-5, rope_scaling: null, rope_theta: 10000.0, sliding_window: 2047 },
  ...{ tie_word_embeddings: false, vocab_size: 32064 },
}
const factors = (half: number): { type: string; short_factor: number[]; long_factor: number[] } => ({
  type: 'longrope',
  short_factor: Array.from({ length: half }, (_, i) => 1 + 0.03 * i),
  long_factor: Array.from({ length: half }, (_, i) => 1 + 1.3 * i),
})
const phi3128k = { ...phi3, max_position_embeddings: 131072, sliding_window: 262144, rope_scaling: factors(48) }
const phi4mini = {
  ...phi3128k,
  ...{ num_attention_heads: 24, num_key_value_heads: 8, partial_rotary_factor: 0.75, tie_word_embeddings: true },
  ...{ vocab_size: 200064, pad_token_id: 199999, rope_scaling: factors(48) },
}
const pythia = {
  architectures: ['GPTNeoXForCausalLM'],
  ...{ bos_token_id: 0, eos_token_id: 0, hidden_act: 'gelu', hidden_size: 512, initializer_range: 0.02, intermediate_size: 2048 },
  ...{ layer_norm_eps: 1e-5, max_position_embeddings: 2048, model_type: 'gpt_neox', num_attention_heads: 8 },
  ...{ num_hidden_layers: 6, rotary_emb_base: 10000, rotary_pct: 0.25, tie_word_embeddings: false },
  ...{ use_cache: true, use_parallel_residual: true, vocab_size: 50304 },
}

/** Tensors as a checkpoint of 16-bit weights has them, none of which is read. */
function checkpoint(config: Record<string, Json>, rename: (name: string) => string, more: readonly string[] = []) {
  const tensor = (shape: readonly number[]): FileTensor => ({
    dtype: 'bfloat16',
    shape,
    file: { path: '/nowhere/model.safetensors', offset: 0, length: 2 * elementCount(shape) },
  })
  const shapes = [...weightShapes(configOf(config))]
  return new Map([
    ...shapes.map(([name, shape]) => [rename(name), tensor(shape)] as const),
    ...more.map((name) => [name, tensor([1])] as const),
  ])
}
const same = (name: string): string => name

describe.each([
  // Counts as the hub shows them; of gemma-3-4b the language model's.
  ['gemma-2-2b', gemma2, 2_614_341_888],
  ['gemma-3-1b-it', gemma31b, 999_885_952],
  ['gemma-3-4b-it', gemma34b, 3_880_263_168],
  ['Phi-3-mini-4k-instruct', phi3, 3_821_079_552],
  ['Phi-3-mini-128k-instruct', phi3128k, 3_821_079_552],
  ['Phi-4-mini-instruct', phi4mini, 3_836_021_760],
  ['pythia-70m', pythia, 70_426_624],
] as const)('%s', (_, config, parameters) => {
  it('has as many parameters as published, and builds', () => {
    const shapes = weightShapes(configOf(config))
    expect([...shapes.values()].reduce((sum, shape) => sum + elementCount(shape), 0)).toBe(parameters)
    const { graph } = buildModel(configOf(config), checkpoint(config, same), { mode: 'full', positions: 1024 }, 'w')
    const held = [...graph.initializers.values()].reduce((sum, t) => sum + ('data' in t ? t.data.byteLength : 0), 0)
    expect(held).toBeLessThan(3e6)
  })
})

describe('tensor names of published checkpoints', () => {
  const build = (config: Record<string, Json>, weights: ReturnType<typeof checkpoint>): string[] => [
    ...buildModel(configOf(config), weights, { mode: 'full', positions: 8 }, 'w').graph.modules.keys(),
  ]

  it('Gemma 3 with eyes: the names of transformers 4 and 5, what sees left aside', () => {
    const old = (name: string): string => name.replace(/^model\.language_model\./, 'language_model.model.')
    const vision = ['vision_tower.vision_model.post_layernorm.weight', 'multi_modal_projector.mm_input_projection_weight']
    const four = build(gemma34b, checkpoint(gemma34b, old, vision))
    const five = build(
      gemma34b,
      checkpoint(
        gemma34b,
        same,
        vision.map((name) => `model.${name}`),
      ),
    )
    expect(four).toEqual(five)
    expect(four).toContain('model.language_model.layers.33.self_attn.q_proj')
    expect(() => build(gemma34b, checkpoint(gemma34b, old, ['audio_tower.weight']))).toThrow(
      'unexpected tensor "audio_tower.weight"',
    )
    expect(() => build({ ...gemma34b, text_config: null }, new Map())).toThrow('key "text_config" is missing')
  })

  it('Pythia: embed_out, and the buffers of old versions', () => {
    const old = (name: string): string => name.replace(/^lm_head\./, 'embed_out.')
    const buffers = ['bias', 'masked_bias', 'rotary_emb.inv_freq'].map((name) => `gpt_neox.layers.0.attention.${name}`)
    expect(build(pythia, checkpoint(pythia, old, buffers))).toContain('lm_head')
    expect(build(pythia, checkpoint(pythia, same))).toContain('lm_head')
    expect(() => build(pythia, checkpoint(pythia, old, ['gpt_neox.layers.0.attention.rotary_emb.weight']))).toThrow('unexpected')
  })

  it('Llama for question answering: its base model is called transformer', () => {
    const answers = {
      ...{ architectures: ['LlamaForQuestionAnswering'], model_type: 'llama', vocab_size: 24, hidden_size: 16 },
      ...{ intermediate_size: 20, num_hidden_layers: 1, num_attention_heads: 4, max_position_embeddings: 32 },
    }
    expect(build(answers, checkpoint(answers, same))).toContain('transformer.layers.0.self_attn.q_proj')
  })
})

describe('configs that cannot be followed', () => {
  const refused =
    (config: Record<string, Json>): (() => unknown) =>
    () =>
      weightShapes(configOf(config))
  it('are refused by name', () => {
    expect(refused({ ...gemma2, use_bidirectional_attention: true })).toThrow(
      '"use_bidirectional_attention": true is not supported',
    )
    expect(refused({ ...gemma2, sliding_window: null })).toThrow('layer 0 is sliding_attention, but "sliding_window" is null')
    expect(refused({ ...gemma2, attn_logit_softcapping: 0 })).toThrow('"attn_logit_softcapping" must be greater than 0, got 0')
    expect(refused({ ...gemma31b, layer_types: ['full_attention'] })).toThrow('"layer_types" has 1 entries for 26 layers')
    expect(refused({ ...phi3, attention_bias: true })).toThrow('"attention_bias": true is not supported')
    expect(refused({ ...phi3, rope_scaling: { ...factors(48), long_factor: [1] } })).toThrow('must be a list of 48 numbers')
    expect(refused({ ...pythia, rotary_pct: 0.01 })).toThrow("even number of features up to the head's 64, got 0")
    expect(refused({ ...pythia, num_attention_heads: 7 })).toThrow('"hidden_size" (512) must be a multiple')
  })
})
