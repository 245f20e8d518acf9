/** @file NaN and infinity: the parameters are never poisoned, neither in memory nor on disk. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAdapter, loadAdapter, type Adapter } from '../../src/adapter/adapter.js'
import { TrainingError } from '../../src/errors.js'
import { renderReport } from '../../src/report/html.js'
import { parseEvents } from '../../src/train/log.js'
import { train } from '../../src/train/trainer.js'
import {
  llamaConfig,
  randomRows,
  runTraining,
  tamperedEnvironment,
  temporaryFolder,
  testEnvironment,
  tinyModel,
  writeRows,
} from '../support/training.js'

const folder = temporaryFolder()
const data = writeRows(join(folder, 'rows.jsonl'), randomRows(8))
const common = { data, batchSize: 2, shuffle: false, learningRate: 1e-2 } as const
type Tamper = Parameters<typeof tamperedEnvironment>[0]

const adapterWith = (tamper: Tamper): Adapter => createAdapter(tinyModel(llamaConfig, tamperedEnvironment(tamper)), { r: 2 })

/** Poisons the given runs of the gradient graph. */
const poison =
  (what: 'loss' | 'gradient' | 'overflow', runs: (run: number) => boolean): Tamper =>
  (results, run) => {
    if (!runs(run)) return results
    if (what === 'loss') return { ...results, loss: Number.NaN }
    const gradient = results.gradient.slice()
    gradient[3] = what === 'gradient' ? Number.NaN : 1e30
    return { ...results, gradient }
  }

const advice =
  'The parameters were not changed by this step. Lower the learning rate, warm up, or check the rows of this batch, or skip such steps with onNan: "skip" (--on-nan skip).'

describe.each([
  ['loss', 'the loss is NaN'],
  ['gradient', "the gradient's norm is NaN"],
  ['overflow', "the gradient's norm is Infinity"],
] as const)('%s not finite', (what, message) => {
  it('stops with the step, and leaves the adapter of the step before', async () => {
    const clean = adapterWith((results) => results)
    await runTraining(clean, { ...common, steps: 2 })
    const adapter = adapterWith(poison(what, (run) => run === 3))
    const out = join(folder, `stop-${what}`)
    const attempt = async (): Promise<void> => {
      for await (const _ of train(adapter, { ...common, steps: 5, out, checkpointEvery: 1 }));
    }
    await expect(attempt()).rejects.toThrow(new TrainingError(`step 3: ${message}. ${advice}`))
    expect(adapter.parameters.data).toEqual(clean.parameters.data)
    expect(readdirSync(out).sort()).toEqual(['checkpoint-1', 'checkpoint-2', 'log.jsonl', 'run.json'])
    const saved = await loadAdapter(adapter.model, join(out, 'checkpoint-2'))
    expect(saved.parameters.data).toEqual(clean.parameters.data)
  })

  it('skip: a warning, the parameters and the optimizer as if the step had not been', async () => {
    const adapter = adapterWith(poison(what, (run) => run === 2))
    const { events, steps, done } = await runTraining(adapter, { ...common, steps: 3, onNan: 'skip' })
    const kinds = events.map((e) => e.event)
    expect(kinds).toEqual(['start', 'step', 'warning', 'step', 'step', 'done'])
    expect(events[2]).toEqual({ event: 'warning', step: 2, message: `${message}: the update was skipped` })
    expect(done!.loss).toBe(steps[2]!.loss)
    // The same updates without the batch of step 2.
    const rows = readFileSync(data, 'utf8').split('\n')
    const { writeFileSync } = await import('node:fs')
    const without = join(folder, 'without.jsonl')
    writeFileSync(without, [...rows.slice(0, 2), ...rows.slice(4)].join('\n'))
    const clean = adapterWith((results) => results)
    await runTraining(clean, { ...common, data: without, steps: 2 })
    expect(adapter.parameters.data).toEqual(clean.parameters.data)
  })
})

describe('the last step, or every one, not finite and skipped', () => {
  it.each([
    ['the last', (run: number) => run === 3],
    ['every one', () => true],
  ])('%s: the run ends with what was learned, its log, card and report', async (name, runs) => {
    const adapter = adapterWith(poison('loss', runs))
    const out = join(folder, `end-${name}`)
    const { done, steps } = await runTraining(adapter, { ...common, steps: 3, onNan: 'skip', out, checkpointEvery: 1 })
    expect(steps.at(-1)!.loss).toBeNaN()
    expect(done).toMatchObject({ reason: 'finished', steps: 3, saved: out, loss: name === 'the last' ? steps[1]!.loss : NaN })
    expect((await loadAdapter(adapter.model, out)).parameters.data).toEqual(adapter.parameters.data)
    expect(readFileSync(join(out, 'README.md'), 'utf8')).toContain('| Training loss, step 3 | NaN |')
    const events = parseEvents(readFileSync(join(out, 'log.jsonl'), 'utf8'))
    expect(events.filter((e) => e.event === 'step').at(-1)!.loss).toBeNaN()
    expect(renderReport([{ name: 'r', model: 'm', settings: {}, events }], { script: '', style: '' }, 't')).toContain('→ –')
    const again = await runTraining(adapter, { ...common, steps: 3, onNan: 'skip', out, checkpointEvery: 1, resume: true })
    expect(again.done).toMatchObject({ reason: 'finished', steps: 3 })
  })
})

describe('a diverged run', () => {
  it('gives up after 20 skipped steps in a row, whenever they begin', async () => {
    const adapter = adapterWith(poison('loss', (run) => run > 2 && run !== 10))
    let steps = 0
    const attempt = async (): Promise<void> => {
      for await (const event of train(adapter, { ...common, steps: 100, onNan: 'skip' })) if (event.event === 'step') steps++
    }
    await expect(attempt()).rejects.toThrow(
      /^step 30: the loss is NaN, for the 20th step in a row: the run has diverged\. Lower the/,
    )
    expect(steps).toBe(29)
    expect(adapter.parameters.data.every(Number.isFinite)).toBe(true)
  })

  it('a rate that overflows float32 is caught before it reaches the parameters', async () => {
    const adapter = createAdapter(tinyModel(llamaConfig, testEnvironment()), { r: 2 })
    const before = adapter.parameters.data.slice()
    await expect(runTraining(adapter, { ...common, steps: 2, learningRate: 3e38, weightDecay: 10 })).rejects.toThrow(
      'step 1: the update leaves the range of float32. The parameters were not changed by this step.',
    )
    expect(adapter.parameters.data).toEqual(before)
  })

  it('a real divergence ends with finite parameters', async () => {
    const adapter = createAdapter(tinyModel(llamaConfig, testEnvironment()), { r: 2 })
    // Whether it ends in NaN or in a dead network is the model's affair.
    await runTraining(adapter, { ...common, steps: 30, learningRate: 1e20, maxGradNorm: 0 }).catch((error: unknown) => {
      expect(error).toBeInstanceOf(TrainingError)
    })
    expect(adapter.parameters.data.every(Number.isFinite)).toBe(true)
  })
})
