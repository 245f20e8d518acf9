/** @file BitFit: no layer has a branch, and biases alone are trained, with a new head; trained, saved, loaded, merged, and what is refused. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { createAdapter, loadAdapter } from '../../src/adapter/adapter.js'
import { merge } from '../../src/adapter/merge.js'
import type { Adapter } from '../../src/adapter/adapter.js'
import { FolderModel } from '../../src/model/folder-model.js'
import type { Json } from '../../src/models/config-reader.js'
import { evaluate } from '../../src/train/evaluate.js'
import {
  randomRows,
  runTraining,
  temporaryFolder,
  testEnvironment,
  tinyModel,
  writeModel,
  writeRows,
} from '../support/training.js'
import { mkdirSync } from 'node:fs'
import { addLora } from '../../src/adapter/adapter.js'

const folder = temporaryFolder()
const [hidden, inner, layers] = [8, 12, 2]
const roberta: Record<string, Json> = {
  ...{ model_type: 'roberta', architectures: ['RobertaForMaskedLM'], vocab_size: 30, hidden_size: hidden, pad_token_id: 1 },
  ...{
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: 2,
    max_position_embeddings: 30,
    initializer_range: 0.3,
  },
}
const data = writeRows(
  join(folder, 'rows.jsonl'),
  randomRows(16).map(({ input_ids }, i) => ({ input_ids: [0, ...input_ids.map((id) => id + 3)], label: i % 3 })),
)
const base = join(folder, 'base')
mkdirSync(base)
writeModel(base, roberta)
const open = (): Promise<FolderModel> =>
  FolderModel.open(base, testEnvironment(), base, { task: 'sequence-classification', numLabels: 3 })
const bitfit = { targetModules: 'none', bias: 'all' } as const

it('trains every bias and the head, and nothing else', async () => {
  const adapter = await addLora(await open(), bitfit)
  // Of each layer six linear layers and two norms; the norm of the embeddings; the head of three classes.
  const biases = layers * (4 * hidden + inner + hidden + 2 * hidden) + hidden
  const head = hidden * hidden + hidden + hidden * 3 + 3
  expect(adapter.parameters.count).toBe(biases + head)
  expect(adapter.targets).toEqual([])
  const before = new Map([...adapter.tensors].map(([name, { data: values }]) => [name, (values as Float32Array).slice()]))
  await runTraining(adapter, { data, steps: 4, learningRate: 1e-2, weightDecay: 0 })
  // A bias of keys moves all scores of a query alike, and so changes nothing.
  for (const [name, { data: values }] of adapter.tensors)
    if (!name.endsWith('key.bias')) expect(values, name).not.toEqual(before.get(name))
})

it('is saved in a folder that loads again, and merged into a model that says the same', async () => {
  const adapter = await addLora(await open(), bitfit)
  await runTraining(adapter, { data, steps: 3, learningRate: 1e-2 })
  const lossOf = async (subject: Adapter | FolderModel): Promise<number> => (await evaluate(subject, { data })).loss
  const trained = await lossOf(adapter)
  await adapter.save(join(folder, 'bitfit'))
  const config = JSON.parse(readFileSync(join(folder, 'bitfit/adapter_config.json'), 'utf8')) as Record<string, unknown>
  expect([config['target_modules'], config['bias']]).toEqual(['dummy-target-modules', 'all'])
  const again = await loadAdapter(await FolderModel.open(base, testEnvironment()), join(folder, 'bitfit'))
  expect(await lossOf(again)).toBe(trained)
  await again.save(join(folder, 'again'))
  for (const file of ['adapter_config.json', 'adapter_model.safetensors'])
    expect(readFileSync(join(folder, 'again', file)).equals(readFileSync(join(folder, 'bitfit', file)))).toBe(true)
  await merge(again).save(join(folder, 'merged'))
  const merged = await FolderModel.open(join(folder, 'merged'), testEnvironment())
  expect(Math.abs((await lossOf(merged)) - trained)).toBeLessThan(1e-6)
})

it('refuses an adapter without anything to train, and dropout without a branch', () => {
  const model = tinyModel()
  const refusal =
    '"targetModules" is "none", and nothing else is trained; name what is: "bias" "all" (BitFit), "modulesToSave" or "trainableTokenIndices"'
  expect(() => createAdapter(model, { targetModules: 'none' })).toThrow(refusal)
  expect(() => createAdapter(model, { targetModules: 'none', bias: 'lora_only' })).toThrow(refusal)
  expect(() => createAdapter(model, { targetModules: 'none', bias: 'all', dropout: 0.1 })).toThrow('"loraDropout" is of branches')
})
