/** @file The loop itself: accumulation, epochs, evaluation, early stopping, what is reported. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAdapter } from '../../src/adapter/adapter.js'
import { evaluate } from '../../src/train/evaluate.js'
import { fullTrainee } from '../../src/train/trainee.js'
import {
  llamaConfig,
  randomRows,
  runTraining,
  temporaryFolder,
  testEnvironment,
  tinyModel,
  writeRows,
} from '../support/training.js'

const folder = temporaryFolder()
const model = tinyModel(llamaConfig, testEnvironment())
const lora = { r: 2, alpha: 2, targetModules: 'all-linear', initLoraWeights: false } as const
const rows = randomRows(12)
const data = writeRows(join(folder, 'rows.jsonl'), rows)
const evalData = writeRows(join(folder, 'eval.jsonl'), randomRows(5, 6))
const relative = (a: number, b: number): number => Math.abs(a - b) / Math.abs(b)

describe('gradient accumulation', () => {
  it.each([
    [1, 12],
    [3, 4],
    [5, 3],
  ])('micro-batches of %i rows, %i of them, equal one batch of 12 with unequal token counts', async (batchSize, gradAccum) => {
    const whole = createAdapter(model, lora)
    const parts = createAdapter(model, lora)
    const common = { data, steps: 3, learningRate: 1e-2, shuffle: false }
    const expected = await runTraining(whole, { ...common, batchSize: 12 })
    const found = await runTraining(parts, { ...common, batchSize, gradAccum })
    found.steps.forEach(({ loss, gradNorm, tokens }, i) => {
      expect(relative(loss, expected.steps[i]!.loss)).toBeLessThan(1e-5)
      expect(relative(gradNorm, expected.steps[i]!.gradNorm)).toBeLessThan(1e-4)
      expect(tokens).toBe(expected.steps[i]!.tokens)
    })
    const worst = Math.max(...whole.parameters.data.map((x, i) => Math.abs(x - parts.parameters.data[i]!)))
    expect(worst).toBeLessThan(1e-4)
  })
})

describe('the number of steps', () => {
  it.each([
    [{ epochs: 1, batchSize: 5 }, [5, 5, 2]],
    [{ epochs: 2, batchSize: 8 }, [8, 4, 8, 4]],
    // The last update takes what is left, never rows of a further epoch.
    [{ epochs: 1, batchSize: 4, gradAccum: 2 }, [8, 4]],
    [{ epochs: 0.5, batchSize: 3 }, [3, 3]],
    [{ steps: 3, batchSize: 8 }, [8, 4, 8]],
    [{ steps: 2, epochs: 100, batchSize: 8 }, [8, 4]],
    // An update goes on into the next epoch, as long as there is one.
    [{ epochs: 2, batchSize: 4, gradAccum: 2 }, [8, 8, 8]],
  ])('%o', async (options, sizes) => {
    const { steps, events, done } = await runTraining(createAdapter(model, lora), { data, shuffle: false, ...options })
    const lengths = [...rows, ...rows].map((row) => row.input_ids.length)
    let at = 0
    const tokens = sizes.map((size) => lengths.slice(at, (at += size)).reduce((a, b) => a + b, 0))
    expect(steps.map((step) => step.tokens)).toEqual(tokens)
    expect(events[0]).toMatchObject({ event: 'start', steps: sizes.length, resumedAt: 0, rows: 12 })
    expect(done).toMatchObject({ steps: sizes.length, loss: steps.at(-1)!.loss, stoppedEarly: false })
  })

  it('rows without a token to learn are left out with a warning, once', async () => {
    const empty = { input_ids: [1, 2, 3], labels: [-100, -100, -100] }
    const gaps = writeRows(join(folder, 'gaps.jsonl'), [...rows.slice(0, 4), empty, empty, ...rows.slice(4, 6), empty, empty])
    const options = { data: gaps, shuffle: false, batchSize: 2, unlabelled: 'skip', epochs: 2 } as const
    const { steps, events } = await runTraining(createAdapter(model, lora), options)
    // Five batches an epoch, of which two are empty.
    expect(steps.map((step) => step.epoch)).toEqual([0, 0, 0, 1, 1, 1])
    const warnings = events.filter((e) => e.event === 'warning')
    expect(warnings.map(({ message }) => message).join('; ')).toBe(
      `left out 4 rows without a token to learn: ${gaps}, line 5; ${gaps}, line 6; ${gaps}, line 9; …`,
    )
    const packed = await runTraining(createAdapter(model, lora), { ...options, packing: true })
    expect(packed.steps.length).toBeGreaterThan(1)
    expect((await evaluate(model, { data: gaps, unlabelled: 'skip' })).tokens).toBeGreaterThan(0)
  })
})

describe('evaluation', () => {
  it('is the mean over tokens, whatever the batches', async () => {
    const adapter = createAdapter(model, lora)
    const each = await Promise.all(
      randomRows(5, 6).map((row, i) => evaluate(adapter, { data: writeRows(join(folder, `one-${i}.jsonl`), [row]) })),
    )
    const tokens = each.reduce((sum, e) => sum + e.tokens!, 0)
    const loss = each.reduce((sum, e) => sum + e.loss * e.tokens!, 0) / tokens
    for (const batchSize of [1, 2, 5]) {
      const found = await evaluate(adapter, { data: evalData, batchSize })
      expect(relative(found.loss, loss)).toBeLessThan(1e-6)
      expect(found).toMatchObject({ tokens, perplexity: Math.exp(found.loss) })
    }
  })

  it('happens at the end of each epoch, or every n steps, and after the last step, without touching the run', async () => {
    const options = { data, shuffle: false, batchSize: 4, epochs: 2, learningRate: 1e-2 }
    const plain = await runTraining(createAdapter(model, lora), options)
    const losses = plain.steps.map(({ loss }) => loss)
    for (const [extra, at] of [
      [{}, [3, 6]],
      [{ evalEvery: 4 }, [4, 6]],
    ] as const) {
      const adapter = createAdapter(model, lora)
      const { steps, evals, done } = await runTraining(adapter, { ...options, ...extra, evalData, evalBatchSize: 2 })
      expect(steps.map(({ loss }) => loss)).toEqual(losses)
      expect(evals.map(({ step }) => step)).toEqual(at)
      expect(evals[0]!.best).toBe(true)
      expect(done!.evalLoss).toBe(evals.at(-1)!.loss)
      expect(relative((await evaluate(adapter, { data: evalData })).loss, evals.at(-1)!.loss)).toBeLessThan(1e-6)
    }
  })

  it('stops early after evaluations that are no better', async () => {
    // A rate of 0 improves nothing: the first evaluation is the best.
    const { evals, done } = await runTraining(createAdapter(model, lora), {
      ...{ data, evalData, batchSize: 4, epochs: 10, learningRate: 0, earlyStopping: 2, evalEvery: 2 },
    })
    expect(evals.map(({ step, best }) => [step, best])).toEqual([
      [2, true],
      [4, false],
      [6, false],
    ])
    expect(done).toMatchObject({ steps: 6, stoppedEarly: true })
  })
})

describe('all weights', () => {
  it('training from scratch learns, saves a model that loads, and evaluates the same', async () => {
    const trainee = await fullTrainee(model)
    const before = await evaluate(trainee, { data })
    expect(before.loss).toBe((await evaluate(model, { data })).loss)
    const out = join(folder, 'full')
    const { done } = await runTraining(trainee, { data, out, steps: 30, learningRate: 1e-2, batchSize: 12 })
    expect(done!.loss).toBeLessThan(before.loss * 0.7)
    expect(done!.trainableParameters).toBe(done!.totalParameters)
    const { FolderModel } = await import('../../src/model/folder-model.js')
    const saved = await FolderModel.open(out, testEnvironment())
    expect((await evaluate(saved, { data })).loss).toBe((await evaluate(trainee, { data })).loss)
    const log = readFileSync(join(out, 'log.jsonl'), 'utf8').trim().split('\n')
    expect(log.map((line) => (JSON.parse(line) as { event: string }).event)).toEqual([
      'start',
      ...Array<string>(30).fill('step'),
      'done',
    ])
  })
})
