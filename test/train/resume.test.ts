/** @file Checkpoints: bit for bit, rotation, refusals, damage, a full disk. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAdapter, type Adapter, type LoraOptions } from '../../src/adapter/adapter.js'
import { FileError, InvalidModelError, InvalidOptionError } from '../../src/errors.js'
import type { TrainOptions } from '../../src/train/options.js'
import { train } from '../../src/train/trainer.js'
import {
  fillingDisk,
  gpt2Config,
  llamaConfig,
  randomRows,
  runTraining,
  temporaryFolder,
  testEnvironment,
  tinyModel,
  writeRows,
  type Report,
} from '../support/training.js'

const folder = temporaryFolder()
const model = tinyModel(llamaConfig, testEnvironment())
const lora: LoraOptions = { r: 2, targetModules: 'all-linear', seed: 3 }
const fresh = (options: LoraOptions = {}): Adapter => createAdapter(model, { ...lora, ...options })
const data = writeRows(join(folder, 'rows.jsonl'), randomRows(11))
const evalData = writeRows(join(folder, 'eval.jsonl'), randomRows(3, 9))
let counter = 0
const newOut = (): string => join(folder, `out-${++counter}`)
const bytes = (adapter: Adapter): Buffer => Buffer.from(adapter.parameters.data.buffer.slice(0))
const losses = ({ steps }: Report): unknown[] => steps.map(({ step, loss, gradNorm, learningRate, tokens, epoch }) => [step, loss, gradNorm, learningRate, tokens, epoch]) // prettier-ignore
const evals = (report: Report): unknown[] => report.evals.map(({ step, loss, best }) => [step, loss, best])

/** Trains until `step` and leaves, as a process that is stopped does. */
async function trainUntil(step: number, adapter: Adapter, options: TrainOptions): Promise<void> {
  for await (const event of train(adapter, options)) if (event.event === 'checkpoint' && event.step >= step) return
}

describe('resume continues bit for bit', () => {
  const variants: [string, Partial<TrainOptions>, LoraOptions][] = [
    ['shuffle and dropout', { batchSize: 2, shuffle: true }, { dropout: 0.3 }],
    ['accumulation across epochs', { batchSize: 2, gradAccum: 4, shuffle: true }, { dropout: 0.1 }],
    ['packing', { batchSize: 2, packing: true, maxLength: 20, shuffle: true }, { dropout: 0.2 }],
    ['bucketing', { batchSize: 2, groupByLength: true, shuffle: true }, {}],
    ['schedule, decay and file order', { batchSize: 3, shuffle: false, schedule: 'cosine', warmup: 0.2, weightDecay: 0.1 }, {}],
    ['evaluation and early stopping', { batchSize: 4, evalData, evalEvery: 2, earlyStopping: 3, learningRate: 3e-2 }, {}],
  ]
  it.each(variants)('%s', async (_name, given, loraOptions) => {
    const common: TrainOptions = { data, steps: 10, learningRate: 1e-2, seed: 7, checkpointEvery: 1, ...given }
    const whole = fresh(loraOptions)
    const expected = await runTraining(whole, { ...common, out: newOut() })
    for (const stop of [2, 5]) {
      const out = newOut()
      await trainUntil(stop, fresh(loraOptions), { ...common, out })
      // Values of the adapter that is given do not matter: the checkpoint's do.
      const adapter = fresh({ ...loraOptions, seed: 1000 })
      const rest = await runTraining(adapter, { ...common, out, resume: true })
      expect(rest.events[0]).toMatchObject({ event: 'start', resumedAt: stop })
      expect(losses(rest)).toEqual(losses(expected).slice(stop))
      expect(evals(rest)).toEqual(evals(expected).filter((e) => (e as [number])[0] > stop))
      expect(bytes(adapter).equals(bytes(whole))).toBe(true)
      const { steps, loss, evalLoss, stoppedEarly } = expected.done!
      expect(rest.done).toMatchObject({ steps, loss, stoppedEarly, ...(evalLoss !== undefined && { evalLoss }) })
      // The log is that of one run, and the files are those of the uninterrupted one.
      const log = readFileSync(join(out, 'log.jsonl'), 'utf8').trim().split('\n')
      const logged = log.map((line) => JSON.parse(line) as { event: string; step: number; loss: number })
      const steps_ = logged.filter((e) => e.event === 'step')
      expect(steps_.map(({ step, loss: l }) => [step, l])).toEqual(expected.steps.map(({ step, loss: l }) => [step, l]))
      const saved = (o: string): Buffer => readFileSync(join(o, 'adapter_model.safetensors'))
      expect(saved(out).equals(saved(expected.done!.out!))).toBe(true)
    }
  })

  it('a run that is over does nothing more, early or not', async () => {
    for (const extra of [{ steps: 3 }, { steps: 20, earlyStopping: 1, evalData, evalEvery: 1, learningRate: 0 }]) {
      const options = { data, out: newOut(), batchSize: 4, checkpointEvery: 1, ...extra }
      const first = await runTraining(fresh(), options)
      const again = await runTraining(fresh(), { ...options, resume: true })
      expect(again.steps).toEqual([])
      expect(again.evals).toEqual([])
      expect(again.done).toMatchObject({
        steps: first.done!.steps,
        stoppedEarly: first.done!.stoppedEarly,
        loss: first.done!.loss,
      })
    }
  })

  it('a run of constant rate can be prolonged', async () => {
    const common = { data, batchSize: 2, seed: 4, checkpointEvery: 2 }
    const whole = fresh()
    const expected = await runTraining(whole, { ...common, steps: 8, out: newOut() })
    const out = newOut()
    await runTraining(fresh(), { ...common, steps: 4, out })
    const adapter = fresh()
    expect(losses(await runTraining(adapter, { ...common, steps: 8, out, resume: true }))).toEqual(losses(expected).slice(4))
    expect(bytes(adapter).equals(bytes(whole))).toBe(true)
  })

  it('without a checkpoint it starts at the beginning', async () => {
    const { events } = await runTraining(fresh(), { data, out: newOut(), steps: 1, resume: true })
    expect(events[0]).toMatchObject({ resumedAt: 0 })
  })
})

