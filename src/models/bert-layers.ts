/** @file The layers that BERT began and RoBERTa and DeBERTa keep: attention and two dense layers, each followed by a norm. */
import type { Value } from '../graph/types.js'
import type { Activation } from './activations.js'
import type { ConfigReader, Json } from './config-reader.js'
import { activationOf, evenHeads } from './encoder.js'
import type { ModelBuilder } from './model-builder.js'

/** An encoder in numbers. */
export interface BertConfig {
  readonly vocabularySize: number
  readonly hidden: number
  readonly intermediate: number
  readonly layers: number
  readonly heads: number
  readonly headDim: number
  readonly epsilon: number
  readonly activation: Activation
  readonly maxPositions: number
  readonly tokenTypes: number
  readonly dropout: EncoderDropout
}

/** Probabilities of config.json. */
export interface EncoderDropout {
  /** Of embeddings, and of what a layer adds to the hidden states. */
  readonly hidden: number
  /** Of the weights of attention. */
  readonly attention: number
  /** Of what a head reads. */
  readonly head: number
}

/** Values of transformers' `BertConfig`, which published configs may leave out. */
export const bertDefaults: Readonly<Record<string, Json>> = {
  vocab_size: 30_522,
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
  hidden_act: 'gelu',
  max_position_embeddings: 512,
  type_vocab_size: 2,
  layer_norm_eps: 1e-12,
  hidden_dropout_prob: 0.1,
  attention_probs_dropout_prob: 0.1,
}

/**
 * Reads config.json of a BERT-like encoder.
 * @throws InvalidModelError for decoders, for relative positions of BERT's kind, and for numbers that do not fit together
 */
export function readBert(config: ConfigReader): BertConfig {
  config.expect('is_decoder', false)
  config.expect('add_cross_attention', false)
  config.expect('position_embedding_type', 'absolute')
  return {
    vocabularySize: config.integer('vocab_size'),
    hidden: config.integer('hidden_size'),
    intermediate: config.integer('intermediate_size'),
    layers: config.integer('num_hidden_layers'),
    ...evenHeads(config, 'hidden_size', 'num_attention_heads'),
    epsilon: config.number('layer_norm_eps'),
    activation: activationOf(config, 'hidden_act'),
    maxPositions: config.integer('max_position_embeddings'),
    tokenTypes: config.integer('type_vocab_size'),
    dropout: readDropout(config),
  }
}

/** @param headKey key of the head's own probability, which is that of hidden states where it is absent */
export function readDropout(config: ConfigReader, headKey = 'classifier_dropout'): EncoderDropout {
  const hidden = config.probability('hidden_dropout_prob')
  return {
    hidden,
    attention: config.probability('attention_probs_dropout_prob'),
    head: config.probability(headKey, hidden),
  }
}

/**
 * One layer: x ← norm(x + dense(attention(x))), then x ← norm(x + dense(activation(dense(x)))).
 * @param x [batch*sequence, hidden]
 * @param attention what the heads hear, [batch*sequence, hidden], from x and the module path of the attention
 */
export function bertLayer(
  model: ModelBuilder,
  { hidden, intermediate, activation, epsilon, dropout }: BertConfig,
  name: string,
  x: Value,
  attention: (x: Value, name: string) => Value,
): Value {
  const { b } = model
  const dense = (path: string, y: Value, from: number, to: number): Value => model.linear(path, y, from, to, { bias: true })
  const added = (path: string, y: Value, sum: Value): Value =>
    model.layerNorm(`${path}.LayerNorm`, b.add(model.dropout(y, dropout.hidden), sum), hidden, epsilon)
  return b.scope(name, () => {
    const heard = dense(`${name}.attention.output.dense`, attention(x, `${name}.attention.self`), hidden, hidden)
    const attended = added(`${name}.attention.output`, heard, x)
    const inner = activation(b, dense(`${name}.intermediate.dense`, attended, hidden, intermediate))
    return added(`${name}.output`, dense(`${name}.output.dense`, inner, intermediate, hidden), attended)
  })
}
