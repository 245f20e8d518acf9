/** @file The decoder that Llama began and Mistral and Qwen vary: rotary grouped-query attention, gated MLP, RMS norms. */
import { InvalidModelError } from '../errors.js'
import type { Value } from '../graph/types.js'
import { activationNamed, type Activation } from './activations.js'
import type { Backbone } from './architecture.js'
import { CausalAttention, languageModelInputs } from './attention.js'
import type { ConfigReader } from './config-reader.js'
import type { ModelBuilder } from './model-builder.js'
import { readRope, RotaryEmbedding, type Rope } from './rope.js'

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
  readonly rope: Rope
  /** The head shares the embedding's matrix. */
  readonly tied: boolean
  /** Per layer, the sliding window; undefined is full attention. */
  readonly windows: readonly (number | undefined)[]
  /** Bias of q_proj, k_proj and v_proj. */
  readonly qkvBias: boolean
  /** Bias of o_proj. */
  readonly outputBias: boolean
  /** Bias of gate_proj, up_proj and down_proj. */
  readonly mlpBias: boolean
  /** RMS norm over each head of queries and keys, before rotation. */
  readonly queryKeyNorm: boolean
}

/** What an architecture adds to the keys that all of them share; full attention and no biases unless said. */
export type DecoderVariant = Partial<Pick<DecoderConfig, 'windows' | 'qkvBias' | 'outputBias' | 'mlpBias' | 'queryKeyNorm'>> & {
  /** Head size where `head_dim` is absent; `hidden_size / num_attention_heads` unless said. */
  readonly defaultHeadDim?: number
}

/**
 * Reads config.json of a Llama-like model.
 * @throws InvalidModelError for missing keys and for numbers that do not fit together
 */
export function readDecoder(config: ConfigReader, variant: DecoderVariant = {}): DecoderConfig {
  const hidden = config.integer('hidden_size')
  const layers = config.integer('num_hidden_layers')
  const heads = config.integer('num_attention_heads')
  const kvHeads = config.integer('num_key_value_heads', heads)
  if (heads % kvHeads !== 0)
    throw new InvalidModelError(
      `${config.source}: "num_attention_heads" (${heads}) must be a multiple of "num_key_value_heads" (${kvHeads})`,
    )
  const headDim = config.integer('head_dim', variant.defaultHeadDim ?? Math.floor(hidden / heads))
  const rope = readRope(config, headDim)
  if (rope.rotaryDim !== headDim)
    throw new InvalidModelError(
      `${config.source}: "partial_rotary_factor" is not supported for model type "${config.string('model_type')}"`,
    )
  return {
    vocabularySize: config.integer('vocab_size'),
    hidden,
    intermediate: config.integer('intermediate_size'),
    layers,
    heads,
    kvHeads,
    headDim,
    epsilon: config.number('rms_norm_eps', 1e-6),
    activation: activationNamed(config.string('hidden_act', 'silu'), `${config.source}: "hidden_act"`),
    rope,
    tied: config.boolean('tie_word_embeddings', false),
    windows: variant.windows ?? Array.from({ length: layers }, () => undefined),
    qkvBias: variant.qkvBias ?? false,
    outputBias: variant.outputBias ?? false,
    mlpBias: variant.mlpBias ?? false,
    queryKeyNorm: variant.queryKeyNorm ?? false,
  }
}

/** Builds the graph of a decoder, with transformers' module names (`model.layers.0.self_attn.q_proj`, …). */
export function buildDecoder(model: ModelBuilder, decoder: DecoderConfig): Backbone {
  const { b } = model
  const { vocabularySize, hidden, intermediate, layers, heads, kvHeads, headDim, epsilon, rope } = decoder
  const { inputIds, attentionMask, positionIds } = languageModelInputs(model)
  const attention = new CausalAttention(model, attentionMask, decoder)
  const rotary = new RotaryEmbedding(model, positionIds, rope, headDim)
  const cached = model.options.mode === 'cached'

  const selfAttention = (x: Value, layer: number, name: string): Value => {
    const project = (part: string, count: number): Value =>
      attention.splitHeads(model.linear(`${name}.${part}_proj`, x, hidden, count * headDim, { bias: decoder.qkvBias }), count)
    const normed = (part: string, y: Value): Value =>
      decoder.queryKeyNorm ? model.rmsNorm(`${name}.${part}_norm`, y, headDim, epsilon) : y
    const present = (part: string): string | undefined => (cached ? `present_${part}.${layer}` : undefined)
    const q = rotary.rotate(attention.headsFirst(normed('q', project('q', heads))), heads)
    const k = rotary.rotate(attention.headsFirst(normed('k', project('k', kvHeads))), kvHeads, present('key'))
    const v = attention.headsFirst(project('v', kvHeads), present('value'))
    const context = attention.attend(layer, q, k, v, headDim ** -0.5)
    return model.linear(`${name}.o_proj`, context, heads * headDim, hidden, { bias: decoder.outputBias })
  }

  const mlp = (x: Value, name: string): Value => {
    const options = { bias: decoder.mlpBias }
    const gate = decoder.activation(b, model.linear(`${name}.gate_proj`, x, hidden, intermediate, options))
    const up = model.linear(`${name}.up_proj`, x, hidden, intermediate, options)
    return model.linear(`${name}.down_proj`, b.mul(gate, up), intermediate, hidden, options)
  }

  let x = b.reshape(model.embedding('model.embed_tokens', inputIds, vocabularySize, hidden), ['batch*sequence', hidden])
  for (let layer = 0; layer < layers; layer++) {
    const name = `model.layers.${layer}`
    x = b.scope(name, () => {
      const attended = b.add(
        x,
        selfAttention(model.rmsNorm(`${name}.input_layernorm`, x, hidden, epsilon), layer, `${name}.self_attn`),
      )
      return b.add(attended, mlp(model.rmsNorm(`${name}.post_attention_layernorm`, attended, hidden, epsilon), `${name}.mlp`))
    })
  }
  return {
    hidden: model.rmsNorm('model.norm', x, hidden, epsilon),
    head: (rows) => model.head('lm_head', rows, hidden, vocabularySize, decoder.tied ? 'model.embed_tokens.weight' : undefined),
    vocabularySize,
    maxPositions: rope.maxPositions,
    present: attention.outputs,
    ...(cached && { cache: { layers, kvHeads, headDim } }),
  }
}

/**
 * Windows per layer of the models that mix full and sliding attention: by `layer_types`, or, without it, from layer
 * `max_window_layers` on; none unless `use_sliding_window`.
 * @throws InvalidModelError for another kind of layer, and for a sliding layer without a window
 */
export function mixedWindows(config: ConfigReader): (number | undefined)[] {
  const layers = config.integer('num_hidden_layers')
  const window = config.boolean('use_sliding_window', false) ? windowSize(config) : undefined
  const types = config.strings('layer_types')
  if (types === undefined) {
    const first = config.integer('max_window_layers', 28)
    return Array.from({ length: layers }, (_, i) => (i >= first ? window : undefined))
  }
  if (types.length !== layers)
    throw new InvalidModelError(`${config.source}: "layer_types" has ${types.length} entries for ${layers} layers`)
  return types.map((type, i) => {
    if (type === 'full_attention') return undefined
    if (type !== 'sliding_attention')
      throw new InvalidModelError(
        `${config.source}: layer ${i} is of type "${type}"; supported are full_attention and sliding_attention`,
      )
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
