/** @file Masked language models: what is hidden of rows, pretraining from nothing, and adapters. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { createAdapter } from '../../src/adapter/adapter.js'
import { exportOnnx, inspectData, loadAdapter, loadModel, predict, type FolderModel } from '../../src/index.js'
import type { Batch } from '../../src/data/batch.js'
import type { Dataset } from '../../src/data/dataset.js'
import { evaluate } from '../../src/train/evaluate.js'
import { objectiveFor } from '../../src/train/objectives/index.js'
import { openTaskDataset } from '../../src/train/open-dataset.js'
import { fullTrainee } from '../../src/train/trainee.js'
import { writeBertModel } from '../support/bert-model.js'
import { runTraining, temporaryFolder, writeRows } from '../support/training.js'

const MASK = 4
const folder = temporaryFolder()
const base = join(folder, 'base')
const colours = ['red', 'green', 'blue', 'grey']
/** The second colour follows from the first. */
const texts = Array.from({ length: 48 }, (_, i) => {
  const k = i % 4
  return `a ${colours[k]} cat and a ${colours[(k + 1) % 4]} dog saw ${['one', 'two', 'three'][i % 3]} of us`
})
const data = writeRows(
  join(folder, 'texts.jsonl'),
  texts.map((text) => ({ text })),
)
let model: FolderModel
beforeAll(async () => {
  writeBertModel(base, texts, { masked: true })
  model = (await loadModel(base, { task: 'masked-lm' })) as FolderModel
})

const datasetOf = (
  rows: Parameters<typeof openTaskDataset>[2],
  options: Parameters<typeof objectiveFor>[1] = {},
): Promise<Dataset> => openTaskDataset(model, objectiveFor(model, options, undefined), rows)

async function epochs(dataset: Dataset, options: Parameters<Dataset['batches']>[0]): Promise<Batch[]> {
  const found: Batch[] = []
  for await (const batch of dataset.batches(options)) found.push(batch)
  return found
}

const numbers = (batch: Batch, name: string): number[] => Array.from(batch.feeds[name]!.data as BigInt64Array, Number)

describe('what is hidden', () => {
  it('is never a special token or padding, differs by epoch and seed, and is the same wherever a run begins', async () => {
    const dataset = await datasetOf([{ text: 'a red cat' }, { text: texts[0]! }, { text: texts[1]!, text_pair: texts[2]! }])
    const all = await epochs(dataset, { batchSize: 3, epochs: 4, seed: 1 })
    for (const batch of all) {
      const labels = numbers(batch, 'labels')
      expect(labels.every((label) => label === -100 || label > MASK)).toBe(true)
      expect(labels.filter((label) => label !== -100).length).toBe(batch.tokens)
      const mask = numbers(batch, 'attention_mask')
      expect(labels.every((label, i) => label === -100 || mask[i] === 1)).toBe(true)
      // What is not asked for is as it was.
      const ids = numbers(batch, 'input_ids')
      const plain = numbers(all[0]!, 'input_ids').map((id, i) =>
        numbers(all[0]!, 'labels')[i] === -100 ? id : numbers(all[0]!, 'labels')[i]!,
      )
      expect(ids.map((id, i) => (labels[i] === -100 ? id : labels[i]!))).toEqual(plain)
    }
    const seen = all.map((batch) => numbers(batch, 'labels').join())
    expect(new Set(seen).size).toBe(4)
    const [resumed] = await epochs(dataset, { batchSize: 3, seed: 1, start: { epoch: 2, batch: 0 } })
    expect(numbers(resumed!, 'labels').join()).toBe(seen[2])
    const [other] = await epochs(dataset, { batchSize: 3, seed: 2 })
    expect(numbers(other!, 'labels').join()).not.toBe(seen[0])
    const bucketed = await epochs(dataset, { batchSize: 3, seed: 1, bucket: true })
    expect(numbers(bucketed[0]!, 'labels').filter((label) => label !== -100).length).toBe(all[0]!.tokens)
  })

  it('is what the row says where it brings labels', async () => {
    const row = { input_ids: [2, MASK, 12, 3], labels: [-100, 10, 12, -100] }
    const [batch] = await epochs(await datasetOf([row]), { batchSize: 1, epochs: 1 })
    expect(numbers(batch!, 'labels')).toEqual(row.labels)
    expect(numbers(batch!, 'input_ids')).toEqual(row.input_ids)
    expect(batch!.tokens).toBe(2)
  })

  it('is all with mlmProbability 1', async () => {
    const [batch] = await epochs(await datasetOf([{ text: 'a red cat' }], { mlmProbability: 1 }), { batchSize: 1 })
    expect(batch!.tokens).toBe(3)
  })
})

