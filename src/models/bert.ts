/** @file BERT (Devlin et al., 2018). */
import type { Value } from '../graph/types.js'
import type { Architecture, Backbone } from './architecture.js'
import { bertDefaults, bertLayer, readBert, type BertConfig } from './bert-layers.js'
import type { ConfigReader } from './config-reader.js'
import { EncoderAttention, paddingMask } from './encoder-attention.js'
import {
  classifier,
  firstToken,
  maskedLmHead,
  refuseLanguageModelOptions,
  rowPositions,
  textInputs,
  textOutput,
  textTasks,
  tokenRows,
  unreadPooler,
  type MaskedLmHead,
  type TextInputs,
} from './encoder.js'
import type { ModelBuilder } from './model-builder.js'
import type { Task } from './task.js'

/** What RoBERTa does otherwise. */
export interface BertVariant {
  /** Of the base model's modules. */
  readonly prefix: string
  /** Most tokens of a row. */
  readonly maxPositions: number
  /** Rows of the table of positions, int64 [sequence] or [batch, sequence]. */
  positions(inputs: TextInputs): Value
  /** Logits of a row from what stands at its first token. */
  ofSequence(first: Value): Value
  /** The head of the family's masked language model, whose matrix is that of the words. */
  ofMasked(): Omit<MaskedLmHead, 'words'>
}

/** Builds the graph of BERT or RoBERTa with transformers' module names (`bert.encoder.layer.0.attention.self.query`, …). */
export function buildBert(
  model: ModelBuilder,
  config: ConfigReader,
  bert: BertConfig,
  task: Task,
  variant: BertVariant,
): Backbone {
  const { b } = model
  const { vocabularySize, hidden, layers, heads, headDim, epsilon, tokenTypes } = bert
  const inputs = textInputs(model, tokenTypes)
  const { dropout } = bert
  const attention = new EncoderAttention(
    model,
    { heads, headDim, tokens: 'sequence', dropout: dropout.attention },
    paddingMask(model, inputs.attentionMask),
  )

  const embeddings = (): Value => {
    const name = `${variant.prefix}embeddings`
    const words = model.embedding(`${name}.word_embeddings`, inputs.inputIds, vocabularySize, hidden)
    const places = model.embedding(`${name}.position_embeddings`, variant.positions(inputs), bert.maxPositions, hidden)
    const types = inputs.tokenTypeIds && model.embedding(`${name}.token_type_embeddings`, inputs.tokenTypeIds, tokenTypes, hidden)
    const sum = b.add(types === undefined ? words : b.add(words, types), places)
    const normed = model.layerNorm(`${name}.LayerNorm`, b.reshape(sum, [tokenRows, hidden]), hidden, epsilon)
    return model.dropout(normed, dropout.hidden)
  }
  const selfAttention = (x: Value, name: string): Value => {
    const part = (letter: string): Value =>
      attention.headsFirst(model.linear(`${name}.${letter}`, x, hidden, hidden, { bias: true }))
    return attention.attend(part('query'), part('key'), part('value'), headDim ** -0.5)
  }

  let x = embeddings()
  for (let layer = 0; layer < layers; layer++)
    x = bertLayer(model, bert, `${variant.prefix}encoder.layer.${layer}`, x, selfAttention)
  unreadPooler(model, task, () => firstToken(model, x), hidden)
  const output = textOutput(model, task, { hidden: x, width: hidden, dropout: dropout.head }, (first) =>
    variant.ofSequence(first),
  )
  const words = `${variant.prefix}embeddings.word_embeddings`
  const head = maskedLmHead(model, config, task, bert, () => ({ ...variant.ofMasked(), words }))
  return { hidden: x, ...head, ...(output && { output }), vocabularySize, maxPositions: variant.maxPositions }
}

/** Names of the masked language model's head, which DeBERTa keeps. */
export const bertPredictions = {
  dense: 'cls.predictions.transform.dense',
  norm: 'cls.predictions.transform.LayerNorm',
  decoder: 'cls.predictions.decoder',
  decoderBias: 'cls.predictions.bias',
} as const

/** Checkpoints of TensorFlow's time call scale and shift of a norm so. */
export const modernNormName = (name: string): string =>
  name.replace(/LayerNorm\.gamma$/, 'LayerNorm.weight').replace(/LayerNorm\.beta$/, 'LayerNorm.bias')

export const bert: Architecture = {
  modelTypes: ['bert'],
  classPrefixes: ['Bert'],
  defaultTargetModules: ['query', 'value'],
  baseModelPrefix: 'bert.',
  tasks: textTasks,
  ignoredTensors: /(^|\.)embeddings\.(position_ids|token_type_ids)$/,
  spareTensors: /^(cls|classifier|qa_outputs|bert\.pooler)\./,
  unreadModules: /^cls\./,
  dropsOut: true,
  renameTensor: modernNormName,
  build(model, givenConfig, task, prefix) {
    const config = givenConfig.withDefaults(bertDefaults)
    refuseLanguageModelOptions(model, config)
    const size = readBert(config)
    const { hidden, maxPositions } = size
    return buildBert(model, config, size, task, {
      prefix,
      maxPositions,
      positions: () => rowPositions(model),
      ofSequence: (first) => {
        const pooled = model.b.tanh(model.linear('bert.pooler.dense', first, hidden, hidden, { bias: true }))
        return classifier(model, 'classifier', model.headDropout(pooled, size.dropout.head), hidden, task.numLabels)
      },
      ofMasked: () => ({ ...bertPredictions, activation: size.activation, epsilon: size.epsilon }),
    })
  },
}
