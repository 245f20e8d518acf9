/** @file Gemma 2: Gemma with bounded scores and logits, a sliding window in every other layer, and norms behind the blocks. */
import { InvalidModelError } from '../errors.js'
import type { Architecture } from './architecture.js'
import type { ConfigReader } from './config-reader.js'
import { buildDecoder, layerTypes, readDecoder, windowSize, type DecoderVariant, type LayerType } from './decoder.js'
import { decoderHead } from './decoder-heads.js'
import { gemmaDefaults, gemmaVariant, hiddenActivation } from './gemma.js'

/** What Gemma 2 and 3 have in common beyond {@link gemmaVariant}. */
export function gemma2Variant(config: ConfigReader, types: readonly LayerType[]): DecoderVariant {
  const window = windowSize(config)
  const windowOf = (type: LayerType, layer: number): number | undefined => {
    if (type === 'full_attention') return undefined
    if (window === undefined)
      throw new InvalidModelError(`${config.source}: layer ${layer} is sliding_attention, but "sliding_window" is null`)
    return window
  }
  return {
    ...gemmaVariant(config),
    activation: hiddenActivation(config),
    windows: types.map(windowOf),
    scale: config.number('query_pre_attn_scalar', 256) ** -0.5,
    postNorms: true,
    logitSoftCap: softCap(config, 'final_logit_softcapping'),
  }
}

/** A bound, or undefined where the config has null. @throws InvalidModelError for one that is not positive */
export function softCap(config: ConfigReader, key: string): number | undefined {
  if (!config.has(key)) return undefined
  const cap = config.number(key)
  if (cap <= 0) throw new InvalidModelError(`${config.source}: "${key}" must be greater than 0, got ${cap}`)
  return cap
}

/** Every `period`-th layer attends to everything, the others to a window. */
export const periodicTypes = (config: ConfigReader, period: number): LayerType[] =>
  Array.from({ length: config.integer('num_hidden_layers') }, (_, i) =>
    (i + 1) % period === 0 ? 'full_attention' : 'sliding_attention',
  )

export const gemma2: Architecture = {
  modelTypes: ['gemma2'],
  classPrefixes: ['Gemma2'],
  defaultTargetModules: ['q_proj', 'v_proj'],
  ignoredTensors: /\.rotary_emb\.inv_freq$/,
  baseModelPrefix: 'model.',
  tasks: ['causal-lm', 'sequence-classification', 'token-classification', 'feature-extraction'],
  build(model, published, task, prefix) {
    const config = published.withDefaults({ ...gemmaDefaults, attn_logit_softcapping: 50, final_logit_softcapping: 30 })
    const variant = gemma2Variant(config, layerTypes(config) ?? periodicTypes(config, 2))
    return buildDecoder(
      model,
      readDecoder(config, { ...variant, attentionSoftCap: softCap(config, 'attn_logit_softcapping') }),
      decoderHead(model, config, task),
      prefix,
    )
  },
}
