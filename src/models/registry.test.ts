/**
 * @file What a checkpoint must hold for its config: inputs, outputs, ties and casts of the built model, and every wrong tensor
 * named.
 */
import { describe, expect, it } from 'vitest'
import { InvalidModelError } from '../errors.js'
import { float32 } from '../graph/constants.js'
import { elementCount, type FileTensor, type Initializer } from '../graph/types.js'
import { encodeModel } from '../onnx/encode.js'
import { ConfigReader, type Json } from './config-reader.js'
import { randomWeights } from './random.js'
import { buildLanguageModel, findArchitecture, graphNames, knownModelTypes, weightShapes } from './registry.js'

const llama = {
  model_type: 'llama',
  vocab_size: 24,
  hidden_size: 16,
  intermediate_size: 20,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 32,
}
const gpt2 = { model_type: 'gpt2', vocab_size: 24, n_embd: 16, n_layer: 1, n_head: 2, n_positions: 32 }

const reader = (json: Record<string, Json>): ConfigReader => new ConfigReader(json, 'm/config.json')

const weightsOf = (json: Record<string, Json>): Map<string, Initializer> => new Map(randomWeights(reader(json), 1))

const build = (
  json: Record<string, Json>,
  weights: Map<string, Initializer> = weightsOf(json),
): ReturnType<typeof buildLanguageModel> => buildLanguageModel(reader(json), weights, { mode: 'full' }, 'm/model.safetensors')

describe('buildLanguageModel', () => {
  it('has the contracted inputs and outputs', () => {
    const { graph, logits, hidden } = build(llama)
    expect(graph.inputs).toEqual(
      ['input_ids', 'attention_mask', 'position_ids'].map((name) => ({ name, dtype: 'int64', shape: ['batch', 'sequence'] })),
    )
    expect(graph.outputs).toEqual([logits])
    expect(logits).toEqual({ name: 'logits', dtype: 'float32', shape: ['batch', 'sequence', 24] })
    expect(hidden.shape).toEqual(['batch*sequence', 16])
    expect(graph.modules.get('lm_head')).toMatchObject({
      isOutputHead: true,
      kind: 'Linear',
      inFeatures: 16,
      outFeatures: 24,
      input: hidden.name,
    })
  })

  it('names the known architectures when the type is unknown', () => {
    expect(() => findArchitecture(reader({ model_type: 'mamba' }))).toThrow(
      `m/config.json: model type "mamba" is not supported; known are ${knownModelTypes().join(', ')}`,
    )
  })

  it('lists every missing, misshapen and wrongly typed tensor', () => {
    const weights = weightsOf(llama)
    weights.delete('model.norm.weight')
    weights.set('lm_head.weight', float32([16, 24], new Float32Array(384)))
    weights.set('model.layers.1.mlp.up_proj.weight', { dtype: 'int8', shape: [20, 16], data: new Int8Array(320) })
    const attempt = (): unknown => build(llama, weights)
    expect(attempt).toThrow(InvalidModelError)
    expect(attempt).toThrow(/^m\/model\.safetensors: /)
    expect(attempt).toThrow('tensor "model.norm.weight" [16] is missing')
    expect(attempt).toThrow('tensor "lm_head.weight" must have shape [24, 16] by config.json, got [16, 24]')
    expect(attempt).toThrow(
      'tensor "model.layers.1.mlp.up_proj.weight" has element type int8; expected float32, float16 or bfloat16',
    )
  })

  it('says that the vocabulary differs', () => {
    expect(() => build({ ...llama, vocab_size: 25 }, weightsOf(llama))).toThrow(
      'tensor "model.embed_tokens.weight" must have shape [25, 16] by config.json, got [24, 16]',
    )
  })

  it('refuses tensors it does not know, but not the buffers of old checkpoints', () => {
    const weights = weightsOf(llama)
    weights.set('model.layers.0.self_attn.rotary_emb.inv_freq', float32([2], new Float32Array(2)))
    expect(() => build(llama, weights)).not.toThrow()
    weights.set('model.layers.2.mlp.up_proj.weight', float32([1], new Float32Array(1)))
    weights.set('score.weight', float32([1], new Float32Array(1)))
    expect(() => build(llama, weights)).toThrow('unexpected tensors "model.layers.2.mlp.up_proj.weight"; "score.weight"')
  })

  it('reads checkpoints of the bare model, with the masks that old versions saved', () => {
    const bare = new Map([...weightsOf(gpt2)].map(([name, tensor]) => [name.replace('transformer.', ''), tensor]))
    bare.set('h.0.attn.bias', float32([1], new Float32Array(1)))
    bare.set('h.0.attn.masked_bias', float32([1], new Float32Array(1)))
    expect([...build(gpt2, bare).graph.modules.keys()]).toContain('transformer.h.0.attn.c_attn')
    expect(graphNames(findArchitecture(reader(gpt2)), ['wte.weight', 'lm_head.weight', 'h.0.attn.bias'])).toEqual(
      new Map([
        ['wte.weight', 'transformer.wte.weight'],
        ['lm_head.weight', 'lm_head.weight'],
      ]),
    )
  })

  it('ties the head to the embedding, unless the checkpoint brings a head of its own', () => {
    const tied = { ...llama, tie_word_embeddings: true }
    const weights = weightsOf(tied)
    expect(build(tied, weights).graph.modules.get('lm_head')?.weight).toBe('model.embed_tokens.weight')
    weights.set('lm_head.weight', float32([24, 16], new Float32Array(384)))
    expect(build(tied, weights).graph.modules.get('lm_head')?.weight).toBe('lm_head.weight')
  })

  it('casts 16-bit weights once', () => {
    const tied = { ...llama, tie_word_embeddings: true }
    const weights = new Map<string, Initializer>(
      [...weightsOf(tied)].map(([name, t]) => [
        name,
        { dtype: 'bfloat16', shape: t.shape, data: new Uint16Array(elementCount(t.shape)) },
      ]),
    )
    const casts = build(tied, weights).graph.nodes.filter((n) => n.op === 'Cast' && weights.has(n.inputs[0]!))
    expect(casts.length).toBe(weights.size)
  })

  it('carries rotary tables only for the positions it must serve', () => {
    const model = buildLanguageModel(reader(llama), weightsOf(llama), { mode: 'full', positions: 8 }, 'w')
    expect(model.graph.initializers.get('rope_cos')?.shape).toEqual([8, 2])
    expect(model.maxPositions).toBe(32)
  })

  it('refuses configs that it cannot follow', () => {
    expect(() => build({ ...llama, hidden_act: 'gelu_9000' })).toThrow(
      'm/config.json: "hidden_act": activation "gelu_9000" is not supported; known are gelu',
    )
    expect(() => build({ ...llama, num_key_value_heads: 3 })).toThrow(
      '"num_attention_heads" (4) must be a multiple of "num_key_value_heads" (3)',
    )
    expect(() => build({ ...llama, partial_rotary_factor: 0.5 })).toThrow(
      '"partial_rotary_factor" is not supported for model type "llama"',
    )
    expect(() => build({ ...gpt2, n_head: 3 })).toThrow('"n_embd" (16) must be a multiple of "n_head" (3)')
    expect(() => build({ ...gpt2, add_cross_attention: true })).toThrow('"add_cross_attention": true is not supported')
    const qwen2 = { ...llama, model_type: 'qwen2' }
    expect(() => build({ ...qwen2, layer_types: ['full_attention', 'chunked_attention'] })).toThrow(
      'layer 1 is of type "chunked_attention"',
    )
    expect(() => build({ ...qwen2, layer_types: ['full_attention', 'sliding_attention'] })).toThrow(
      'layer 1 is sliding_attention, but "use_sliding_window"',
    )
    expect(() => build({ ...qwen2, layer_types: ['full_attention'] })).toThrow('"layer_types" has 1 entries for 2 layers')
    expect(() => build({ ...llama, model_type: 'mistral', layer_types: ['full_attention', 'sliding_attention'] })).toThrow(
      '"layer_types" names "full_attention"',
    )
  })
})