describe('rows that teach nothing', () => {
  it.each<[string, Record<string, unknown>, string]>([
    [
      'no token',
      { text: '' },
      'line 1: the row has no token to learn: it has no token but special ones, of which none is hidden',
    ],
    [
      'labels of a text',
      { text: 'a red cat', labels: [1] },
      '"labels" of a masked language model are token ids, of a row {"input_ids", "labels"}',
    ],
    ['too few labels', { input_ids: [2, 9, 3], labels: [9] }, '"labels" holds 1 numbers and "input_ids" 3; they must be as many'],
    [
      'a label that is no token',
      { input_ids: [2, 9, 3], labels: [-100, 9999, -100] },
      'label 9999 at position 1 is neither -100 nor a token id',
    ],
  ])('%s', async (_, row, message) => {
    await expect(evaluate(model, { data: writeRows(join(folder, 'bad.jsonl'), [row]) })).rejects.toThrow(message)
  })

  it('a tokenizer without a mask token', async () => {
    const plain = join(folder, 'no-mask')
    cpSync(base, plain, { recursive: true })
    const path = join(plain, 'tokenizer_config.json')
    writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), mask_token: undefined }))
    const other = await loadModel(plain, { task: 'masked-lm' })
    await expect(evaluate(other, { data })).rejects.toThrow(
      `texts.jsonl, line 1: the tokenizer in ${plain} names no mask token, which stands in the place of hidden tokens; name it in tokenizer_config.json ("mask_token"), or give rows {"input_ids", "labels"} whose tokens are hidden already.`,
    )
  })
})

describe('training', () => {
  it('from nothing: all weights learn, the folder is what transformers calls BertForMaskedLM, and runs resume bit for bit', async () => {
    const out = join(folder, 'pretrained')
    const options = { data, objective: 'mlm', learningRate: 3e-3, batchSize: 16, seed: 1 } as const
    const before = await evaluate(model, { data })
    const trainee = await fullTrainee(model)
    const { done } = await runTraining(trainee, { ...options, epochs: 20, evalData: data, evalEvery: 60, out })
    expect(done?.steps).toBe(60)
    const trained = await loadModel(out, { task: 'masked-lm' })
    const after = await evaluate(trained, { data })
    expect(Object.keys(after).sort()).toEqual(['loss', 'perplexity', 'tokens'])
    expect(after.loss).toBeCloseTo(done!.evalLoss!, 5)
    expect(after.loss).toBeLessThan(before.loss / 2)
    expect(after.perplexity).toBeCloseTo(Math.exp(after.loss), 5)
    // Evaluations hide the same tokens whatever the seed of the run.
    expect((await evaluate(trained, { data })).loss).toBe(after.loss)
    const config = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')) as { architectures: string[] }
    expect(config.architectures).toEqual(['BertForMaskedLM'])
    // What was learned is an encoder for other tasks.
    expect((await loadModel(out, { task: 'classification', numLabels: 2 })).task.name).toBe('sequence-classification')

    const [whole, parts] = [join(folder, 'whole'), join(folder, 'parts')]
    await runTraining(await fullTrainee(model), { ...options, steps: 5, out: whole })
    const stop = new AbortController()
    await runTraining(await fullTrainee(model), {
      ...{ ...options, steps: 5, out: parts, signal: stop.signal },
      onEvent: ({ event }) => {
        if (event === 'step') stop.abort()
      },
    })
    await runTraining(await fullTrainee(model), { ...options, steps: 5, out: parts, resume: true })
    const bytes = (path: string): Buffer => readFileSync(join(path, 'model.safetensors'))
    expect(bytes(parts).equals(bytes(whole))).toBe(true)
  })

  it('an adapter says what it is of: it loads on the plain folder', async () => {
    const out = join(folder, 'adapter')
    const adapter = createAdapter(model, { r: 2, targetModules: ['query', 'cls.predictions.transform.dense'] })
    await runTraining(adapter, { data, learningRate: 1e-2, steps: 8, out })
    const told = await evaluate(adapter, { data })
    const again = await loadAdapter(await loadModel(base), out)
    expect(again.model.task.name).toBe('masked-lm')
    expect((await evaluate(again, { data })).loss).toBe(told.loss)
    expect(told.loss).toBeLessThan((await evaluate(model, { data })).loss)
    expect(readFileSync(join(out, 'README.md'), 'utf8')).toContain('AutoModelForMaskedLM')
  })
})

