/** @file GPT-2: learned positions, layer norms, one matrix for queries, keys and values, weights stored [in, out]. */
import { InvalidModelError } from '../errors.js'
import type { Value } from '../graph/types.js'
import { activationNamed } from './activations.js'
import type { Architecture } from './architecture.js'
import { CausalAttention, languageModelInputs } from './attention.js'
import { allDecoderTasks, decoderHead } from './decoder-heads.js'

export const gpt2: Architecture = {
  modelTypes: ['gpt2'],
  classPrefixes: ['GPT2'],
  defaultTargetModules: ['c_attn'],
  // Causal masks that older versions saved as buffers.
  ignoredTensors: /\.attn\.(bias|masked_bias)$/,
  baseModelPrefix: 'transformer.',
  tasks: allDecoderTasks,
  build(model, config, task, prefix) {
    const { b } = model
    // transformers knows some keys by two names and saves the first.
    const either = (name: string, alias: string): number => config.integer(config.has(name) ? name : alias)
    const hidden = either('n_embd', 'hidden_size')
    const heads = either('n_head', 'num_attention_heads')
    const layers = either('n_layer', 'num_hidden_layers')
    const maxPositions = either('n_positions', 'max_position_embeddings')
    const vocabularySize = config.integer('vocab_size')
    if (hidden % heads !== 0)
      throw new InvalidModelError(`${config.source}: "n_embd" (${hidden}) must be a multiple of "n_head" (${heads})`)
    const headDim = hidden / heads
    const inner = config.integer('n_inner', 4 * hidden)
    const epsilon = config.number('layer_norm_epsilon', 1e-5)
    const activation = activationNamed(
      config.string('activation_function', 'gelu_new'),
      `${config.source}: "activation_function"`,
    )
    const scaleByHead = config.boolean('scale_attn_weights', true)
    const scaleByLayer = config.boolean('scale_attn_by_inverse_layer_idx', false)
    config.expect('add_cross_attention', false)

    const { inputIds, attentionMask, positionIds } = languageModelInputs(model)
    const windows = Array.from({ length: layers }, () => undefined)
    const attention = new CausalAttention(model, attentionMask, { layers, heads, kvHeads: heads, headDim, windows })

    const selfAttention = (x: Value, layer: number, name: string): Value => {
      // Queries, keys and values are one matrix, so they are turned as one and then split.
      const qkv = attention.headsFirst(attention.splitHeads(model.conv1d(`${name}.c_attn`, x, hidden, 3 * hidden), 3 * heads))
      const [q, k, v] = b.split(qkv, [heads, heads, heads], 1) as [Value, Value, Value]
      const scale = (scaleByHead ? headDim ** -0.5 : 1) / (scaleByLayer ? layer + 1 : 1)
      return model.conv1d(`${name}.c_proj`, attention.attend(layer, q, k, v, scale), hidden, hidden)
    }

    const mlp = (x: Value, name: string): Value =>
      model.conv1d(`${name}.c_proj`, activation(b, model.conv1d(`${name}.c_fc`, x, hidden, inner)), inner, hidden)

    const tokens = model.embedding(`${prefix}wte`, inputIds, vocabularySize, hidden)
    const positions = model.embedding(`${prefix}wpe`, positionIds, maxPositions, hidden)
    let x = b.reshape(b.add(tokens, positions), ['batch*sequence', hidden])
    for (let layer = 0; layer < layers; layer++) {
      const name = `${prefix}h.${layer}`
      x = b.scope(name, () => {
        const attended = b.add(x, selfAttention(model.layerNorm(`${name}.ln_1`, x, hidden, epsilon), layer, `${name}.attn`))
        return b.add(attended, mlp(model.layerNorm(`${name}.ln_2`, attended, hidden, epsilon), `${name}.mlp`))
      })
    }
    const last = model.layerNorm(`${prefix}ln_f`, x, hidden, epsilon)
    const tiedTo = config.boolean('tie_word_embeddings', true) ? `${prefix}wte.weight` : undefined
    return {
      hidden: last,
      ...decoderHead(model, config, task, { tokenClassifier: 'classifier' })({
        hidden: last,
        inputIds,
        attentionMask,
        vocabularySize,
        tiedTo,
      }),
      vocabularySize,
      maxPositions,
      present: attention.outputs,
      ...(model.options.mode === 'cached' && { cache: { layers, kvHeads: heads, headDim } }),
    }
  },
}
