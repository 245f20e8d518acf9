/**
 * @file Gemma 3: Gemma 2 with norms on queries and keys instead of bounds, and rotary embeddings of their own for full
 * and for sliding attention. Of the models that also see (`gemma3`), the text part.
 */
import { InvalidModelError } from '../errors.js'
import type { Architecture, Backbone } from './architecture.js'
import { ConfigReader, type Json } from './config-reader.js'
import { buildDecoder, layerTypes, readDecoder, readHeads, wholeRope, type LayerType } from './decoder.js'
import { decoderHead } from './decoder-heads.js'
import { gemmaDefaults } from './gemma.js'
import { gemma2Variant, periodicTypes } from './gemma2.js'
import type { ModelBuilder } from './model-builder.js'
import type { Rope } from './rope.js'
import type { Task } from './task.js'
import { toToday, type Renamings } from './former-names.js'

/** transformers' `Gemma3TextConfig`: gemma-3-4b names only what differs from it. */
const defaults: Readonly<Record<string, Json>> = {
  ...gemmaDefaults,
  vocab_size: 262_208,
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  max_position_embeddings: 131_072,
}

/**
 * The rotary embedding of a kind of layer: nested in `rope_parameters` (transformers 5), or `rope_theta` with
 * `rope_scaling` for full attention and `rope_local_base_freq` for sliding (4).
 */
function ropeOf(config: ConfigReader, type: LayerType, headDim: number): Rope {
  const isFull = type === 'full_attention'
  const parameters = config.object('rope_parameters')?.object(type)
  const base = isFull ? config.number('rope_theta', 1_000_000) : config.number('rope_local_base_freq', 10_000)
  const scaling = isFull ? config.object('rope_scaling') : undefined
  const json = { rope_theta: base, ...parameters?.json, ...scaling?.json }
  const read = new ConfigReader(json, parameters?.source ?? scaling?.source ?? config.source)
  // The published lengths count the stretching already.
  return { ...wholeRope(config, headDim, { parameters: read }), maxPositions: config.integer('max_position_embeddings') }
}

function build(model: ModelBuilder, published: ConfigReader, task: Task, prefix: string): Backbone {
  const config = published.withDefaults(defaults)
  const types = layerTypes(config) ?? periodicTypes(config, config.integer('sliding_window_pattern', 6))
  const { headDim } = readHeads(config)
  const known = new Map<LayerType, Rope>()
  const ropes = types.map((type) => {
    const rope = known.get(type) ?? ropeOf(config, type, headDim)
    known.set(type, rope)
    return rope
  })
  // `attn_logit_softcapping` is a key of these configs too, but transformers' attention does not read it.
  const decoder = readDecoder(config, { ...gemma2Variant(config, types), queryKeyNorm: true, ropes })
  return buildDecoder(model, decoder, decoderHead(model, config, task), prefix)
}

/** What sees, beside the text: its names in the model that holds both. */
const unreadModules = /^model\.(vision_tower|multi_modal_projector)\./

/** The model that also sees before transformers 4.52, and still its files. */
const before452: Renamings = [
  ['^language_model.model', 'model.language_model'],
  ['^language_model.lm_head', 'lm_head'],
  ['^vision_tower.vision_model', 'model.vision_tower'],
  ['^vision_tower', 'model.vision_tower'],
  ['^multi_modal_projector', 'model.multi_modal_projector'],
]

/** From transformers 4.52 on, before 5. */
const version4: Renamings = [['^model.vision_tower.vision_model', 'model.vision_tower']]

/** The text part by itself, as the class for text alone names it. */
const textAlone: Renamings = [['^model', 'model.language_model']]

/** Of the text part by itself: the model that also sees. */
const beforeText: Renamings = [['^language_model.model', 'model'], ...before452.slice(1)]
const version4Text: Renamings = [['^model.language_model', 'model'], ...version4]

export const gemma3Text: Architecture = {
  modelTypes: ['gemma3_text'],
  classPrefixes: ['Gemma3Text'],
  defaultTargetModules: ['q_proj', 'v_proj'],
  ignoredTensors: /\.rotary_emb(_local)?\.inv_freq$/,
  baseModelPrefix: 'model.',
  tasks: ['causal-lm', 'sequence-classification', 'feature-extraction'],
  formerNames: [version4Text, beforeText],
  unreadModules,
  build,
}

export const gemma3: Architecture = {
  modelTypes: ['gemma3'],
  classPrefixes: ['Gemma3'],
  // PEFT has no entry for it: those of its text part, which are found by their endings.
  defaultTargetModules: ['q_proj', 'v_proj'],
  // No image is ever read: what sees stays in its file, and merging copies it.
  ignoredTensors: /^(model\.)?(vision_tower|multi_modal_projector)\.|\.rotary_emb(_local)?\.inv_freq$/,
  baseModelPrefix: 'model.',
  tasks: ['causal-lm', 'sequence-classification', 'feature-extraction'],
  formerNames: [before452, version4, textAlone],
  unreadModules,
  renameTensor: (name) => toToday(version4, toToday(before452, name)),
  build(model, config, task, prefix) {
    const text = config.object('text_config')
    if (text === undefined)
      throw new InvalidModelError(`${config.source}: key "text_config" is missing; model type "gemma3" needs it`)
    // The class that carries the head has the word on what the head shares.
    const tied = config.boolean('tie_word_embeddings', true)
    const json = { model_type: 'gemma3_text', ...text.json, tie_word_embeddings: tied }
    return build(model, new ConfigReader(json, text.source), task, `${prefix}language_model.`)
  },
}
