/** @file Vision Transformer (Dosovitskiy et al., 2020). */
import { InvalidModelError } from '../errors.js'
import { multiplyDims } from '../graph/dim/index.js'
import type { Value } from '../graph/types.js'
import type { Architecture } from './architecture.js'
import type { ConfigReader } from './config-reader.js'
import { EncoderAttention } from './encoder-attention.js'
import { activationOf, byRow, classifier, firstToken, refuseLanguageModelOptions, unreadPooler } from './encoder.js'
import { toToday, type Renamings } from './former-names.js'

const defaults = {
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
  hidden_act: 'gelu',
  layer_norm_eps: 1e-12,
  image_size: 224,
  patch_size: 16,
  num_channels: 3,
  qkv_bias: true,
}

/** Names of transformers 4. */
const version4: Renamings = [
  ['encoder.layer', 'layers'],
  ['attention.attention.query', 'attention.q_proj'],
  ['attention.attention.key', 'attention.k_proj'],
  ['attention.attention.value', 'attention.v_proj'],
  ['attention.output.dense', 'attention.o_proj'],
  ['intermediate.dense', 'mlp.fc1'],
  ['output.dense', 'mlp.fc2'],
]

/** Height and width, given as two numbers or as one for both. */
function sides(config: ConfigReader, key: string): [number, number] {
  const value = config.json[key]
  const both = typeof value === 'number' ? [value, value] : value
  if (Array.isArray(both) && both.length === 2 && both.every((n) => Number.isInteger(n) && (n as number) > 0))
    return both as [number, number]
  throw new InvalidModelError(
    `${config.source}: "${key}" must be a positive integer or two of them (height, width), got ${JSON.stringify(value)}`,
  )
}

export const vit: Architecture = {
  modelTypes: ['vit'],
  classPrefixes: ['ViT'],
  // PEFT names none for this family; these are ours.
  defaultTargetModules: ['q_proj', 'v_proj'],
  baseModelPrefix: 'vit.',
  tasks: ['feature-extraction', 'image-classification'],
  spareTensors: /^(classifier|decoder|vit\.pooler)\.|^vit\.embeddings\.mask_token$/,
  formerNames: [version4],
  unreadModules: /^decoder\./,
  renameTensor: (name) => toToday(version4, name),
  build(model, givenConfig, task, base) {
    const { b, graph } = model
    const config = givenConfig.withDefaults(defaults)
    refuseLanguageModelOptions(model, config)
    const hidden = config.integer('hidden_size')
    const inner = config.integer('intermediate_size')
    const heads = config.integer('num_attention_heads')
    const headDim = config.integer('head_dim', Math.floor(hidden / heads))
    const epsilon = config.number('layer_norm_eps')
    const activation = activationOf(config, 'hidden_act')
    const qkvBias = config.boolean('qkv_bias', true)
    const channels = config.integer('num_channels')
    const [height, width] = sides(config, 'image_size')
    const kernel = sides(config, 'patch_size')
    const patches = Math.floor(height / kernel[0]) * Math.floor(width / kernel[1])
    if (patches < 1)
      throw new InvalidModelError(
        `${config.source}: "patch_size" (${kernel.join('x')}) exceeds "image_size" (${height}x${width})`,
      )
    const tokens = patches + 1
    const rows = multiplyDims('batch', tokens)
    const norm = (name: string, x: Value): Value => model.layerNorm(name, x, hidden, epsilon)
    const dense = (name: string, x: Value, from: number, to: number, bias = true): Value =>
      model.linear(name, x, from, to, { bias })

    const embeddings = (): Value => {
      const name = `${base}embeddings`
      const pixels = graph.addInput('pixel_values', 'float32', ['batch', channels, height, width])
      const first = b.expand(model.weight(`${name}.cls_token`, [1, 1, hidden]), ['batch', 1, hidden])
      const projection = { inChannels: channels, outChannels: hidden, kernel, strides: kernel }
      const seen = model.convolution(`${name}.patch_embeddings.projection`, pixels, projection)
      const patchRows = b.transpose(b.reshape(seen, ['batch', hidden, patches]), [0, 2, 1])
      const positions = model.weight(`${name}.position_embeddings`, [1, tokens, hidden])
      return b.reshape(b.add(b.concat([first, patchRows], 1), positions), [rows, hidden])
    }

    const attention = new EncoderAttention(model, { heads, headDim, tokens })
    const layer = (x: Value, name: string): Value => {
      const normed = norm(`${name}.layernorm_before`, x)
      const part = (letter: string): Value =>
        attention.headsFirst(dense(`${name}.attention.${letter}_proj`, normed, hidden, heads * headDim, qkvBias))
      const heard = attention.attend(part('q'), part('k'), part('v'), headDim ** -0.5)
      const attended = b.add(dense(`${name}.attention.o_proj`, heard, heads * headDim, hidden), x)
      const wide = activation(b, dense(`${name}.mlp.fc1`, norm(`${name}.layernorm_after`, attended), hidden, inner))
      return b.add(dense(`${name}.mlp.fc2`, wide, inner, hidden), attended)
    }

    let x = embeddings()
    const layers = config.integer('num_hidden_layers')
    for (let i = 0; i < layers; i++) x = b.scope(`${base}layers.${i}`, () => layer(x, `${base}layers.${i}`))
    x = norm(`${base}layernorm`, x)
    const first = (): Value => firstToken(model, x, tokens)
    unreadPooler(model, task, first, hidden, config.integer('pooler_output_size', hidden))
    const output =
      task.name === 'feature-extraction'
        ? byRow(model, x, tokens)
        : task.name === 'image-classification'
          ? classifier(model, 'classifier', first(), hidden, task.numLabels)
          : undefined
    return { hidden: x, ...(output && { output }), vocabularySize: 0, maxPositions: 0 }
  },
}
