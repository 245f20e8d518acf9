/** @file Qwen2 and Qwen2.5: Llama with biases on queries, keys and values, and sliding windows in some layers. */
import type { Architecture } from './architecture.js'
import { buildDecoder, mixedWindows, readDecoder } from './decoder.js'

export const qwen2: Architecture = {
  modelTypes: ['qwen2'],
  defaultTargetModules: ['q_proj', 'v_proj'],
  ignoredTensors: /\.rotary_emb\.inv_freq$/,
  baseModelPrefix: 'model.',
  build: (model, config) => buildDecoder(model, readDecoder(config, { qkvBias: true, windows: mixedWindows(config) })),
}
