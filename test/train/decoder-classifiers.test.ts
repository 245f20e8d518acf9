/**
 * @file Decoders that classify rows, from their folders, against PyTorch and PEFT: made by test/oracle/make-decoder-
 * classifiers.py.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { evaluate, loadAdapter, loadModel, train } from '../../src/index.js'
import { temporaryFolder } from '../support/training.js'

interface ClassifierCase {
  readonly rows: readonly { readonly input_ids: readonly number[]; readonly labels: number }[]
  readonly base_loss: number
  readonly losses: readonly number[]
  readonly grad_norms: readonly number[]
}
const relative = (found: number, expected: number): number => Math.abs(found - expected) / Math.abs(expected)

describe.each(['llama', 'gemma2', 'gpt_neox', 'phi3'])('%s for sequence classification', (name) => {
  const folder = `test/fixtures/golden/classifiers/${name}`
  const expected = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as ClassifierCase
  const data = join(temporaryFolder(), 'rows.jsonl')
  writeFileSync(data, expected.rows.map((row) => `${JSON.stringify(row)}\n`).join(''))

  it('has the losses of PyTorch, padded or alone, and follows 20 steps of AdamW', async () => {
    const model = await loadModel(`${folder}/model`, { threads: 1 })
    expect(model.task).toMatchObject({ name: 'sequence-classification', numLabels: 3 })
    const adapter = await loadAdapter(model, `${folder}/adapter`)
    for (const batchSize of [1, 8]) {
      expect(relative((await evaluate(model, { data, batchSize })).loss, expected.base_loss)).toBeLessThan(1e-5)
      expect(relative((await evaluate(adapter, { data, batchSize })).loss, expected.losses[0]!)).toBeLessThan(1e-5)
    }
    const options = { data, batchSize: 3, steps: 20, learningRate: 0.005, weightDecay: 0.01, maxGradNorm: 1, shuffle: false }
    let step = 0
    for await (const event of train(adapter, options)) {
      if (event.event !== 'step') continue
      expect(relative(event.loss, expected.losses[step]!), `loss of step ${step + 1}`).toBeLessThan(1e-3)
      expect(relative(event.gradNorm, expected.grad_norms[step]!), `gradient norm of step ${step + 1}`).toBeLessThan(1e-3)
      step++
    }
    expect(step).toBe(20)
  })
})