describe('checkpoints', () => {
  it('the newest are kept, and nothing half done is left', async () => {
    for (const saveTotalLimit of [1, 3]) {
      const out = newOut()
      mkdirSync(join(out, '.checkpoint-7.partial'), { recursive: true })
      mkdirSync(join(out, '.checkpoint-2.removed'))
      const { events } = await runTraining(fresh(), { data, out, batchSize: 2, steps: 9, checkpointEvery: 2, saveTotalLimit })
      expect(events.flatMap((e) => (e.event === 'checkpoint' ? [e.step] : []))).toEqual([2, 4, 6, 8, 9])
      const kept = ['checkpoint-9', 'checkpoint-8', 'checkpoint-6'].slice(0, saveTotalLimit).reverse()
      expect(readdirSync(out).sort()).toEqual(
        [...kept, 'README.md', 'adapter_config.json', 'adapter_model.safetensors', 'log.jsonl', 'run.json'].sort(),
      )
      expect(readdirSync(join(out, 'checkpoint-9')).sort()).toEqual([
        ...['adapter_config.json', 'adapter_model.safetensors', 'training_state.json', 'training_state.safetensors'],
      ])
    }
  })

  it('a fresh run refuses a folder with checkpoints of another', async () => {
    const out = newOut()
    await runTraining(fresh(), { data, out, steps: 2, checkpointEvery: 1 })
    await expect(runTraining(fresh(), { data, out, steps: 2 })).rejects.toThrow(
      new InvalidOptionError(
        `"${out}" holds checkpoints of an earlier run (checkpoint-1, checkpoint-2). Continue it with resume (--resume), remove them, choose another output folder, or replace it with overwrite (--overwrite).`,
      ),
    )
  })

  it('an aborted run leaves a checkpoint to continue from, and no finished adapter', async () => {
    const common = { data, batchSize: 2, steps: 6, seed: 2 }
    const expected = await runTraining(fresh(), common)
    const out = newOut()
    const controller = new AbortController()
    const seen: string[] = []
    for await (const event of train(fresh(), { ...common, out, signal: controller.signal })) {
      seen.push(event.event)
      if (event.event === 'step' && event.step === 2) controller.abort()
    }
    expect(seen).toEqual(['start', 'step', 'step', 'checkpoint', 'done'])
    expect(readdirSync(out).sort()).toEqual(['checkpoint-2', 'log.jsonl', 'run.json'])
    const rest = await runTraining(fresh(), { ...common, out, resume: true })
    expect(losses(rest)).toEqual(losses(expected).slice(2))
  })
})

