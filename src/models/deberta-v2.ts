/** @file DeBERTa-v2 and v3 (He et al., 2020): attention of content to content, content to position and position to content. */
import { InvalidModelError } from '../errors.js'
import type { Value } from '../graph/types.js'
import type { Architecture } from './architecture.js'
import { bert, bertPredictions } from './bert.js'
import { bertLayer, readBert, readDropout } from './bert-layers.js'
import type { ConfigReader } from './config-reader.js'
import { EncoderAttention } from './encoder-attention.js'
import {
  activationOf,
  classifier,
  maskedLmHead,
  refuseLanguageModelOptions,
  rowPositions,
  textInputs,
  textOutput,
  textTasks,
  tokenRows,
} from './encoder.js'
import type { ModelBuilder } from './model-builder.js'
import { readRelativePositions, RelativePositions } from './relative-positions.js'

const defaults = {
  vocab_size: 128_100,
  hidden_size: 1536,
  num_hidden_layers: 24,
  num_attention_heads: 24,
  intermediate_size: 6144,
  hidden_act: 'gelu',
  max_position_embeddings: 512,
  type_vocab_size: 0,
  layer_norm_eps: 1e-7,
  pooler_hidden_act: 'gelu',
  conv_act: 'tanh',
  hidden_dropout_prob: 0.1,
  attention_probs_dropout_prob: 0.1,
  pooler_dropout: 0,
}

/** Words of a list, or of a string that joins them by `|`. */
function words(config: ConfigReader, key: string): string[] {
  const value = config.json[key]
  if (value === undefined || value === null) return []
  return typeof value === 'string'
    ? value
        .toLowerCase()
        .split('|')
        .map((word) => word.trim())
    : (config.strings(key) ?? [])
}

/** Which of the two kinds of attention to positions there are. @throws InvalidModelError for another */
function positionKinds(config: ConfigReader): { c2p: boolean; p2c: boolean } {
  const kinds = words(config, 'pos_att_type').filter((kind) => kind !== '' && kind !== 'none')
  const unknown = kinds.find((kind) => kind !== 'c2p' && kind !== 'p2c')
  if (unknown !== undefined)
    throw new InvalidModelError(`${config.source}: "pos_att_type" names "${unknown}"; supported are c2p and p2c`)
  return { c2p: kinds.includes('c2p'), p2c: kinds.includes('p2c') }
}

/** Padding neither hears nor is heard: false there, [batch, 1, sequence, sequence]. A row of it averages all, as in transformers. */
function pairMask({ b }: ModelBuilder, attentionMask: Value): Value {
  const real = b.cast(attentionMask, 'bool')
  return b.and(b.unsqueeze(real, [1, 2]), b.unsqueeze(real, [1, 3]))
}

/** The head of the original code (`legacy: false`), whose scores are no layer. */
const originalPredictions = {
  dense: 'lm_predictions.lm_head.dense',
  norm: 'lm_predictions.lm_head.LayerNorm',
  decoder: undefined,
  decoderBias: 'lm_predictions.lm_head.bias',
} as const

