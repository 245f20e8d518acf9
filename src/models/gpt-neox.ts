/** @file GPT-NeoX and Pythia: layer norms, queries, keys and values in one matrix head by head, attention beside the MLP. */
import { InvalidModelError } from '../errors.js'
import type { Value } from '../graph/types.js'
import { activationNamed } from './activations.js'
import type { Architecture } from './architecture.js'
import { CausalAttention, languageModelInputs } from './attention.js'
import { allDecoderTasks, decoderHead } from './decoder-heads.js'
import { readRope, rereading, RotaryEmbedding } from './rope.js'
import { toToday, type Renamings } from './former-names.js'

/** transformers 4, and still the files. */
const version4: Renamings = [['^embed_out', 'lm_head']]

export const gptNeox: Architecture = {
  modelTypes: ['gpt_neox'],
  classPrefixes: ['GPTNeoX'],
  defaultTargetModules: ['query_key_value'],
  // Causal masks and frequencies that older versions saved as buffers.
  ignoredTensors: /\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/,
  baseModelPrefix: 'gpt_neox.',
  tasks: allDecoderTasks,
  formerNames: [version4],
  renameTensor: (name) => toToday(version4, name),
  build(model, published, task, prefix) {
    const { b } = model
    const config = published.withDefaults({ rope_theta: published.number('rotary_emb_base', 10_000) })
    const hidden = config.integer('hidden_size')
    const inner = config.integer('intermediate_size')
    const layers = config.integer('num_hidden_layers')
    const heads = config.integer('num_attention_heads')
    const vocabularySize = config.integer('vocab_size')
    if (hidden % heads !== 0)
      throw new InvalidModelError(
        `${config.source}: "hidden_size" (${hidden}) must be a multiple of "num_attention_heads" (${heads})`,
      )
    const headDim = hidden / heads
    const rope = readRope(config, headDim, { defaultPart: config.number('rotary_pct', 0.25) })
    const epsilon = config.number('layer_norm_eps', 1e-5)
    const bias = config.boolean('attention_bias', true)
    const activation = activationNamed(config.string('hidden_act', 'gelu'), `${config.source}: "hidden_act"`)
    const isParallel = config.boolean('use_parallel_residual', true)
    const cached = model.options.mode === 'cached'

    const { inputIds, attentionMask, positionIds } = languageModelInputs(model)
    const windows = Array.from({ length: layers }, () => undefined)
    const attention = new CausalAttention(model, attentionMask, { layers, heads, kvHeads: heads, headDim, windows })
    const rotary = new RotaryEmbedding(model, positionIds, rope, headDim)

    const selfAttention = (x: Value, layer: number, name: string): Value => {
      const fused = model.linear(`${name}.query_key_value`, x, hidden, 3 * hidden, { bias })
      // Each head has its query, key and value side by side.
      const turned = b.transpose(b.reshape(fused, ['batch', 'sequence', heads, 3 * headDim]), [0, 2, 1, 3])
      const [q, k, v] = b.split(turned, [headDim, headDim, headDim], 3) as [Value, Value, Value]
      const keys = rotary.rotate(k, heads, cached ? `present_key.${layer}` : undefined)
      const context = attention.attend(layer, rotary.rotate(q, heads), keys, v, headDim ** -0.5)
      return model.linear(`${name}.dense`, context, hidden, hidden, { bias })
    }

    const mlp = (x: Value, name: string): Value => {
      const wide = activation(b, model.linear(`${name}.dense_h_to_4h`, x, hidden, inner, { bias: true }))
      return model.linear(`${name}.dense_4h_to_h`, wide, inner, hidden, { bias: true })
    }

    const tokens = model.embedding(`${prefix}embed_in`, inputIds, vocabularySize, hidden)
    let x = b.reshape(tokens, ['batch*sequence', hidden])
    for (let layer = 0; layer < layers; layer++) {
      const name = `${prefix}layers.${layer}`
      x = b.scope(name, () => {
        const heard = selfAttention(model.layerNorm(`${name}.input_layernorm`, x, hidden, epsilon), layer, `${name}.attention`)
        const attended = b.add(heard, x)
        const before = model.layerNorm(`${name}.post_attention_layernorm`, isParallel ? x : attended, hidden, epsilon)
        return b.add(mlp(before, `${name}.mlp`), attended)
      })
    }
    const last = model.layerNorm(`${prefix}final_layer_norm`, x, hidden, epsilon)
    const tiedTo = config.boolean('tie_word_embeddings', false) ? `${prefix}embed_in.weight` : undefined
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
      maxPositions: rope.maxPositions,
      present: attention.outputs,
      ...(cached && { cache: { layers, kvHeads: heads, headDim, ...rereading([rope]) } }),
    }
  },
}
