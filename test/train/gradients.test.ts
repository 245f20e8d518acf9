/** @file Whole models against finite differences: every weight trainable, and adapters with dropout. */
import { describe, expect, it } from 'vitest'
import { createAdapter } from '../../src/adapter/adapter.js'
import { LossSession } from '../../src/train/loss-session.js'
import { GradientSession } from '../../src/train/gradient-session.js'
import { lossOptions } from '../../src/train/step-graph.js'
import { adapterTrainee, fullTrainee, type Trainee } from '../../src/train/trainee.js'
import { Random } from '../../src/util/rng.js'
import { batchOf, gpt2Config, llamaConfig, randomRows, testEnvironment, tinyModel } from '../support/training.js'

const environment = testEnvironment()
const batch = batchOf(randomRows(4))
const SEED = 99
/** A branch that is neither silent nor so loud that the loss is anything but smooth. */
const small = { r: 2, alpha: 0.5, dropout: 0.3, initLoraWeights: false }

/** Compares the derivative along two directions of each tensor, the gradient's own and a random one. */
async function check(trainee: Trainee): Promise<void> {
  const { parameters } = trainee
  const gradients = await GradientSession.create(trainee, lossOptions(trainee.model, 4, undefined))
  const { loss, gradient: g } = await gradients.run(batch, SEED)
  const gradient = g.slice()
  expect(loss).toBeGreaterThan(0)
  const start = parameters.data.slice()
  const random = new Random(4)
  let offset = 0
  for (const { name, shape } of parameters.specs) {
    const length = shape.reduce((a, b) => a * b, 1)
    const part = Array.from(gradient.subarray(offset, offset + length))
    expect(Math.hypot(...part), name).toBeGreaterThan(1e-4)
    for (const direction of [part, part.map(() => random.normal())]) {
      const norm = Math.hypot(...direction)
      const slope = part.reduce((sum, x, i) => sum + (x * direction[i]!) / norm, 0)
      const at = async (step: number): Promise<number> => {
        parameters.data.set(start)
        direction.forEach((d, i) => (parameters.data[offset + i]! += (step * d) / norm))
        return (await gradients.run(batch, SEED)).loss
      }
      // Fourth-order differences: float32 leaves no room for a small step.
      const difference = async (h: number): Promise<number> => ((await at(h)) - (await at(-h))) / (2 * h)
      const numeric = (4 * (await difference(0.01)) - (await difference(0.02))) / 3
      expect(Math.abs(slope - numeric), `${name}: ${slope} and ${numeric}`).toBeLessThan(4e-3 * (Math.hypot(...part) + 1))
    }
    offset += length
  }
  parameters.data.set(start)
  await gradients.release()
}

describe('gradients of whole models equal finite differences', () => {
  it.each([
    ['llama, all weights', llamaConfig],
    ['llama with a tied head, all weights', { ...llamaConfig, tie_word_embeddings: true }],
    ['gpt2 with a tied head, all weights', gpt2Config],
    ['qwen3, all weights', { ...llamaConfig, model_type: 'qwen3', head_dim: 4 }],
  ])('%s', async (_name, json) => {
    const model = tinyModel(json, environment)
    const trainee = await fullTrainee(model)
    expect(trainee.parameters.count).toBe(model.parameterCount)
    expect(trainee.parameters.specs.map(({ name }) => name).sort()).toEqual([...model.weights.keys()].sort())
    await check(trainee)
  })

  it.each([
    ['llama', llamaConfig],
    ['gpt2', gpt2Config],
  ])('%s, an adapter with dropout under one seed', async (_name, json) => {
    const adapter = createAdapter(tinyModel(json, environment), { ...small, targetModules: 'all-linear' })
    await check(adapterTrainee(adapter))
  })

  it('dropout changes the training loss with the seed, and never the evaluation loss', async () => {
    const adapter = createAdapter(tinyModel(llamaConfig, environment), small)
    const trainee = adapterTrainee(adapter)
    const options = lossOptions(trainee.model, 4, undefined)
    const [gradients, evaluation] = [await GradientSession.create(trainee, options), await LossSession.create(trainee, options)]
    const losses = [1, 2, 1].map((seed) => gradients.run(batch, seed))
    const [first, second, again] = (await Promise.all(losses)).map(({ loss }) => loss)
    expect(first).toBe(again)
    expect(first).not.toBe(second)
    expect(await evaluation.run(batch)).toEqual(await evaluation.run(batch))
    await Promise.all([gradients.release(), evaluation.release()])
  })
})
