/** @file R-Drop and cut-off: what is run of a batch, its loss from the logits of both passes, runs, and what is refused. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAdapter } from '../../src/adapter/adapter.js'
import type { Batch } from '../../src/data/batch.js'
import { CUT_TOKENS, inTwoPasses } from '../../src/data/passes.js'
import { loadTokenizer } from '../../src/data/tokenizer.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { ConfigReader, type Json } from '../../src/models/config-reader.js'
import { randomWeights } from '../../src/models/random.js'
import { planTraining } from '../../src/plan/index.js'
import { GradientSession } from '../../src/train/gradient-session.js'
import { LossSession } from '../../src/train/loss-session.js'
import { chooseObjective, openTaskDataset } from '../../src/train/open-dataset.js'
import { lossOptions } from '../../src/train/step-graph.js'
import { adapterTrainee } from '../../src/train/trainee.js'
import { memoryFiles } from '../support/data.js'
import { runTraining, temporaryFolder, testEnvironment, writeRows } from '../support/training.js'

const fixture = resolve(import.meta.dirname, '../fixtures/data/tokenizers.json')
const { tokenizers } = JSON.parse(readFileSync(fixture, 'utf8')) as { tokenizers: Record<string, { json: object }> }
const environment = testEnvironment()
const folder = temporaryFolder()
const labels = { id2label: { '0': 'no', '1': 'maybe', '2': 'yes' } }
const [UNKNOWN, CLASS, SEPARATOR] = [1, 2, 3]

async function bert(extra: Record<string, Json> = labels, { unknown = true, withTokenizer = true } = {}): Promise<FolderModel> {
  const config = new ConfigReader(
    {
      ...{ model_type: 'bert', architectures: ['BertForSequenceClassification'], vocab_size: 90, hidden_size: 8 },
      ...{ intermediate_size: 12, num_hidden_layers: 2, num_attention_heads: 2, max_position_embeddings: 40, pad_token_id: 0 },
      ...{ initializer_range: 0.3, ...extra },
    },
    'tiny',
  )
  const files = {
    'm/tokenizer.json': JSON.stringify(tokenizers['bert']!.json),
    ...(unknown && { 'm/tokenizer_config.json': JSON.stringify({ unk_token: '[UNK]', cls_token: '[CLS]' }) }),
  }
  const tokenizer = await loadTokenizer(memoryFiles(files), 'm')
  return FolderModel.fromWeights(environment, config, randomWeights(config, 4), withTokenizer ? { tokenizer: tokenizer! } : {})
}

const rows = [
  { text: 'the cat sat', text_pair: 'is it true that they ran', label: 'yes' },
  { text: 'they ran', text_pair: 'the cat', label: 'maybe' },
  { text: 'is it true', text_pair: 'the cat ran', label: 'no' },
  { text: 'it is', text_pair: 'they sat', label: 'maybe' },
]
const data = writeRows(join(folder, 'rows.jsonl'), rows)
const numbers = (batch: Batch, name: string): number[] => Array.from(batch.feeds[name]!.data as BigInt64Array, Number)

async function batchOf(model: FolderModel, options: { rDrop: number; cutoff?: number }) {
  const objective = await chooseObjective(model, data, options)
  const batches = (await openTaskDataset(model, objective, data, {})).batches({ batchSize: 4 })
  const { value } = await batches.next()
  await batches.return(undefined)
  return { objective, batch: value as Batch }
}

describe('a batch in two passes', () => {
  it('has each row twice, and tokens of the second copy cut off, never those that the tokenizer adds, nor padding', async () => {
    const { objective, batch } = await batchOf(await bert(), { rDrop: 1, cutoff: 0.5 })
    const drawn = objective.learned!(batch, 7)
    expect([drawn.rows, drawn.group, drawn.tokens]).toEqual([8, 2, batch.tokens])
    expect(drawn.lengths).toEqual(batch.lengths.flatMap((length) => [length, length]))
    expect(Object.keys(drawn.feeds)).not.toContain(CUT_TOKENS)
    expect(Object.keys(drawn.padding)).not.toContain(CUT_TOKENS)
    const width = batch.feeds['input_ids']!.shape[1]!
    const [before, after] = [numbers(batch, 'input_ids'), numbers(drawn, 'input_ids')]
    const row = (ids: readonly number[], r: number): number[] => ids.slice(r * width, (r + 1) * width)
    let [cut, kept] = [0, 0]
    for (let r = 0; r < 4; r++) {
      expect(row(after, 2 * r)).toEqual(row(before, r))
      row(after, 2 * r + 1).forEach((id, i) => {
        const original = row(before, r)[i]!
        const added = i >= batch.lengths[r]! || original === CLASS || original === SEPARATOR
        if (added) expect(id).toBe(original)
        else if (id === original) kept++
        else {
          expect(id).toBe(UNKNOWN)
          cut++
        }
      })
    }
    expect(Math.min(cut, kept)).toBeGreaterThan(3)
    for (const name of ['attention_mask', 'labels'])
      for (const [i, value] of numbers(drawn, name).entries()) {
        const size = numbers(batch, name).length / 4
        expect(value).toBe(numbers(batch, name)[Math.floor(i / size / 2) * size + (i % size)])
      }
    expect(numbers(objective.learned!(batch, 7), 'input_ids')).toEqual(after)
    expect(numbers(objective.learned!(batch, 8), 'input_ids')).not.toEqual(after)
  })

  it('cuts the share that is asked for', () => {
    const size = 200 * 50
    const ids = (value: bigint) => ({ dtype: 'int64' as const, shape: [200, 50], data: new BigInt64Array(size).fill(value) })
    const counts = { tokens: 200, positions: size, rows: 200, examples: 200, truncated: 0, lengths: Array.from({ length: 200 }, () => 50) } // prettier-ignore
    const batch = { ...counts, feeds: { input_ids: ids(5n), [CUT_TOKENS]: ids(1n) }, padding: { input_ids: 0, [CUT_TOKENS]: 0 } }
    const cut = numbers(inTwoPasses(batch, 0.1, 3), 'input_ids').filter((id) => id === 1).length
    expect(Math.abs(cut / size - 0.1)).toBeLessThan(4 * Math.sqrt(0.09 / size))
  })
})

it('the loss is that of the logits of both passes, whatever sub-batches they are run in', async () => {
  const model = await bert()
  const adapter = createAdapter(model, { r: 2, initLoraWeights: false })
  const { objective, batch } = await batchOf(model, { rDrop: 1.5, cutoff: 0.5 })
  const options = lossOptions(model, 4, undefined, false, objective)
  const learning = await GradientSession.create(adapterTrainee(adapter), options)
  const { loss, count } = await learning.run(batch, 7)
  expect(count).toBe(4)

  const measuring = await LossSession.create(adapterTrainee(adapter), options)
  const whole = objective.learned!(batch, 7)
  const passes: number[][] = []
  for (let r = 0; r < 8; r++) {
    const alone = Object.fromEntries(
      Object.entries(whole.feeds).map(([name, { dtype, shape, data: all }]) => {
        const size = all.length / 8
        return [name, { dtype, shape: [1, ...shape.slice(1)], data: all.slice(r * size, (r + 1) * size) }]
      }),
    ) as Batch['feeds']
    await measuring.run(
      { ...whole, feeds: alone, lengths: [whole.lengths[r]!], rows: 1, group: 1 },
      {
        add: (outputs) => void passes.push(Array.from(Object.values(outputs)[0]!.data as Float32Array)),
      },
    )
  }
  await Promise.all([learning.release(), measuring.release()])

  const logSoftmax = (x: readonly number[]): number[] => {
    const sum = Math.log(x.reduce((total, value) => total + Math.exp(value), 0))
    return x.map((value) => value - sum)
  }
  let expected = 0
  numbers(batch, 'labels').forEach((label, r) => {
    const [first, second] = [passes[2 * r]!, passes[2 * r + 1]!]
    const middle = logSoftmax(first.map((value, i) => (value + second[i]!) / 2))
    for (const pass of [first, second].map(logSoftmax)) {
      const divergence = middle.reduce((sum, m, i) => sum + Math.exp(m) * (m - pass[i]!), 0)
      expected += -pass[label]! + (0.5 * 1.5 * divergence) / 3
    }
  })
  expect(Math.abs(loss - expected)).toBeLessThan(1e-5 * expected)
})

describe('a run', () => {
  const options = { data, evalData: data, steps: 3, batchSize: 2, learningRate: 1e-2 }

  it('learns in two passes and evaluates in one', async () => {
    const adapter = createAdapter(await bert(), { r: 2 })
    const plain = createAdapter(await bert(), { r: 2 })
    const { steps, evals } = await runTraining(adapter, { ...options, rDrop: 1, modelDropout: true, evalAtStart: true })
    const { evals: before } = await runTraining(plain, { ...options, evalAtStart: true })
    expect(evals[0]).toEqual(before[0])
    expect(steps.every(({ loss, gradNorm }) => Number.isFinite(loss) && gradNorm > 0)).toBe(true)
    expect(evals.at(-1)!.loss).not.toBe(evals[0]!.loss)
    const planned = await planTraining(adapter, { ...options, rDrop: 1, modelDropout: true })
    expect(planned.operationsPerStep).toBeGreaterThan(1.9 * (await planTraining(adapter, options)).operationsPerStep)
  })

  it.each([
    ['cutoff needs rDrop (--r-drop)', labels, { cutoff: 0.1 }],
    ['rDrop must be a finite number above 0', labels, { rDrop: 0 }],
    ['cutoff must be a share above 0 and below 1', labels, { rDrop: 1, cutoff: 1 }],
    ['compares two passes over a row, which are the same without dropout', labels, { rDrop: 1 }],
    ['compares the classes of two passes, but the rows are for regression', { num_labels: 1 }, { rDrop: 1, cutoff: 0.1 }],
    [
      'is for sequence classifiers with their own loss, but a loss is given',
      labels,
      { rDrop: 1, cutoff: 0.1, loss: 'output:logits' },
    ],
  ] as const)('refuses: %s', async (message, config, given) => {
    await expect(runTraining(createAdapter(await bert(config), { r: 2 }), { ...options, ...given })).rejects.toThrow(message)
  })

  it('refuses to cut off tokens without a token for it', async () => {
    const tokens = writeRows(join(folder, 'tokens.jsonl'), [{ input_ids: [4, 5, 6], label: 1 }])
    const run = async (of: object) =>
      runTraining(createAdapter(await bert(labels, of), { r: 2 }), { data: tokens, rDrop: 1, cutoff: 0.1 })
    const refusal = 'cutoff (--cutoff) replaces tokens by the one for unknown words, but '
    await expect(run({ withTokenizer: false })).rejects.toThrow(`${refusal}there is no tokenizer beside the model`)
    await expect(run({ unknown: false })).rejects.toThrow(`${refusal}the tokenizer of m names none (unk_token)`)
  })
})
