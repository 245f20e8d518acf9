/** @file Gemma: Llama with scaled embeddings, norms stored minus 1 and the tanh form of GELU. */
import { activationNamed } from './activations.js'
import type { Architecture } from './architecture.js'
import type { ConfigReader, Json } from './config-reader.js'
import { buildDecoder, readDecoder, type DecoderVariant } from './decoder.js'
import { decoderHead } from './decoder-heads.js'

/** What all Gemmas have in common, by transformers' `GemmaConfig`; published configs leave some of it out. */
export const gemmaDefaults: Readonly<Record<string, Json>> = {
  head_dim: 256,
  hidden_activation: 'gelu_pytorch_tanh',
  pad_token_id: 0,
  tie_word_embeddings: true,
}

/** What all Gemmas differ in from Llama. @throws InvalidModelError for attention that is not causal */
export function gemmaVariant(config: ConfigReader): DecoderVariant {
  config.expect('use_bidirectional_attention', false)
  const bias = config.boolean('attention_bias', false)
  return {
    qkvBias: bias,
    outputBias: bias,
    zeroCenteredNorms: true,
    embeddingScale: Math.sqrt(config.integer('hidden_size')),
  }
}

/** `hidden_activation` of Gemma 2 and 3. */
export const hiddenActivation = (config: ConfigReader): ReturnType<typeof activationNamed> =>
  activationNamed(config.string('hidden_activation'), `${config.source}: "hidden_activation"`)

export const gemma: Architecture = {
  modelTypes: ['gemma'],
  classPrefixes: ['Gemma'],
  defaultTargetModules: ['q_proj', 'v_proj'],
  ignoredTensors: /\.rotary_emb\.inv_freq$/,
  baseModelPrefix: 'model.',
  tasks: ['causal-lm', 'sequence-classification', 'token-classification', 'feature-extraction'],
  build(model, published, task, prefix) {
    const config = published.withDefaults({ ...gemmaDefaults, hidden_act: 'gelu_pytorch_tanh' })
    // The official releases say "gelu" and mean its tanh form, as transformers knows.
    const name = config.string('hidden_act')
    const activation = activationNamed(name === 'gelu' ? 'gelu_pytorch_tanh' : name, `${config.source}: "hidden_act"`)
    return buildDecoder(
      model,
      readDecoder(config, { ...gemmaVariant(config), activation }),
      decoderHead(model, config, task),
      prefix,
    )
  },
}
