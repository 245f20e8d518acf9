/** @file A new adapter that begins where one of another task has ended. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { addLora, loadAdapter, type Adapter, type LoraOptions } from '../../src/adapter/adapter.js'
import { convert } from '../../src/adapter/convert.js'
import { startFrom } from '../../src/adapter/start-from.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { runCli } from '../cli/run-cli.js'
import { randomRows, runTraining, temporaryFolder, testEnvironment, writeModel, writeRows } from '../support/training.js'

const folder = temporaryFolder()
const environment = testEnvironment()
const [base, mnli, file] = ['base', 'mnli', 'mnli.bin'].map((name) => join(folder, name)) as [string, string, string]
const lora: LoraOptions = { r: 4, alpha: 8 }

const open = (numLabels: number, options: LoraOptions = lora): Promise<Adapter> =>
  FolderModel.open(base, environment, base, { task: 'sequence-classification', numLabels }).then((model) => addLora(model, options)) // prettier-ignore

let trained: Adapter
beforeAll(async () => {
  mkdirSync(base)
  writeModel(base, {
    ...{ model_type: 'roberta', architectures: ['RobertaForMaskedLM'], vocab_size: 30, hidden_size: 8, pad_token_id: 1 },
    ...{
      intermediate_size: 12,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      max_position_embeddings: 30,
      initializer_range: 0.3,
    },
  })
  const rows = randomRows(8).map(({ input_ids }, i) => ({ input_ids: [0, ...input_ids.map((id) => id + 3)], label: i % 3 }))
  trained = await open(3)
  await runTraining(trained, { data: writeRows(join(folder, 'rows.jsonl'), rows), steps: 3, learningRate: 1e-2 })
  await trained.save(mnli)
  await convert(mnli, file, {}, environment)
})

const head = 'base_model.model.classifier'

it.each(['a folder', 'a file of loralib, which does not tell alpha'])(
  'takes branches and what has the same shape, from %s',
  async (from) => {
    const adapter = await open(2)
    const fresh = new Map([...adapter.tensors].map(([name, { data }]) => [name, (data as Float32Array).slice()]))
    const start = await startFrom(adapter, from === 'a folder' ? mnli : file)
    expect(start.fresh).toEqual([`${head}.out_proj.weight`, `${head}.out_proj.bias`])
    expect([...start.taken, ...start.fresh].sort()).toEqual([...adapter.tensors.keys()].sort())
    expect(start.taken).toContain(`${head}.dense.weight`)
    for (const [name, { data }] of adapter.tensors)
      expect(data, name).toEqual(start.taken.includes(name) ? trained.tensors.get(name)!.data : fresh.get(name))
  },
)

it('takes the head too where it has as many labels', async () => {
  const { fresh } = await startFrom(await open(3), mnli)
  expect(fresh).toEqual([])
})

it('is a flag of train, which says what is fresh', async () => {
  const flags = ['--model', base, '--task', 'classification', '--num-labels', '2', '--data', join(folder, 'two.jsonl')]
  const rows = randomRows(4).map(({ input_ids }, i) => ({ input_ids: [0, ...input_ids.map((id) => id + 3)], label: i % 2 }))
  writeRows(join(folder, 'two.jsonl'), rows)
  const start = ['--r', '4', '--alpha', '8', '--steps', '1', '--lr', '0', '--out', join(folder, 'two'), '--init-adapter', mnli]
  const { code, stderr } = await runCli(['train', ...flags, ...start])
  expect(stderr).toContain(`begins as ${mnli}: 10 tensors; fresh: classifier.out_proj`)
  expect(code).toBe(0)
  const adapter = await loadAdapter(await FolderModel.open(base, environment), join(folder, 'two'))
  const name = 'base_model.model.roberta.encoder.layer.1.attention.self.value.lora_B.weight'
  expect(adapter.tensors.get(name)!.data).toEqual(trained.tensors.get(name)!.data)
  for (const [more, message] of [
    [['--adapter', mnli], '--init-adapter is for new adapters, and --adapter goes on with one'],
    [['--init', 'gaussian'], '--init is for adapters that begin anew'],
  ] as const)
    expect((await runCli(['train', ...flags, ...start, ...more, '--overwrite'])).stderr).toContain(message)
})

describe('refuses, and changes nothing', () => {
  it.each<[string, LoraOptions]>([
    ["is [4, 8], but this adapter's is [2, 8]: begin with the same rank (r, --r)", { r: 2, alpha: 4 }],
    ["counts 2 times, but this adapter's 4 times; begin with the same alpha and r (--alpha 8 --r 4)", { r: 4, alpha: 16 }],
    ['key.lora_A.weight", so this adapter cannot begin from it', { ...lora, targetModules: ['query', 'key'] }],
    ['value.lora_A.weight", for which this adapter has no place', { ...lora, targetModules: ['query'] }],
    ['the adapter begins from the base\'s weights (initLoraWeights "pissa")', { ...lora, initLoraWeights: 'pissa' }],
  ])('%s', async (message, options) => {
    const adapter = await open(3, options)
    const before = adapter.parameters.data.slice()
    await expect(startFrom(adapter, mnli)).rejects.toThrow(message)
    expect(adapter.parameters.data).toEqual(before)
  })

  it('what is no adapter', async () => {
    const adapter = await open(3)
    await expect(startFrom(adapter, base)).rejects.toThrow('is no adapter that is known')
    await expect(startFrom(base as never, mnli)).rejects.toThrow('startFrom: the first argument must be an adapter')
    await expect(startFrom(adapter, '')).rejects.toThrow('startFrom: the second argument must be a path')
  })
})
