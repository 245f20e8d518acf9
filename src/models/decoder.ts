/** @file The decoder that Llama began and Mistral and Qwen vary: rotary grouped-query attention, gated MLP, RMS norms. */
import { InvalidModelError } from '../errors.js'
import type { Value } from '../graph/types.js'
import { activationNamed, type Activation } from './activations.js'
import type { Backbone } from './architecture.js'
import { CausalAttention, languageModelInputs } from './attention.js'
import type { ConfigReader } from './config-reader.js'
import type { HeadParts, TaskHead } from './decoder-heads.js'
import type { ModelBuilder } from './model-builder.js'
import { readRope, rereading, RotaryEmbedding, type Rope, type RopeOptions } from './rope.js'

/** A decoder in numbers. */
export interface DecoderConfig {
  readonly vocabularySize: number
  readonly hidden: number
  readonly intermediate: number
  readonly layers: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly epsilon: number
  readonly activation: Activation
  /** Per layer, the rotary embedding; layers that share one name the same object. */
  readonly ropes: readonly Rope[]
  readonly maxPositions: number
  /** The head shares the embedding's matrix. */
  readonly tied: boolean
  /** Per layer, the sliding window; undefined is full attention. */
  readonly windows: readonly (number | undefined)[]
  /** Factor on the scores. */
  readonly scale: number
  /** Bias of q_proj, k_proj and v_proj. */
  readonly qkvBias: boolean
  /** Bias of o_proj. */
  readonly outputBias: boolean
  /** Bias of gate_proj, up_proj and down_proj. */
  readonly mlpBias: boolean
  /** RMS norm over each head of queries and keys, before rotation. */
  readonly queryKeyNorm: boolean
  /** q_proj, k_proj and v_proj are one qkv_proj, gate_proj and up_proj one gate_up_proj (Phi-3). */
  readonly fused: boolean
  /** Norms also behind attention and MLP, before their results are added (Gemma 2). */
  readonly postNorms: boolean
  /** Weights of norms are stored minus 1 (Gemma). */
  readonly zeroCenteredNorms: boolean
  /** Factor on the embeddings (Gemma). */
  readonly embeddingScale?: number | undefined
  /** Bounds of scores and of logits by cap·tanh(x / cap) (Gemma 2). */
  readonly attentionSoftCap?: number | undefined
  readonly logitSoftCap?: number | undefined
}

/** What an architecture adds to the keys that all of them share; nothing special by default. */
export type DecoderVariant = Partial<
  Omit<DecoderConfig, 'vocabularySize' | 'hidden' | 'intermediate' | 'layers' | 'heads' | 'kvHeads' | 'headDim' | 'tied'>
> & {
  /** Head size where `head_dim` is absent; `hidden_size / num_attention_heads` by default. */
  readonly defaultHeadDim?: number
}

/** Heads and the size of each. @throws InvalidModelError for numbers that do not fit together */
export function readHeads(config: ConfigReader, defaultHeadDim?: number): { heads: number; kvHeads: number; headDim: number } {
  const heads = config.integer('num_attention_heads')
  const kvHeads = config.integer('num_key_value_heads', heads)
  if (heads % kvHeads !== 0)
    throw new InvalidModelError(
      `${config.source}: "num_attention_heads" (${heads}) must be a multiple of "num_key_value_heads" (${kvHeads})`,
    )
  return {
    heads,
    kvHeads,
    headDim: config.integer('head_dim', defaultHeadDim ?? Math.floor(config.integer('hidden_size') / heads)),
  }
}

/** The rotary embedding of a family that rotates whole heads. @throws InvalidModelError for a part of a head */
export function wholeRope(config: ConfigReader, headDim: number, options: RopeOptions = {}): Rope {
  const rope = readRope(config, headDim, options)
  if (rope.rotaryDim !== headDim)
    throw new InvalidModelError(
      `${config.source}: "partial_rotary_factor" is not supported for model type "${config.string('model_type')}"`,
    )
  return rope
}

/**
 * Reads config.json of a Llama-like model.
 * @throws InvalidModelError for missing keys and for numbers that do not fit together
 */
