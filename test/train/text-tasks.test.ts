/** @file Rows of text for models with a head: tokenizer, pairs, words, tables, embeddings. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { FolderModel } from '../../src/model/folder-model.js'
import { loadTokenizer } from '../../src/data/tokenizer.js'
import { ConfigReader, type Json } from '../../src/models/config-reader.js'
import { randomWeights } from '../../src/models/random.js'
import { evaluate } from '../../src/train/evaluate.js'
import { chooseObjective, openTaskDataset } from '../../src/train/open-dataset.js'
import { fullTrainee } from '../../src/train/trainee.js'
import { memoryFiles } from '../support/data.js'
import { runTraining, temporaryFolder, testEnvironment, writeRows } from '../support/training.js'
import type { Batch } from '../../src/data/batch.js'

const fixture = resolve(import.meta.dirname, '../fixtures/data/tokenizers.json')
const { tokenizers } = JSON.parse(readFileSync(fixture, 'utf8')) as {
  tokenizers: Record<
    string,
    { json: object; rows: { texts: string[]; maxLength: number | null; ids: number[]; types: number[] }[] }
  >
}
const environment = testEnvironment()
const folder = temporaryFolder()

async function bert(head: string, extra: Record<string, Json> = {}): Promise<FolderModel> {
  const config = new ConfigReader(
    {
      ...{ model_type: 'bert', architectures: [`Bert${head}`], vocab_size: 90, hidden_size: 8, intermediate_size: 12 },
      ...{ num_hidden_layers: 2, num_attention_heads: 2, max_position_embeddings: 40, type_vocab_size: 2, pad_token_id: 0 },
      ...{ initializer_range: 0.3, ...extra },
    },
    'tiny',
  )
  const tokenizer = await loadTokenizer(memoryFiles({ 'm/tokenizer.json': JSON.stringify(tokenizers['bert']!.json) }), 'm')
  return FolderModel.fromWeights(environment, config, randomWeights(config, 4), { tokenizer: tokenizer! })
}

async function firstBatch(model: FolderModel, data: string, maxLength?: number): Promise<Batch> {
  const objective = await chooseObjective(model, data, {})
  const batches = (await openTaskDataset(model, objective, data, { maxLength })).batches({ batchSize: 8 })
  const { value } = await batches.next()
  await batches.return(undefined)
  return value as Batch
}

const numbers = (batch: Batch, name: string): number[] => Array.from(batch.feeds[name]!.data as BigInt64Array, Number)
const labels = { id2label: { '0': 'no', '1': 'yes' } }

describe('a classifier of texts', () => {
  let model: FolderModel
  beforeAll(async () => {
    model = await bert('ForSequenceClassification', labels)
  })

  it.each([
    ['text', 'text_pair'],
    ['sentence1', 'sentence2'],
    ['premise', 'hypothesis'],
  ])('{"%s", "%s"} is what Python makes of the pair', async (first, second) => {
    for (const { texts, maxLength, ids, types } of tokenizers['bert']!.rows.filter((row) => row.texts.length === 2)) {
      const row = { [first]: texts[0], [second]: texts[1], label: 'yes' }
      const batch = await firstBatch(model, writeRows(join(folder, 'pair.jsonl'), [row]), maxLength ?? undefined)
      expect(numbers(batch, 'input_ids')).toEqual(ids)
      expect(numbers(batch, 'token_type_ids')).toEqual(types)
      expect(numbers(batch, 'attention_mask')).toEqual(ids.map(() => 1))
      expect(numbers(batch, 'labels')).toEqual([1])
      expect([batch.tokens, batch.positions]).toEqual([1, ids.length])
    }
  })

  it('a table of GLUE', async () => {
    const path = join(folder, 'cola.tsv')
    writeFileSync(path, 'idx\tsentence\tlabel\n0\tthe cat sat\t1\n1\tis it true that they ran\tno\n')
    const batch = await firstBatch(model, path)
    expect(numbers(batch, 'labels')).toEqual([1, 0])
    expect(batch.lengths).toEqual([5, 8])
    expect(numbers(batch, 'input_ids').slice(5, 8)).toEqual([0, 0, 0])
    const { loss, examples } = await evaluate(model, { data: path, batchSize: 1 })
    expect(examples).toBe(2)
    expect((await evaluate(model, { data: path, batchSize: 2 })).loss).toBeCloseTo(loss, 6)
  })

  it('no text is an error with the shapes there are', async () => {
    const data = writeRows(join(folder, 'none.jsonl'), [{ txt: 'a', label: 1 }])
    await expect(evaluate(model, { data })).rejects.toThrow(
      'none.jsonl, line 1: found the fields "txt", "label"; expected {"text"}, {"text", "text_pair"}, {"sentence1", "sentence2"} or {"input_ids"}. A column of another name is told by columns (--columns text=…).',
    )
  })
})

it('labels of words go to the first token of each', async () => {
  const model = await bert('ForTokenClassification', { id2label: { '0': 'O', '1': 'B-X', '2': 'I-X' } })
  const data = writeRows(join(folder, 'words.jsonl'), [
    { tokens: ['the', 'bd', 'ran'], ner_tags: ['O', 'B-X', 2] },
    { tokens: null, words: ['cat'], ner_tags: null, labels: [1] },
  ])
  const batch = await firstBatch(model, data)
  // [CLS] the b ##d ran [SEP]
  expect(numbers(batch, 'labels')).toEqual([-100, 0, 1, -100, 2, -100, -100, 1, -100, -100, -100, -100])
  expect(batch.tokens).toBe(4)
  const wrong = writeRows(join(folder, 'wrong.jsonl'), [{ tokens: ['the', 'cat'], labels: [1] }])
  await expect(evaluate(model, { data: wrong })).rejects.toThrow(
    'wrong.jsonl, line 1: "labels" holds 1 labels for 2 words; they must be as many.',
  )
})

describe('embeddings', () => {
  const texts = ['the cat sat', 'a dog ran far away', 'is it true', 'they sat on a mat', 'the mat', 'it ran']
  const pairs = texts.map((text, i) => ({ text, text_pair: texts[(i + 1) % texts.length], score: i / 5 }))
  const scored = writeRows(join(folder, 'scored.jsonl'), pairs)
  const plain = writeRows(
    join(folder, 'plain.jsonl'),
    pairs.map(({ text, text_pair }) => ({ text, text_pair })),
  )

  it.each(['mean', 'cls'] as const)('learn scores, %s pooling, whatever the batch', async (pooling) => {
    const model = await bert('Model')
    const before = await evaluate(model, { data: scored, pooling })
    expect(Object.keys(before).sort()).toEqual(['examples', 'loss', 'pearson', 'spearman'])
    for (const batchSize of [1, 4])
      expect((await evaluate(model, { data: scored, pooling, batchSize })).loss).toBeCloseTo(before.loss, 5)
    const trainee = await fullTrainee(model)
    const { steps } = await runTraining(trainee, { data: scored, pooling, batchSize: 6, steps: 30, learningRate: 0.01 })
    expect(steps[0]!.loss).toBeCloseTo(before.loss, 5)
    expect(steps.at(-1)!.loss).toBeLessThan(0.5 * before.loss)
    expect(steps[0]!.tokens).toBe(2 * texts.reduce((sum, text) => sum + text.split(' ').length + 2, 0))
    expect((await evaluate(trainee, { data: scored, pooling })).pearson).toBeGreaterThan(0.8)
  })

  it('learn from pairs alone, each against the others of its batch', async () => {
    const trainee = await fullTrainee(await bert('Model'))
    const { steps } = await runTraining(trainee, { data: plain, batchSize: 6, steps: 30, learningRate: 0.01 })
    expect(steps.at(-1)!.loss).toBeLessThan(0.7 * steps[0]!.loss)
    // A pair alone has nothing to be told from.
    expect((await evaluate(trainee, { data: plain, batchSize: 1 })).loss).toBeCloseTo(0, 6)
    // Scores can be measured by with the other loss.
    expect(Object.keys(await evaluate(trainee, { data: scored, loss: 'contrastive' })).sort()).toEqual(['examples', 'loss'])
  })

  it('need two texts, and a score where it is asked for', async () => {
    const model = await bert('Model')
    const data = writeRows(join(folder, 'one.jsonl'), [{ text: 'the cat' }])
    await expect(evaluate(model, { data })).rejects.toThrow(
      'one.jsonl, line 1: the row holds one text, but embeddings learn from two',
    )
    await expect(evaluate(model, { data: plain, loss: 'cosine' })).rejects.toThrow(
      'plain.jsonl, line 1: "score" must be a number, found nothing.',
    )
  })
})
