/**
 * @file Models of the tests as GGUF files in float32, so that llama.cpp can run them: what its converter does to the weights
 * of these architectures. The vocabulary is made up, as the tests speak in token ids.
 */
import { readFileSync } from 'node:fs'
import { encodeGguf } from '../../src/formats/gguf/index.js'
import type { GgufValue } from '../../src/formats/gguf/types.js'
import { loadTensor, readSafetensorsHeader, toFloat32 } from '../../src/formats/safetensors.js'
import { float32 } from '../../src/graph/constants.js'
import type { HostTensor } from '../../src/graph/types.js'
import { nodeFiles } from '../../src/io/node-files.js'

type Config = Record<string, unknown>

const blockNames: readonly [string, string][] = [
  ['self_attn.q_proj', 'attn_q'],
  ['self_attn.k_proj', 'attn_k'],
  ['self_attn.v_proj', 'attn_v'],
  ['self_attn.qkv_proj', 'attn_qkv'],
  ['self_attn.o_proj', 'attn_output'],
  ['self_attn.q_norm', 'attn_q_norm'],
  ['self_attn.k_norm', 'attn_k_norm'],
  ['mlp.gate_up_proj', 'ffn_up'],
  ['mlp.gate_proj', 'ffn_gate'],
  ['mlp.up_proj', 'ffn_up'],
  ['mlp.down_proj', 'ffn_down'],
  ['input_layernorm', 'attn_norm'],
  ['pre_feedforward_layernorm', 'ffn_norm'],
  ['post_feedforward_layernorm', 'post_ffw_norm'],
  ['post_attention_layernorm', 'ffn_norm'],
  ['ln_1', 'attn_norm'],
  ['ln_2', 'ffn_norm'],
  ['attn.c_attn', 'attn_qkv'],
  ['attn.c_proj', 'attn_output'],
  ['mlp.c_fc', 'ffn_up'],
  ['mlp.c_proj', 'ffn_down'],
  ['attention.query_key_value', 'attn_qkv'],
  ['attention.dense', 'attn_output'],
  ['mlp.dense_h_to_4h', 'ffn_up'],
  ['mlp.dense_4h_to_h', 'ffn_down'],
]

const outerNames: Readonly<Record<string, string>> = {
  ...{ 'model.embed_tokens': 'token_embd', 'transformer.wte': 'token_embd', 'gpt_neox.embed_in': 'token_embd' },
  ...{ 'model.norm': 'output_norm', 'transformer.ln_f': 'output_norm', 'gpt_neox.final_layer_norm': 'output_norm' },
  ...{ lm_head: 'output', embed_out: 'output', 'transformer.wpe': 'position_embd' },
}

const isGemma = (type: string): boolean => type.startsWith('gemma')

function nameOf(name: string, type: string): string {
  const [, module, part] = /^(.*)\.(weight|bias)$/.exec(name)!
  const [, block, inner] = /\.(\d+)\.(.*)$/.exec(module!) ?? []
  if (block === undefined) return `${outerNames[module!]}.${part}`
  const known = blockNames.find(([from]) => from === inner)![1]
  const isAfter = inner === 'post_attention_layernorm' && (type === 'gemma2' || type === 'gemma3')
  return `blk.${block}.${isAfter ? 'post_attention_norm' : known}.${part}`
}

/** [outer, groups, inner, width] as [outer, inner, groups, width]. */
function regroup(data: Float32Array, outer: number, groups: number, inner: number): Float32Array {
  const width = data.length / (outer * groups * inner)
  const result = new Float32Array(data.length)
  for (let o = 0; o < outer; o++)
    for (let g = 0; g < groups; g++)
      for (let i = 0; i < inner; i++) {
        const from = ((o * groups + g) * inner + i) * width
        result.set(data.subarray(from, from + width), ((o * inner + i) * groups + g) * width)
      }
  return result
}

function converted(name: string, tensor: HostTensor, type: string, heads: number, kvHeads: number): HostTensor {
  const { shape } = tensor
  const data = toFloat32(tensor)
  const rows = shape[0]!
  if (type === 'llama' && /\.attn_[qk]\./.test(name)) {
    const count = name.includes('attn_q') ? heads : kvHeads
    return float32(shape, regroup(data, count, 2, rows / count / 2))
  }
  // Rows of [head, part, …] become [part, head, …].
  if (type === 'gptneox' && name.includes('attn_qkv')) return float32(shape, regroup(data, 1, heads, 3))
  if (isGemma(type) && /norm\.weight$/.test(name)) return float32(shape, data.map((value) => value + 1)) // prettier-ignore
  if (type === 'gpt2' && shape.length === 2 && name.startsWith('blk.')) {
    const [inputs, outputs] = shape as [number, number]
    const turned = new Float32Array(data.length)
    for (let i = 0; i < inputs; i++) for (let j = 0; j < outputs; j++) turned[j * inputs + i] = data[i * outputs + j]!
    return float32([outputs, inputs], turned)
  }
  return float32(shape, data)
}

