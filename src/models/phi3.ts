/** @file Phi-3, Phi-3.5 and Phi-4: Llama with fused projections, rotary embeddings of a part of the head, and LongRoPE. */
import type { Architecture } from './architecture.js'
import { buildDecoder, readDecoder, readHeads, windowSize } from './decoder.js'
import { decoderHead } from './decoder-heads.js'
import { readRope } from './rope.js'

export const phi3: Architecture = {
  modelTypes: ['phi3'],
  classPrefixes: ['Phi3'],
  // PEFT has none for this family; ours are its linear layers.
  defaultTargetModules: ['qkv_proj', 'o_proj', 'gate_up_proj', 'down_proj'],
  ignoredTensors: /\.rotary_emb\.inv_freq$/,
  baseModelPrefix: 'model.',
  tasks: ['causal-lm', 'sequence-classification', 'token-classification', 'feature-extraction'],
  build(model, published, task, prefix) {
    const config = published.withDefaults({
      rms_norm_eps: 1e-5,
      max_position_embeddings: 4096,
      original_max_position_embeddings: 4096,
      sliding_window: null,
      pad_token_id: 32_000,
    })
    config.expect('attention_bias', false)
    const { headDim } = readHeads(config)
    // Configs of the first releases name LongRoPE by what it grew out of.
    const rope = readRope(config, headDim, { aliases: { su: 'longrope', yarn: 'longrope' } })
    const every = <T>(value: T): T[] => Array.from({ length: config.integer('num_hidden_layers') }, () => value)
    return buildDecoder(
      model,
      readDecoder(config, { fused: true, ropes: every(rope), windows: every(windowSize(config)) }),
      decoderHead(model, config, task),
      prefix,
    )
  },
}
