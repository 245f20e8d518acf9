/** @file Weights of a plain config.json: random ones are those of the shapes that it asks for, and what is unknown is named. */
import { expect, it } from 'vitest'
import { randomWeights, weightShapes } from './config-weights.js'

const config = {
  ...{ model_type: 'llama', architectures: ['LlamaForCausalLM'], vocab_size: 11, hidden_size: 8, intermediate_size: 12 },
  ...{ num_hidden_layers: 1, num_attention_heads: 2, max_position_embeddings: 16, tie_word_embeddings: true },
}

it('has the shapes of PyTorch, and random weights of just these', () => {
  const shapes = weightShapes(config)
  expect(shapes.get('model.embed_tokens.weight')).toEqual([11, 8])
  expect(shapes.get('model.layers.0.mlp.up_proj.weight')).toEqual([12, 8])
  const weights = randomWeights(config, 1)
  expect([...weights].map(([name, { shape }]) => [name, shape])).toEqual([...shapes])
  expect(weights).toEqual(randomWeights(config, 1))
  expect(weights).not.toEqual(randomWeights(config, 2))
})

it('names what it does not know, and what is no seed', () => {
  expect(() => randomWeights({ ...config, model_type: 'none' }, 1)).toThrow('config.json: model type "none" is not supported')
  expect(() => weightShapes({ model_type: 'llama' })).toThrow('config.json: key "num_hidden_layers" is missing')
  expect(() => randomWeights(config, 0.5)).toThrow('The seed must be an integer')
})