describe('a model of a billion parameters', () => {
  const config = reader({
    model_type: 'llama',
    vocab_size: 128_256,
    hidden_size: 2048,
    intermediate_size: 8192,
    num_hidden_layers: 16,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    head_dim: 64,
    max_position_embeddings: 131_072,
    tie_word_embeddings: true,
  })

  it('is built and encoded by reference: no weight is read or held', () => {
    let offset = 0
    const weights = new Map<string, FileTensor>()
    for (const [name, shape] of weightShapes(config)) {
      const length = 2 * elementCount(shape)
      weights.set(name, { dtype: 'bfloat16', shape, file: { path: '/nowhere/model.safetensors', offset, length } })
      offset += length
    }
    expect(offset / 2).toBe(1_235_814_400)
    const { graph } = buildLanguageModel(config, weights, { mode: 'full', positions: 1024 }, 'w')
    const held = [...graph.initializers.values()].reduce((sum, t) => sum + ('data' in t ? t.data.byteLength : 0), 0)
    expect(held).toBeLessThan(1e6)
    // Thirty-one nodes a layer, beside the casts of 16-bit weights.
    expect(graph.nodes.filter((n) => n.op !== 'Cast').length).toBeLessThan(16 * 31 + 20)
    expect(encodeModel(graph).byteLength).toBeLessThan(1e6)
  })
})

describe('randomWeights', () => {
  it('has the spread that the config asks for, norms of 1 and biases of 0', () => {
    const weights = randomWeights(reader({ ...gpt2, n_embd: 64, initializer_range: 0.05 }), 7)
    const matrix = weights.get('transformer.h.0.mlp.c_fc.weight')!.data as Float32Array
    const deviation = Math.sqrt(matrix.reduce((sum, x) => sum + x * x, 0) / matrix.length)
    expect(deviation).toBeGreaterThan(0.048)
    expect(deviation).toBeLessThan(0.052)
    expect(new Set(weights.get('transformer.ln_f.weight')!.data as Float32Array)).toEqual(new Set([1]))
    expect(new Set(weights.get('transformer.ln_f.bias')!.data as Float32Array)).toEqual(new Set([0]))
  })

  it('has norms of 0 where they are stored minus 1', () => {
    const weights = randomWeights(reader({ ...llama, model_type: 'gemma', head_dim: 4 }), 7)
    expect(new Set(weights.get('model.norm.weight')!.data as Float32Array)).toEqual(new Set([0]))
  })

  it('repeats with the seed, whatever else the model has', () => {
    const one = randomWeights(reader(gpt2), 3).get('transformer.wte.weight')!.data
    expect(randomWeights(reader({ ...gpt2, n_layer: 2 }), 3).get('transformer.wte.weight')!.data).toEqual(one)
    expect(randomWeights(reader(gpt2), 4).get('transformer.wte.weight')!.data).not.toEqual(one)
  })
})
