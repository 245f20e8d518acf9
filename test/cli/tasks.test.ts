/** @file The command line on models that are no language models. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { writeModel, writeRows } from '../support/training.js'
import { runCli, temporaryFolder } from './run-cli.js'

const folder = temporaryFolder()
const model = join(folder, 'model')
const rows = Array.from({ length: 9 }, (_, i) => ({
  input_ids: Array.from({ length: 3 + i }, (_, k) => 1 + ((i * k) % 20)),
  label: i % 2 === 0 ? 'no' : 1,
}))

it('eval and train tell the metrics of a classifier', async () => {
  mkdirSync(model)
  writeModel(model, {
    ...{ model_type: 'bert', architectures: ['BertForSequenceClassification'], vocab_size: 23, hidden_size: 8 },
    ...{ intermediate_size: 12, num_hidden_layers: 1, num_attention_heads: 2, max_position_embeddings: 24, type_vocab_size: 2 },
    ...{ initializer_range: 0.3, id2label: { '0': 'no', '1': 'yes' } },
  })
  const data = writeRows(join(folder, 'rows.jsonl'), rows)

  const evaluation = await runCli(['eval', '--model', model, '--data', data, '--json'])
  expect(evaluation.stderr).toBe('')
  const [before] = evaluation.json()
  expect(Object.keys(before!)).toEqual(['loss', 'accuracy', 'f1', 'macroF1', 'matthews', 'examples'])
  expect(before!['examples']).toBe(9)

  const out = join(folder, 'out')
  const flags = [
    '--data',
    data,
    '--eval-data',
    data,
    '--out',
    out,
    '--target-modules',
    'query,value',
    '--steps',
    '5',
    '--lr',
    '0.05',
    '--json',
  ]
  const training = await runCli(['train', '--model', model, ...flags])
  expect(training.stderr).toBe('')
  const events = training.json()
  const step = events.find((event) => event['event'] === 'step')!
  expect(Object.keys(step).sort()).toEqual([
    'epoch',
    'event',
    'gradNorm',
    'learningRate',
    'loss',
    'step',
    'tokens',
    'tokensPerSecond',
  ])
  expect(events.find((event) => event['event'] === 'eval')).toMatchObject({ examples: 9, accuracy: expect.any(Number) as number })
  expect(events.at(-1)).toMatchObject({ event: 'done', steps: 5, evalLoss: expect.any(Number) as number })

  const table = await runCli(['eval', '--model', model, '--data', data])
  expect(table.stdout).toMatch(/loss\s+accuracy\s+f1\s+macroF1\s+matthews\s+examples/)
})

it('a row without a label is skipped where --unlabelled says so', async () => {
  const data = writeRows(join(folder, 'masked.jsonl'), [...rows, { input_ids: [1, 2], label: -100 }])
  const refused = await runCli(['eval', '--model', model, '--data', data])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('masked.jsonl, line 10: the row has no token to learn')
  const [result] = (await runCli(['eval', '--model', model, '--data', data, '--unlabelled', 'skip', '--json'])).json()
  expect(result!['examples']).toBe(9)
})

it('flags of another task are refused', async () => {
  const data = join(folder, 'rows.jsonl')
  writeFileSync(data, `${JSON.stringify(rows[0])}\n`)
  const { code, stderr } = await runCli(['eval', '--model', model, '--data', data, '--pooling', 'cls'])
  expect(code).toBe(1)
  expect(stderr).toContain('pooling is for embedding models (feature-extraction), but the model is for sequence-classification')
})