export function readDecoder(config: ConfigReader, { defaultHeadDim, ...variant }: DecoderVariant = {}): DecoderConfig {
  const layers = config.integer('num_hidden_layers')
  const { heads, kvHeads, headDim } = readHeads(config, defaultHeadDim)
  const every = <T>(value: T): T[] => Array.from({ length: layers }, () => value)
  const ropes = variant.ropes ?? every(wholeRope(config, headDim))
  return {
    vocabularySize: config.integer('vocab_size'),
    hidden: config.integer('hidden_size'),
    intermediate: config.integer('intermediate_size'),
    layers,
    heads,
    kvHeads,
    headDim,
    epsilon: config.number('rms_norm_eps', 1e-6),
    activation: variant.activation ?? activationNamed(config.string('hidden_act', 'silu'), `${config.source}: "hidden_act"`),
    tied: config.boolean('tie_word_embeddings', false),
    windows: every(undefined),
    maxPositions: Math.min(...ropes.map((rope) => rope.maxPositions)),
    scale: headDim ** -0.5,
    qkvBias: false,
    outputBias: false,
    mlpBias: false,
    queryKeyNorm: false,
    fused: false,
    postNorms: false,
    zeroCenteredNorms: false,
    ...variant,
    ropes,
  }
}

/**
 * Builds the graph of a decoder, with transformers' module names (`model.layers.0.self_attn.q_proj`, …).
 * @param prefix what the module paths of the decoder without its head begin with, `model.` in most classes
 */
export function buildDecoder(
  model: ModelBuilder,
  decoder: DecoderConfig,
  head: (parts: HeadParts) => TaskHead,
  prefix: string,
): Backbone {
  const { b } = model
  const { vocabularySize, hidden, intermediate, layers, heads, kvHeads, headDim, epsilon, maxPositions } = decoder
  const { inputIds, attentionMask, positionIds } = languageModelInputs(model)
  const attention = new CausalAttention(model, attentionMask, { ...decoder, softCap: decoder.attentionSoftCap })
  const ropes = [...new Set(decoder.ropes)]
  const rotaries = ropes.map((rope, i) => new RotaryEmbedding(model, positionIds, rope, headDim, i === 0 ? 'rope' : `rope_${i}`))
  const cached = model.options.mode === 'cached'
  const norm = (name: string, x: Value, size = hidden): Value => model.rmsNorm(name, x, size, epsilon, decoder.zeroCenteredNorms)

  /** Queries, keys and values, [batch, heads or kvHeads, sequence, headDim], before rotation. */
  const project = (x: Value, layer: number, name: string): [Value, Value, Value] => {
    const options = { bias: decoder.qkvBias }
    if (decoder.fused) {
      const count = heads + 2 * kvHeads
      const qkv = attention.splitHeads(model.linear(`${name}.qkv_proj`, x, hidden, count * headDim, options), count)
      return b.split(attention.headsFirst(qkv), [heads, kvHeads, kvHeads], 1) as [Value, Value, Value]
    }
    const part = (letter: string, count: number, presentName?: string): Value => {
      const y = attention.splitHeads(model.linear(`${name}.${letter}_proj`, x, hidden, count * headDim, options), count)
      const normed = decoder.queryKeyNorm && letter !== 'v' ? norm(`${name}.${letter}_norm`, y, headDim) : y
      return attention.headsFirst(normed, presentName)
    }
    return [part('q', heads), part('k', kvHeads), part('v', kvHeads, cached ? `present_value.${layer}` : undefined)]
  }

  const selfAttention = (x: Value, layer: number, name: string): Value => {
    const rotary = rotaries[ropes.indexOf(decoder.ropes[layer]!)]!
    const [q, k, v] = project(x, layer, name)
    const rotatedKeys = rotary.rotate(k, kvHeads, cached ? `present_key.${layer}` : undefined)
    const context = attention.attend(layer, rotary.rotate(q, heads), rotatedKeys, v, decoder.scale)
    return model.linear(`${name}.o_proj`, context, heads * headDim, hidden, { bias: decoder.outputBias })
  }

  const mlp = (x: Value, name: string): Value => {
    const options = { bias: decoder.mlpBias }
    const [gate, up] = decoder.fused
      ? (b.split(model.linear(`${name}.gate_up_proj`, x, hidden, 2 * intermediate, options), [intermediate, intermediate], 1) as [
          Value,
          Value,
        ])
      : (['gate_proj', 'up_proj'].map((part) => model.linear(`${name}.${part}`, x, hidden, intermediate, options)) as [
          Value,
          Value,
        ])
    return model.linear(`${name}.down_proj`, b.mul(decoder.activation(b, gate), up), intermediate, hidden, options)
  }

  const tokens = model.embedding(`${prefix}embed_tokens`, inputIds, vocabularySize, hidden)
  const scaled = decoder.embeddingScale === undefined ? tokens : b.mul(tokens, decoder.embeddingScale)
  let x = b.reshape(scaled, ['batch*sequence', hidden])
  // With norms behind the blocks, what Llama calls the post-attention norm is one of those.
  const beforeMlp = decoder.postNorms ? 'pre_feedforward_layernorm' : 'post_attention_layernorm'
  const after = (name: string, y: Value): Value => (decoder.postNorms ? norm(name, y) : y)
  for (let layer = 0; layer < layers; layer++) {
    const name = `${prefix}layers.${layer}`
    x = b.scope(name, () => {
      const attention = selfAttention(norm(`${name}.input_layernorm`, x), layer, `${name}.self_attn`)
      const attended = b.add(x, after(`${name}.post_attention_layernorm`, attention))
      const transformed = mlp(norm(`${name}.${beforeMlp}`, attended), `${name}.mlp`)
      return b.add(attended, after(`${name}.post_feedforward_layernorm`, transformed))
    })
  }
  const last = norm(`${prefix}norm`, x)
  return {
    hidden: last,
    ...head({
      hidden: last,
      inputIds,
      attentionMask,
      vocabularySize,
      tiedTo: decoder.tied ? `${prefix}embed_tokens.weight` : undefined,
      softCap: decoder.logitSoftCap,
    }),
    vocabularySize,
    maxPositions,
    present: attention.outputs,
    ...(cached && { cache: { layers, kvHeads, headDim, ...rereading(ropes) } }),
  }
}

