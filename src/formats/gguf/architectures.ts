/**
 * @file Names and orders of rows of llama.cpp's architectures: those that its own converters give to transformers' layers
 * (`convert_hf_to_gguf.py`, `gguf-py/gguf/tensor_mapping.py`).
 */

/**
 * How llama.cpp orders the rows of a projection.
 * - `rotary-q`, `rotary-k`: the two halves of each head are interleaved, as its rotation for `llama` pairs neighbours;
 * - `by-part`: rows of [head, part, feature] become [part, head, feature] (GPT-NeoX keeps q, k and v of a head together).
 */
export type RowOrder = 'rotary-q' | 'rotary-k' | 'by-part'

/** An architecture of llama.cpp. */
export interface GgufArchitecture {
  /** Value of `general.architecture`. */
  readonly name: string
  /** transformers' `model_type` values that it runs. */
  readonly modelTypes: readonly string[]
  /** Path of the list of blocks, `model.layers`. */
  readonly blocks: string
  /** ggml's name inside `blk.N` by the module's path inside a block. */
  readonly layers: Readonly<Record<string, string>>
  readonly embedding: string
  readonly head: string
  /** By ggml's name inside a block. */
  readonly rowOrders?: Readonly<Record<string, RowOrder>>
}

const mlp = { 'mlp.gate_proj': 'ffn_gate', 'mlp.up_proj': 'ffn_up', 'mlp.down_proj': 'ffn_down' }

const decoder = {
  blocks: 'model.layers',
  embedding: 'model.embed_tokens',
  head: 'lm_head',
  layers: {
    'self_attn.q_proj': 'attn_q',
    'self_attn.k_proj': 'attn_k',
    'self_attn.v_proj': 'attn_v',
    'self_attn.o_proj': 'attn_output',
    ...mlp,
  },
}

export const ggufArchitectures: readonly GgufArchitecture[] = [
  { ...decoder, name: 'llama', modelTypes: ['llama', 'mistral'], rowOrders: { attn_q: 'rotary-q', attn_k: 'rotary-k' } },
  { ...decoder, name: 'qwen2', modelTypes: ['qwen2'] },
  { ...decoder, name: 'qwen3', modelTypes: ['qwen3'] },
  { ...decoder, name: 'gemma', modelTypes: ['gemma'] },
  { ...decoder, name: 'gemma2', modelTypes: ['gemma2'] },
  { ...decoder, name: 'gemma3', modelTypes: ['gemma3_text', 'gemma3'] },
  {
    ...decoder,
    name: 'phi3',
    modelTypes: ['phi3'],
    layers: {
      'self_attn.qkv_proj': 'attn_qkv',
      'self_attn.o_proj': 'attn_output',
      'mlp.gate_up_proj': 'ffn_up',
      'mlp.down_proj': 'ffn_down',
    },
  },
  {
    name: 'gpt2',
    modelTypes: ['gpt2'],
    blocks: 'transformer.h',
    embedding: 'transformer.wte',
    head: 'lm_head',
    layers: { 'attn.c_attn': 'attn_qkv', 'attn.c_proj': 'attn_output', 'mlp.c_fc': 'ffn_up', 'mlp.c_proj': 'ffn_down' },
  },
  {
    name: 'gptneox',
    modelTypes: ['gpt_neox'],
    blocks: 'gpt_neox.layers',
    embedding: 'gpt_neox.embed_in',
    head: 'embed_out',
    layers: {
      'attention.query_key_value': 'attn_qkv',
      'attention.dense': 'attn_output',
      'mlp.dense_h_to_4h': 'ffn_up',
      'mlp.dense_4h_to_h': 'ffn_down',
    },
    rowOrders: { attn_qkv: 'by-part' },
  },
]

/** ggml's name of a module's weight, `blk.0.attn_q.weight`; undefined if llama.cpp applies no adapter there. */
export function ggufWeight(architecture: GgufArchitecture, module: string): string | undefined {
  if (module === architecture.embedding) return 'token_embd.weight'
  if (module === architecture.head || (architecture.name === 'gptneox' && module === 'lm_head')) return 'output.weight'
  const [, block, rest] = /^(\d+)\.(.*)$/.exec(module.slice(architecture.blocks.length + 1)) ?? []
  if (!module.startsWith(`${architecture.blocks}.`) || rest === undefined) return undefined
  const layer = Object.hasOwn(architecture.layers, rest) ? architecture.layers[rest] : undefined
  return layer === undefined ? undefined : `blk.${block}.${layer}.weight`
}

/** The reverse of {@link ggufWeight}. */
export function moduleOfWeight(architecture: GgufArchitecture, weight: string): string | undefined {
  if (weight === 'token_embd.weight') return architecture.embedding
  if (weight === 'output.weight') return architecture.head
  const [, block, layer] = /^blk\.(\d+)\.(.*)\.weight$/.exec(weight) ?? []
  const found = Object.entries(architecture.layers).find(([, name]) => name === layer)
  return found === undefined ? undefined : `${architecture.blocks}.${block}.${found[0]}`
}

/** The order of rows of a weight, by its ggml name. */
export const rowOrderOf = ({ rowOrders }: GgufArchitecture, weight: string): RowOrder | undefined =>
  rowOrders?.[/^blk\.\d+\.(.*)\.weight$/.exec(weight)?.[1] ?? '']

/**
 * For each row in llama.cpp's order the row in transformers' order.
 * @param heads attention heads of the projection: of queries, of keys, or of all parts
 */
export function rowSources(order: RowOrder, rows: number, heads: number): Uint32Array {
  const sources = new Uint32Array(rows)
  if (order === 'by-part') {
    const width = rows / (3 * heads)
    for (let part = 0, to = 0; part < 3; part++)
      for (let head = 0; head < heads; head++) for (let i = 0; i < width; i++) sources[to++] = (head * 3 + part) * width + i
    return sources
  }
  const width = rows / heads
  const half = width / 2
  for (let head = 0, to = 0; head < heads; head++)
    for (let i = 0; i < half; i++) for (let part = 0; part < 2; part++) sources[to++] = head * width + part * half + i
  return sources
}
