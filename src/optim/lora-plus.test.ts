/** @file The learning rate that LoRA+ gives each tensor, by hand. */
import { expect, it } from 'vitest'
import { loraPlusRates } from './lora-plus.js'

it('gives B and vectors the ratio, and embeddings a rate of their own', () => {
  const tensors = [
    { name: 'm.q.lora_A.weight', shape: [1, 2] },
    { name: 'm.q.lora_B.weight', shape: [2, 1] },
    { name: 'm.q.lora_magnitude_vector', shape: [1] },
    { name: 'm.e.lora_embedding_A', shape: [1, 1] },
  ]
  expect(Array.from(loraPlusRates(tensors, 0.5, { loraPlusLrRatio: 4 }))).toEqual([0.5, 0.5, 2, 2, 2, Math.fround(1e-6)])
  expect(loraPlusRates(tensors, 0.5, { loraPlusLrRatio: 1, loraPlusLrEmbedding: 0.25 }).at(-1)).toBe(0.25)
  expect(() => loraPlusRates(tensors, 0.5, { loraPlusLrRatio: 0.5 })).toThrow('"loraPlusLrRatio" must be at least 1, got 0.5')
})