/**
 * `layer_types`, one for each layer; undefined where the key is absent.
 * @throws InvalidModelError for another number of entries, and for a kind that is neither full nor sliding attention
 */
export function layerTypes(config: ConfigReader): LayerType[] | undefined {
  const layers = config.integer('num_hidden_layers')
  const types = config.strings('layer_types')
  if (types === undefined) return undefined
  if (types.length !== layers)
    throw new InvalidModelError(`${config.source}: "layer_types" has ${types.length} entries for ${layers} layers`)
  types.forEach((type, i) => {
    if (type !== 'full_attention' && type !== 'sliding_attention')
      throw new InvalidModelError(
        `${config.source}: layer ${i} is of type "${type}"; supported are full_attention and sliding_attention`,
      )
  })
  return types as LayerType[]
}

export type LayerType = 'full_attention' | 'sliding_attention'

/**
 * Windows per layer of the models that mix full and sliding attention: by `layer_types`, or, without it, from layer
 * `max_window_layers` on; none unless `use_sliding_window`.
 * @throws InvalidModelError for another kind of layer, and for a sliding layer without a window
 */
export function mixedWindows(config: ConfigReader): (number | undefined)[] {
  const window = config.boolean('use_sliding_window', false) ? windowSize(config) : undefined
  const types = layerTypes(config)
  if (types === undefined) {
    const first = config.integer('max_window_layers', 28)
    return Array.from({ length: config.integer('num_hidden_layers') }, (_, i) => (i >= first ? window : undefined))
  }
  return types.map((type, i) => {
    if (type === 'full_attention') return undefined
    if (window === undefined)
      throw new InvalidModelError(
        `${config.source}: layer ${i} is sliding_attention, but "use_sliding_window" or "sliding_window" is off`,
      )
    return window
  })
}

/** `sliding_window`: 4,096 where the key is absent, as in transformers; no window where it is null. */
export function windowSize(config: ConfigReader): number | undefined {
  if (config.json['sliding_window'] === null) return undefined
  const window = config.integer('sliding_window', 4096)
  if (window < 1) throw new InvalidModelError(`${config.source}: "sliding_window" must be at least 1, got ${window}`)
  return window
}
