/** @file Qwen2 and Qwen2.5: Llama with biases on queries, keys and values, and sliding windows in some layers. */
import type { Architecture } from './architecture.js'
import { buildDecoder, mixedWindows, readDecoder } from './decoder.js'
import { allDecoderTasks, decoderHead, transformerForAnswers } from './decoder-heads.js'

export const qwen2: Architecture = {
  modelTypes: ['qwen2'],
  classPrefixes: ['Qwen2'],
  defaultTargetModules: ['q_proj', 'v_proj'],
  ignoredTensors: /\.rotary_emb\.inv_freq$/,
  baseModelPrefix: 'model.',
  otherPrefixes: ['transformer.'],
  tasks: allDecoderTasks,
  prefixFor: transformerForAnswers,
  build(model, config, task, prefix) {
    return buildDecoder(
      model,
      readDecoder(config, { qkvBias: true, windows: mixedWindows(config) }),
      decoderHead(model, config, task),
      prefix,
    )
  },
}
