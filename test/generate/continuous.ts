/** @file What tests of continuous batches have in common. */
import { addLora, type Adapter } from '../../src/adapter/adapter.js'
import type { ContinuousBatch } from '../../src/generate/continuous-batch.js'
import type { ContinuousPrompt } from '../../src/generate/continuous-prompt.js'
import type { Generation } from '../../src/generate/generation.js'
import { FolderModel } from '../../src/model/folder-model.js'
import type { Model } from '../../src/model/model.js'
import { Random } from '../../src/util/rng.js'
import { testEnvironment } from '../support/training.js'

export const golden = 'test/fixtures/golden/peft'
export const open = (name = 'llama'): Promise<FolderModel> => FolderModel.open(`${golden}/${name}/model`, testEnvironment())

/** A prompt of random ids. */
export const prompt = (random: Random, length: number): number[] => Array.from({ length }, () => random.integer(90))

export async function randomAdapter(model: Model, seed: number, config: Parameters<typeof addLora>[1] = {}): Promise<Adapter> {
  const adapter = await addLora(model, { r: 1 + seed, targetModules: 'all-linear', seed, ...config })
  const random = new Random(seed)
  for (let i = 0; i < adapter.parameters.data.length; i++) adapter.parameters.data[i]! += random.normal(0, 0.2)
  return adapter
}

/** Reads a text to its end. @param onToken told after each token */
export async function read(
  batch: ContinuousBatch,
  given: ContinuousPrompt,
  onToken?: (count: number) => void,
): Promise<Generation> {
  const stream = batch.add(given)
  for (let count = 1; ; count++) {
    const next = await stream.next()
    if (next.done === true) return next.value
    onToken?.(count)
  }
}

/** What must not depend on other texts. */
export const told = ({ ids, finishReason }: Generation): unknown => ({ ids, finishReason })