it('an .onnx file of the head is a masked language model as well, which its config tells', async () => {
  const path = join(folder, 'exported')
  await exportOnnx(model, path)
  cpSync(join(base, 'tokenizer.json'), join(path, 'tokenizer.json'))
  cpSync(join(base, 'tokenizer_config.json'), join(path, 'tokenizer_config.json'))
  const imported = await loadModel(join(path, 'onnx/model.onnx'))
  expect(imported.task.name).toBe('masked-lm')
  expect((await evaluate(imported, { data })).loss).toBeCloseTo((await evaluate(model, { data })).loss, 4)
})

describe('what is not asked rightly', () => {
  it('one text and an encoder: the head of the folder is offered', async () => {
    await expect(evaluate(await loadModel(base), { data })).rejects.toThrow(
      'texts.jsonl, line 1: the row holds one text, but ' +
        `${base} would become an embedding model, which learns from two. Its head of a masked language model learns from one: open it with { task: 'masked-lm' } (--task masked-lm)`,
    )
  })

  it('options of others', async () => {
    const encoder = await loadModel(base)
    await expect(evaluate(encoder, { data, objective: 'mlm' })).rejects.toThrow(
      `objective "mlm" is for encoders with the head of a masked language model, but the model is for feature-extraction; open it with { task: 'masked-lm' } (--task masked-lm)`,
    )
    await expect(evaluate(encoder, { data, mlmProbability: 0.2 })).rejects.toThrow(
      'mlmProbability is for masked language models (masked-lm), but the model is for feature-extraction',
    )
    await expect(evaluate(model, { data, objective: 'dpo' })).rejects.toThrow(
      'objective is for language models, but the model is for masked-lm',
    )
    await expect(evaluate(model, { data, mlmProbability: 0 })).rejects.toThrow('mlmProbability must be above 0 and at most 1')
    await expect(predict(model, [{ text: 'a' }])).rejects.toThrow(
      'is a masked language model, whose scores of all tokens come from forward',
    )
  })
})

it('inspectData shows a row as the first epoch has it, and counts rows that are the same although other tokens are hidden', async () => {
  const rows = [texts[0], texts[0], texts[1]].map((text) => ({ text }))
  const found = await inspectData(base, rows, { task: 'masked-lm', rows: 1 })
  expect(found.objective).toBe('mlm, probability 0.15')
  expect(found.data.duplicates.rows).toBe(1)
  const [first] = await epochs(await datasetOf(rows), { batchSize: 1, seed: 0 })
  const shown = found.data.shown[0]!.sequences[0]!
  expect(shown.labels).toEqual(numbers(first!, 'labels'))
  expect(shown.ids).toEqual(numbers(first!, 'input_ids'))
  expect(shown.learned.reduce((sum, [start, end]) => sum + end - start, 0)).toBe(first!.tokens)
})
