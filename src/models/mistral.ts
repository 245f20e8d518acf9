/** @file Mistral: Llama with one sliding window in every layer. */
import { InvalidModelError } from '../errors.js'
import type { Architecture } from './architecture.js'
import { buildDecoder, readDecoder, windowSize } from './decoder.js'
import { allDecoderTasks, decoderHead } from './decoder-heads.js'

export const mistral: Architecture = {
  modelTypes: ['mistral'],
  classPrefixes: ['Mistral'],
  defaultTargetModules: ['q_proj', 'v_proj'],
  ignoredTensors: /\.rotary_emb\.inv_freq$/,
  baseModelPrefix: 'model.',
  tasks: allDecoderTasks,
  build(model, config, task, prefix) {
    const window = windowSize(config)
    const expected = window === undefined ? 'full_attention' : 'sliding_attention'
    const other = config.strings('layer_types')?.find((type) => type !== expected)
    if (other !== undefined)
      throw new InvalidModelError(
        `${config.source}: model type "mistral" has the same attention (${expected}) in all layers, but "layer_types" names "${other}"`,
      )
    const windows = Array.from({ length: config.integer('num_hidden_layers') }, () => window)
    return buildDecoder(model, readDecoder(config, { windows }), decoderHead(model, config, task), prefix)
  },
}
