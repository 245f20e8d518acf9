/** @file DistilBERT (Sanh et al., 2019): BERT of half the depth, without token types and pooler. */
import type { Value } from '../graph/types.js'
import type { Architecture } from './architecture.js'
import { bert } from './bert.js'
import { EncoderAttention, paddingMask } from './encoder-attention.js'
import {
  activationOf,
  classifier,
  evenHeads,
  maskedLmHead,
  refuseLanguageModelOptions,
  rowPositions,
  textInputs,
  textOutput,
  textTasks,
  tokenRows,
} from './encoder.js'

/** Not a key of the config: transformers has it in the code. */
const EPSILON = 1e-12

const defaults = {
  vocab_size: 30_522,
  max_position_embeddings: 512,
  n_layers: 6,
  n_heads: 12,
  dim: 768,
  hidden_dim: 3072,
  activation: 'gelu',
  dropout: 0.1,
  attention_dropout: 0.1,
  qa_dropout: 0.1,
  seq_classif_dropout: 0.2,
}

export const distilbert: Architecture = {
  modelTypes: ['distilbert'],
  classPrefixes: ['DistilBert'],
  // PEFT names none for this family; these are ours.
  defaultTargetModules: ['q_lin', 'v_lin'],
  baseModelPrefix: 'distilbert.',
  tasks: textTasks,
  ignoredTensors: bert.ignoredTensors!,
  spareTensors: /^(vocab_transform|vocab_layer_norm|vocab_projector|pre_classifier|classifier|qa_outputs)\./,
  unreadModules: /^vocab_(transform|projector)\b/,
  dropsOut: true,
  renameTensor: bert.renameTensor!,
  build(model, givenConfig, task, base) {
    const { b } = model
    const config = givenConfig.withDefaults(defaults)
    refuseLanguageModelOptions(model, config)
    const vocabularySize = config.integer('vocab_size')
    const maxPositions = config.integer('max_position_embeddings')
    const hidden = config.integer('dim')
    const inner = config.integer('hidden_dim')
    const { heads, headDim } = evenHeads(config, 'dim', 'n_heads')
    const activation = activationOf(config, 'activation')

    const { inputIds, attentionMask } = textInputs(model)
    const p = config.probability('dropout')
    const attention = new EncoderAttention(
      model,
      { heads, headDim, tokens: 'sequence', dropout: config.probability('attention_dropout') },
      paddingMask(model, attentionMask),
    )
    const dense = (name: string, x: Value, from: number, to: number): Value => model.linear(name, x, from, to, { bias: true })
    const norm = (name: string, x: Value): Value => model.layerNorm(name, x, hidden, EPSILON)

    const block = (x: Value, name: string): Value => {
      const part = (letter: string): Value => attention.headsFirst(dense(`${name}.attention.${letter}_lin`, x, hidden, hidden))
      const heard = attention.attend(part('q'), part('k'), part('v'), headDim ** -0.5)
      const attended = norm(`${name}.sa_layer_norm`, b.add(dense(`${name}.attention.out_lin`, heard, hidden, hidden), x))
      const wide = activation(b, dense(`${name}.ffn.lin1`, attended, hidden, inner))
      return norm(`${name}.output_layer_norm`, b.add(model.dropout(dense(`${name}.ffn.lin2`, wide, inner, hidden), p), attended))
    }

    // Sinusoids (`sinusoidal_pos_embds`) are in the checkpoint like learned positions.
    const words = model.embedding(`${base}embeddings.word_embeddings`, inputIds, vocabularySize, hidden)
    const places = model.embedding(`${base}embeddings.position_embeddings`, rowPositions(model), maxPositions, hidden)
    const normed = norm(`${base}embeddings.LayerNorm`, b.reshape(b.add(words, places), [tokenRows, hidden]))
    let x = model.dropout(normed, p)
    const layers = config.integer('n_layers')
    for (let layer = 0; layer < layers; layer++) {
      const name = `${base}transformer.layer.${layer}`
      x = b.scope(name, () => block(x, name))
    }
    const output = textOutput(
      model,
      task,
      { hidden: x, width: hidden, dropout: p, answersDropout: config.probability('qa_dropout') },
      (first) => {
        const wide = b.relu(dense('pre_classifier', first, hidden, hidden))
        return classifier(
          model,
          'classifier',
          model.headDropout(wide, config.probability('seq_classif_dropout')),
          hidden,
          task.numLabels,
        )
      },
    )
    const head = maskedLmHead(model, config, task, { hidden, vocabularySize }, () => ({
      ...{ dense: 'vocab_transform', norm: 'vocab_layer_norm', decoder: 'vocab_projector', decoderBias: 'vocab_projector.bias' },
      ...{ activation, epsilon: EPSILON, words: `${base}embeddings.word_embeddings` },
    }))
    return { hidden: x, ...head, ...(output && { output }), vocabularySize, maxPositions }
  },
}
