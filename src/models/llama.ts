/** @file Llama 1 to 3 and the many models saved under its name (TinyLlama, SmolLM, …). */
import type { Architecture } from './architecture.js'
import { buildDecoder, readDecoder } from './decoder.js'
import { allDecoderTasks, decoderHead, transformerForAnswers } from './decoder-heads.js'

export const llama: Architecture = {
  modelTypes: ['llama'],
  classPrefixes: ['Llama'],
  defaultTargetModules: ['q_proj', 'v_proj'],
  ignoredTensors: /\.rotary_emb\.inv_freq$/,
  baseModelPrefix: 'model.',
  otherPrefixes: ['transformer.'],
  tasks: allDecoderTasks,
  prefixFor: transformerForAnswers,
  build(model, config, task, prefix) {
    const attentionBias = config.boolean('attention_bias', false)
    return buildDecoder(
      model,
      readDecoder(config, { qkvBias: attentionBias, outputBias: attentionBias, mlpBias: config.boolean('mlp_bias', false) }),
      decoderHead(model, config, task),
      prefix,
    )
  },
}