describe('resume refuses', () => {
  const common: TrainOptions = { data, batchSize: 2, steps: 2, checkpointEvery: 1, seed: 1 }
  const checkpointed = async (): Promise<string> => {
    const out = newOut()
    await runTraining(fresh(), { ...common, out })
    return out
  }

  it('other settings, naming what differs', async () => {
    const out = await checkpointed()
    const cases: [Partial<TrainOptions>, LoraOptions, string][] = [
      [
        { batchSize: 3, learningRate: 1 },
        {},
        'batchSize (--batch-size): 2 before, 3 now; learningRate (--lr): 0.0002 before, 1 now',
      ],
      [{ seed: 2 }, {}, 'seed (--seed): 1 before, 2 now'],
      [{ maxLength: 9 }, {}, 'maxLength (--max-length): not given before, 9 now'],
      [{ schedule: 'linear' }, {}, 'schedule (--schedule): "constant" before, "linear" now'],
      [{ shuffle: false }, {}, 'shuffle (--no-shuffle): true before, false now'],
      [{ loraPlusLrRatio: 4 }, {}, 'loraPlusLrRatio (--lora-plus-ratio): not given before, 4 now'],
      [{ valSplit: 0.2 }, {}, 'valSplit (--val-split): not given before, 0.2 now'],
      [{ evalData, earlyStopping: 2 }, {}, 'earlyStopping (--early-stopping): not given before, given now'],
      [{ data: evalData }, {}, 'the rows of data (--data)'],
      [{}, { r: 3 }, 'what is trained (layers, ranks, scales, dropout or initialisation)'],
      [{}, { dropout: 0.5 }, 'what is trained (layers, ranks, scales, dropout or initialisation)'],
    ]
    for (const [options, loraOptions, difference] of cases) {
      const adapter = fresh(loraOptions)
      const before = bytes(adapter)
      await expect(runTraining(adapter, { ...common, ...options, out, resume: true })).rejects.toThrow(
        new InvalidOptionError(
          `cannot resume from ${out}/checkpoint-2: it was written with other settings (${difference}). Give the same as before, or another output folder.`,
        ),
      )
      expect(bytes(adapter).equals(before)).toBe(true)
    }
    const other = createAdapter(tinyModel({ ...llamaConfig, vocab_size: 18 }, testEnvironment()), lora)
    await expect(runTraining(other, { ...common, out, resume: true })).rejects.toThrow(
      "(the weights of the base model; the base model's config.json)",
    )
    const further = createAdapter(tinyModel(gpt2Config, testEnvironment()), lora)
    await expect(runTraining(further, { ...common, out, resume: true })).rejects.toThrow(
      "(the weights of the base model; the base model's config.json; what is trained",
    )
  })

  it.each<[string, (checkpoint: string) => void, string]>([
    ['no state', (c) => rmSync(`${c}/training_state.json`), 'is incomplete: training_state.json is missing. Remove the folder'],
    ['no tensors', (c) => rmSync(`${c}/training_state.safetensors`), 'is incomplete: training_state.safetensors is missing'],
    ['cut state', (c) => truncateSync(`${c}/training_state.json`, 50), 'training_state.json is not valid JSON'],
    [
      'another format',
      (c) => writeFileSync(`${c}/training_state.json`, '{"format":1}'),
      'expected a training state of format 2, got 1',
    ],
    [
      'null',
      (c) => writeFileSync(`${c}/training_state.json`, 'null'),
      'training_state.json must hold a JSON object; remove the checkpoint to continue from the one before it',
    ],
    [
      'a missing key',
      (c) => writeFileSync(`${c}/training_state.json`, '{"format":2,"step":2,"updates":"2"}'),
      'training_state.json: "updates" is "2"; the training state is damaged',
    ],
    ['cut tensors', (c) => truncateSync(`${c}/training_state.safetensors`, 900), 'training_state.safetensors'],
  ])('a damaged checkpoint: %s', async (_name, damage, message) => {
    const out = await checkpointed()
    damage(join(out, 'checkpoint-2'))
    const adapter = fresh()
    const before = bytes(adapter)
    const attempt = runTraining(adapter, { ...common, out, resume: true })
    await expect(attempt).rejects.toThrow(InvalidModelError)
    await expect(attempt).rejects.toThrow(message)
    expect(bytes(adapter).equals(before)).toBe(true)
    // As the message says.
    rmSync(join(out, 'checkpoint-2'), { recursive: true })
    expect((await runTraining(adapter, { ...common, out, resume: true })).events[0]).toMatchObject({ resumedAt: 1 })
  })

  it('tensors of another size', async () => {
    const [out, other] = [await checkpointed(), newOut()]
    await runTraining(fresh({ r: 3 }), { ...common, out: other })
    renameSync(join(other, 'checkpoint-2/training_state.safetensors'), join(out, 'checkpoint-2/training_state.safetensors'))
    await expect(runTraining(fresh(), { ...common, out, resume: true })).rejects.toThrow(
      /tensor "parameters" must have shape \[\d+\], got \[\d+\]/,
    )
  })
})

describe('a full disk', () => {
  it('at whatever write: the checkpoint before survives, and the run continues from it', async () => {
    const expected = await runTraining(fresh(), { data, batchSize: 2, steps: 4 })
    const environment = testEnvironment()
    const files = fillingDisk(environment.files)
    const full = tinyModel(llamaConfig, { ...environment, files })
    // A checkpoint is four files.
    for (let write = 0; write < 4; write++) {
      const out = newOut()
      files.arm(Infinity)
      const attempt = async (): Promise<void> => {
        for await (const event of train(createAdapter(full, lora), { data, batchSize: 2, steps: 4, checkpointEvery: 1, out }))
          if (event.event === 'checkpoint' && event.step === 2) files.arm(write)
      }
      await expect(attempt()).rejects.toThrow(FileError)
      expect(readdirSync(out).sort()).toEqual(['checkpoint-1', 'checkpoint-2', 'log.jsonl', 'run.json'])
      files.arm(Infinity)
      const rest = await runTraining(createAdapter(full, lora), {
        data,
        batchSize: 2,
        steps: 4,
        checkpointEvery: 1,
        out,
        resume: true,
      })
      expect(losses(rest)).toEqual(losses(expected).slice(2))
      expect(existsSync(join(out, 'adapter_model.safetensors'))).toBe(true)
    }
  })
})
