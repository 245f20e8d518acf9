/** @file Qwen3: Llama with RMS norms on the heads of queries and keys, and sliding windows in some layers. */
import type { Architecture } from './architecture.js'
import { buildDecoder, mixedWindows, readDecoder } from './decoder.js'
import { allDecoderTasks, decoderHead, transformerForAnswers } from './decoder-heads.js'

export const qwen3: Architecture = {
  modelTypes: ['qwen3'],
  classPrefixes: ['Qwen3'],
  defaultTargetModules: ['q_proj', 'v_proj'],
  ignoredTensors: /\.rotary_emb\.inv_freq$/,
  baseModelPrefix: 'model.',
  otherPrefixes: ['transformer.'],
  tasks: allDecoderTasks,
  prefixFor: transformerForAnswers,
  build(model, config, task, prefix) {
    const bias = config.boolean('attention_bias', false)
    return buildDecoder(
      model,
      readDecoder(config, {
        qkvBias: bias,
        outputBias: bias,
        queryKeyNorm: true,
        windows: mixedWindows(config),
        defaultHeadDim: 128,
      }),
      decoderHead(model, config, task),
      prefix,
    )
  },
}