export const debertaV2: Architecture = {
  modelTypes: ['deberta-v2'],
  classPrefixes: ['DebertaV2'],
  defaultTargetModules: ['query_proj', 'value_proj'],
  baseModelPrefix: 'deberta.',
  tasks: textTasks,
  ignoredTensors: bert.ignoredTensors!,
  // Published v3 checkpoints carry the heads of their pretraining, and positions that nothing reads.
  spareTensors: /^(cls|lm_predictions|mask_predictions|classifier|qa_outputs|pooler|deberta\.embeddings\.position_embeddings)\./,
  unreadModules: /^(cls|lm_predictions|mask_predictions)\./,
  dropsOut: true,
  renameTensor: bert.renameTensor!,
  build(model, givenConfig, task, base) {
    const { b } = model
    const config = givenConfig.withDefaults(defaults)
    refuseLanguageModelOptions(model, config)
    const size = readBert(config)
    const { vocabularySize, hidden, layers, heads, headDim, epsilon, maxPositions, tokenTypes } = size
    config.expect('attention_head_size', headDim)
    const dropout = readDropout(config, 'cls_dropout')
    const relative = config.boolean('relative_attention', false)
    const shared = config.boolean('share_att_key', false)
    const kinds = positionKinds(config)
    const dense = (name: string, x: Value, from: number, to: number): Value => model.linear(name, x, from, to, { bias: true })
    const norm = (name: string, x: Value): Value => model.layerNorm(name, x, hidden, epsilon)

    const { inputIds, attentionMask, tokenTypeIds } = textInputs(model, tokenTypes)
    const attention = new EncoderAttention(
      model,
      { heads, headDim, tokens: 'sequence', dropout: dropout.attention },
      pairMask(model, attentionMask),
    )
    /** 1 for tokens, 0 for padding: [batch*sequence, 1]. */
    const real = b.reshape(b.cast(attentionMask, 'float32'), [tokenRows, 1])

    const embeddings = (): Value => {
      const name = `${base}embeddings`
      const width = config.integer('embedding_size', hidden)
      let sum = model.embedding(`${name}.word_embeddings`, inputIds, vocabularySize, width)
      if (config.boolean('position_biased_input', true))
        sum = b.add(sum, model.embedding(`${name}.position_embeddings`, rowPositions(model), maxPositions, width))
      if (tokenTypeIds !== undefined)
        sum = b.add(sum, model.embedding(`${name}.token_type_embeddings`, tokenTypeIds, tokenTypes, width))
      const rows = b.reshape(sum, [tokenRows, width])
      const projected = width === hidden ? rows : model.linear(`${name}.embed_proj`, rows, width, hidden)
      return model.dropout(b.mul(norm(`${name}.LayerNorm`, projected), real), dropout.hidden)
    }

    /** The table of distances, [2*span, hidden], and how it is looked up. */
    const distances = (): { table: Value; lookup: RelativePositions } | undefined => {
      const normed = words(config, 'norm_rel_ebd').includes('layer_norm')
      const path = `${base}encoder.LayerNorm`
      if (!relative) {
        // transformers has the norm all the same, so checkpoints carry it.
        if (normed) for (const part of ['weight', 'bias']) model.weight(`${path}.${part}`, [hidden])
        return undefined
      }
      const positions = readRelativePositions(config)
      const rows = model.weight(`${base}encoder.rel_embeddings.weight`, [2 * positions.span, hidden])
      return { table: normed ? norm(path, rows) : rows, lookup: new RelativePositions(model, positions) }
    }

    const embedded = embeddings()
    const relation = distances()
    const scale = (headDim * (1 + Number(kinds.c2p) + Number(kinds.p2c))) ** -0.5

    const selfAttention = (x: Value, name: string): Value => {
      const part = (letter: string): Value => attention.headsFirst(dense(`${name}.${letter}_proj`, x, hidden, hidden))
      const [q, k, v] = [part('query'), part('key'), part('value')]
      /** The table as the layer sees it: through its own projection, or the one it has for tokens. */
      const project = (table: Value, letter: string): Value =>
        shared
          ? model.linear(`${name}.${letter}_proj`, table, hidden, hidden, { bias: true, again: true })
          : dense(`${name}.pos_${letter}_proj`, table, hidden, hidden)
      let bias: Value | undefined
      if (relation !== undefined) {
        const { lookup } = relation
        const table = model.dropout(relation.table, dropout.hidden)
        if (kinds.c2p) bias = lookup.scores(q, project(table, 'key'), true, scale)
        if (kinds.p2c) {
          const fromKeys = b.transpose(lookup.scores(k, project(table, 'query'), false, scale), [0, 1, 3, 2])
          bias = bias === undefined ? fromKeys : b.add(bias, fromKeys)
        }
      }
      return attention.attend(q, k, v, scale, bias)
    }

    /** The convolution of the larger v2 models: over the embeddings, added behind the first layer. */
    const convolve = (x: Value, kernel: number): Value => {
      const name = `${base}encoder.conv`
      if (kernel % 2 === 0)
        throw new InvalidModelError(`${config.source}: "conv_kernel_size" (${kernel}) must be odd, so that lengths stay the same`)
      const pads = [(kernel - 1) / 2, (kernel - 1) / 2]
      const layout = { inChannels: hidden, outChannels: hidden, kernel: [kernel], pads, groups: config.integer('conv_groups', 1) }
      const lines = b.transpose(b.reshape(embedded, ['batch', 'sequence', hidden]), [0, 2, 1])
      const seen = b.reshape(b.transpose(model.convolution(`${name}.conv`, lines, layout), [0, 2, 1]), [tokenRows, hidden])
      const active = activationOf(config, 'conv_act')(b, model.dropout(b.mul(seen, real), dropout.hidden))
      return b.mul(norm(`${name}.LayerNorm`, b.add(x, active)), real)
    }

    const kernel = config.integer('conv_kernel_size', 0)
    let x = embedded
    for (let layer = 0; layer < layers; layer++) {
      x = bertLayer(model, size, `${base}encoder.layer.${layer}`, x, selfAttention)
      if (layer === 0 && kernel > 0) x = convolve(x, kernel)
    }
    const output = textOutput(model, task, { hidden: x, width: hidden, dropout: dropout.hidden }, (first) => {
      config.expect('pooler_hidden_size', hidden)
      const activation = activationOf(config, 'pooler_hidden_act')
      const context = model.dropout(first, config.probability('pooler_dropout'))
      const pooled = activation(b, dense('pooler.dense', context, hidden, hidden))
      return classifier(model, 'classifier', model.headDropout(pooled, dropout.head), hidden, task.numLabels)
    })
    const head = maskedLmHead(model, config, task, size, () => {
      const rest = { activation: size.activation, epsilon, words: `${base}embeddings.word_embeddings` }
      return config.boolean('legacy', true)
        ? { ...bertPredictions, ...rest, width: config.integer('embedding_size', hidden) }
        : { ...originalPredictions, ...rest }
    })
    return { hidden: x, ...head, ...(output && { output }), vocabularySize, maxPositions }
  },
}