/** llama.cpp's name for a `model_type`. */
const architectureOf = (type: string): string => ({ mistral: 'llama', gpt_neox: 'gptneox', gemma3_text: 'gemma3' })[type] ?? type

/** The model of a folder as a GGUF file. */
export async function ggufModel(folder: string): Promise<Uint8Array> {
  const files = nodeFiles()
  const config = JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')) as Config
  const type = architectureOf(config['model_type'] as string)
  const get = (...keys: string[]): number => keys.map((key) => config[key]).find((value) => value !== undefined) as number
  const heads = get('num_attention_heads', 'n_head')
  const kvHeads = get('num_key_value_heads', 'num_attention_heads', 'n_head')
  const hidden = get('hidden_size', 'n_embd')
  const headDim = get('head_dim') ?? hidden / heads
  const vocabulary = get('vocab_size')
  const rope = (config['rope_parameters'] ?? {}) as Config
  const full = (rope['full_attention'] ?? rope) as Config

  const u32 = (value: number): GgufValue => ({ type: 'uint32', value })
  const f32 = (value: number): GgufValue => ({ type: 'float32', value })
  const text = (value: string): GgufValue => ({ type: 'string', value })
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', text(type)],
    ['general.type', text('model')],
    ['general.name', text('test')],
  ])
  const set = (key: string, value: GgufValue): unknown => metadata.set(`${type}.${key}`, value)
  set('context_length', u32(get('max_position_embeddings', 'n_positions')))
  set('embedding_length', u32(hidden))
  set('block_count', u32(get('num_hidden_layers', 'n_layer')))
  set('feed_forward_length', u32(get('intermediate_size') ?? 4 * hidden))
  set('attention.head_count', u32(heads))
  set('attention.head_count_kv', u32(kvHeads))
  set('attention.key_length', u32(headDim))
  set('attention.value_length', u32(headDim))
  if (config['rms_norm_eps'] !== undefined) set('attention.layer_norm_rms_epsilon', f32(get('rms_norm_eps')))
  else set('attention.layer_norm_epsilon', f32(get('layer_norm_epsilon', 'layer_norm_eps')))
  set('rope.dimension_count', u32(headDim * ((full['partial_rotary_factor'] as number | undefined) ?? 1)))
  set('rope.freq_base', f32((full['rope_theta'] as number | undefined) ?? 10_000))
  if (config['use_parallel_residual'] !== undefined)
    set('use_parallel_residual', { type: 'bool', value: config['use_parallel_residual'] as boolean })
  if (type === 'gemma2') {
    set('attn_logit_softcapping', f32(get('attn_logit_softcapping')))
    set('final_logit_softcapping', f32(get('final_logit_softcapping')))
  }
  if (isGemma(type) && type !== 'gemma') set('attention.sliding_window', u32(get('sliding_window')))
  if (type === 'phi3') set('rope.scaling.original_context_length', u32(get('max_position_embeddings')))

  // A byte-level vocabulary skips what it does not know, where others end the process.
  const tokens = Array.from({ length: vocabulary }, (_, i) => (i < 4 ? ['<unk>', '<s>', '</s>', 'Ċ'][i]! : `w${i}`))
  metadata.set('tokenizer.ggml.model', text('gpt2'))
  metadata.set('tokenizer.ggml.pre', text('default'))
  metadata.set('tokenizer.ggml.tokens', { type: 'array', items: 'string', value: tokens })
  metadata.set('tokenizer.ggml.merges', { type: 'array', items: 'string', value: ['w 4'] })
  metadata.set('tokenizer.ggml.token_type', {
    ...{ type: 'array', items: 'int32' },
    value: tokens.map((_, i) => (i === 0 ? 2 : i < 3 ? 3 : 1)),
  })

  const { tensors } = await readSafetensorsHeader(files, `${folder}/model.safetensors`)
  const converts = new Map<string, HostTensor>()
  for (const [from, tensor] of tensors) {
    if (/\.(attn\.(masked_)?bias|inv_freq)$/.test(from)) continue
    const name = nameOf(from, type)
    converts.set(name, converted(name, await loadTensor(files, tensor), type, heads, kvHeads))
  }
  return encodeGguf(metadata, converts)
}
