/** @file What tests of the engine have in common: a tiny model, adapters of every kind in folders, and texts read to their ends. */
import { addLora, FolderModel, type GenerateEvent, type LoraOptions, type Model } from '../../../src/index.js'
import type { TextRequest, TextResult } from '../../../src/serve/engine/text-request.js'
import { Random } from '../../../src/util/rng.js'
import { temporaryFolder, testEnvironment } from '../../support/training.js'

export const golden = 'test/fixtures/golden/peft/llama'
export const openModel = (): Promise<FolderModel> => FolderModel.open(`${golden}/model`, testEnvironment())

/** Reads a text to its end. @param onToken told after each token */
export async function readText(
  stream: AsyncGenerator<GenerateEvent, TextResult>,
  onToken?: (count: number) => unknown,
): Promise<TextResult> {
  for (let count = 1; ; count++) {
    const next = await stream.next()
    if (next.done === true) return next.value
    onToken?.(count)
  }
}

/** One of each kind. */
export const adapterKinds: Readonly<Record<string, LoraOptions>> = {
  lora: { r: 2, targetModules: ['q_proj', 'v_proj'] },
  wide: { r: 5, alpha: 3, targetModules: 'all-linear' },
  rslora: { r: 4, alpha: 2, useRslora: true, targetModules: ['q_proj', 'down_proj'] },
  dora: { r: 3, useDora: true, targetModules: ['k_proj', 'up_proj'] },
  embedding: { r: 2, targetModules: ['embed_tokens', 'o_proj'] },
  saved: { r: 2, targetModules: ['q_proj'], modulesToSave: ['lm_head'] },
  tokens: { r: 2, targetModules: ['q_proj'], trainableTokenIndices: [3, 9, 20] },
  biases: { r: 2, targetModules: ['gate_proj'], loraBias: true },
}

/** Writes an adapter with random numbers; each seed gives another one. @returns its folder */
export async function writeAdapter(model: Model, options: LoraOptions, seed: number): Promise<string> {
  const adapter = await addLora(model, { ...options, seed })
  const random = new Random(seed)
  const { data } = adapter.parameters
  for (let i = 0; i < data.length; i++) data[i]! += random.normal(0, 0.2)
  const folder = temporaryFolder()
  await adapter.save(folder)
  return folder
}

/** A text of tokens that no end token ends. */
export const textOf = (
  prompt: readonly number[],
  adapters: TextRequest['adapters'] = [],
  options: TextRequest['options'] = {},
): TextRequest => ({ prompt, adapters, options: { maxNewTokens: 12, ignoreEos: true, ...options } })
