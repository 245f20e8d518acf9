/**
 * @file Nothing that was learned is lost: errors of every kind, loops that are left, early stopping, folders that are taken.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAdapter, loadAdapter, type Adapter } from '../../src/adapter/adapter.js'
import type { Environment } from '../../src/environment.js'
import { FileError, InvalidDataError, InvalidOptionError, TrainingError } from '../../src/errors.js'
import { memoryFiles } from '../../src/io/memory-files.js'
import type { TrainEvent } from '../../src/train/events.js'
import { parseEvents } from '../../src/train/log.js'
import type { TrainOptions } from '../../src/train/options.js'
import { evaluate } from '../../src/train/evaluate.js'
import { generate } from '../../src/generate/generate.js'
import { merge } from '../../src/adapter/merge.js'
import { train } from '../../src/train/trainer.js'
import { fullTrainee } from '../../src/train/trainee.js'
import { inProcesses } from '../support/processes.js'
import {
  fillingDisk,
  llamaConfig,
  randomRows,
  runTraining,
  tamperedEnvironment,
  temporaryFolder,
  testEnvironment,
  tinyModel,
  toJsonl,
  writeModel,
  writeRows,
} from '../support/training.js'
import { FolderModel } from '../../src/model/folder-model.js'

const folder = temporaryFolder()
const data = writeRows(join(folder, 'rows.jsonl'), randomRows(11))
const evalData = writeRows(join(folder, 'eval.jsonl'), randomRows(3, 9))
const common: TrainOptions = { data, batchSize: 2, steps: 8, learningRate: 1e-2, seed: 7 }
let counter = 0
const newOut = (): string => join(folder, `out-${++counter}`)
const fresh = (environment = testEnvironment(), seed = 3): Adapter =>
  createAdapter(tinyModel(llamaConfig, environment), { r: 2, targetModules: 'all-linear', seed })
const logOf = (out: string): TrainEvent[] => parseEvents(readFileSync(join(out, 'log.jsonl'), 'utf8'))
const kinds = (events: readonly TrainEvent[]): string[] => events.map(({ event }) => event)

/** Everything that a run tells until it fails, and the error. */
async function failing(...[subject, options]: Parameters<typeof train>): Promise<{ events: TrainEvent[]; error: unknown }> {
  const events: TrainEvent[] = []
  try {
    for await (const event of train(subject, options)) events.push(event)
  } catch (error) {
    return { events, error }
  }
  throw new Error('the run must fail')
}

/** Fails the n-th run of the gradient's graph. */
const failsAt = (n: number): Environment =>
  tamperedEnvironment((results, run) => {
    if (run === n) throw new Error('out of memory')
    return results
  })

describe('whatever error ends a run', () => {
  it('in a step: a checkpoint of the step before, told and logged, and the run goes on bit for bit', async () => {
    const whole = fresh()
    await runTraining(whole, common)
    const out = newOut()
    const { events, error } = await failing(fresh(failsAt(4)), { ...common, out })
    expect((error as Error).message).toBe('out of memory')
    const checkpoint = `${out}/checkpoint-3`
    expect(kinds(events)).toEqual(['start', 'step', 'step', 'step', 'checkpoint', 'error'])
    expect(events.at(-1)).toEqual({ event: 'error', step: 3, message: 'out of memory', checkpoint })
    expect(logOf(out)).toEqual(events)
    expect(readdirSync(out).sort()).toEqual(['checkpoint-3', 'log.jsonl', 'run.json'])
    const adapter = fresh(testEnvironment(), 50)
    const { steps } = await runTraining(adapter, { ...common, out, resume: true })
    expect(steps.map(({ step }) => step)).toEqual([4, 5, 6, 7, 8])
    expect(adapter.parameters.data).toEqual(whole.parameters.data)
    expect(kinds(logOf(out)).includes('error')).toBe(false)
  })

  it('in a batch that can no longer be read', async () => {
    // Files of more than 4 MiB are read row by row.
    const padding = 'x'.repeat(100_000)
    const large = writeRows(join(folder, 'large.jsonl'), randomRows(50).map((row) => ({ ...row, padding }))) // prettier-ignore
    const environment = testEnvironment()
    let broken = false
    const read: Environment['files']['read'] = (path, range) =>
      broken && path === large ? Promise.reject(new FileError(`reading ${path} failed`)) : environment.files.read(path, range)
    const out = newOut()
    const events: TrainEvent[] = []
    const run = async (): Promise<void> => {
      const subject = fresh({ ...environment, files: { ...environment.files, read } })
      for await (const event of train(subject, { ...common, data: large, out })) {
        events.push(event)
        if (event.event === 'step' && event.step === 2) broken = true
      }
    }
    await expect(run()).rejects.toThrow(new FileError(`reading ${large} failed`))
    const { step, checkpoint } = events.at(-1) as { step: number; checkpoint: string }
    expect(step).toBeGreaterThanOrEqual(2)
    expect(checkpoint).toBe(`${out}/checkpoint-${step}`)
    expect(existsSync(join(checkpoint, 'adapter_model.safetensors'))).toBe(true)
  })

  it('in an evaluation, which the continuation makes up for', async () => {
    // One size of batches, for sums of others are rounded otherwise.
    const options = { ...common, evalData, evalEvery: 2, evalBatchSize: 3 }
    const expected = await runTraining(fresh(), options)
    const environment = testEnvironment()
    let evaluations = 0
    const { runtime } = environment
    const createSession: typeof runtime.createSession = async (graph, sessionOptions) => {
      const session = await runtime.createSession(graph, sessionOptions)
      const isLoss = graph.outputs[0]!.name === 'loss' && !graph.outputs.some(({ name }) => name === 'gradient')
      if (!isLoss) return session
      return {
        release: () => session.release(),
        run: (feeds) => (++evaluations > 2 ? Promise.reject(new Error('device lost')) : session.run(feeds)),
      }
    }
    const out = newOut()
    const tampered = { ...environment, runtime: { ...runtime, createSession } }
    const { events } = await failing(fresh(tampered), { ...options, out })
    const step = events.at(-1) as { step: number }
    expect(events.at(-1)).toMatchObject({ event: 'error', message: 'device lost', checkpoint: `${out}/checkpoint-${step.step}` })
    await runTraining(fresh(), { ...options, out, resume: true })
    const evals = (list: typeof expected.evals): unknown[] => list.map(({ step: at, loss, best }) => [at, loss, best])
    const log = logOf(out).filter((event) => event.event === 'eval')
    expect(evals(log as typeof expected.evals)).toEqual(evals(expected.evals))
  })

  it('of the disk: the run says that nothing could be saved, and why it ended', async () => {
    const environment = testEnvironment()
    const files = fillingDisk(environment.files)
    const out = newOut()
    const events: TrainEvent[] = []
    const run = async (): Promise<void> => {
      for await (const event of train(fresh({ ...environment, files }), { ...common, out, checkpointEvery: 2 })) {
        events.push(event)
        if (event.event === 'step' && event.step === 3) files.arm(0)
      }
    }
    await expect(run()).rejects.toThrow('no space left')
    expect(kinds(events).slice(-2)).toEqual(['warning', 'error'])
    expect(events.at(-2)).toMatchObject({ message: expect.stringContaining('the checkpoint could not be written: no space left') as string }) // prettier-ignore
    expect(events.at(-1)).toMatchObject({ step: 4, checkpoint: `${out}/checkpoint-2` })
    expect(readdirSync(out).sort()).toEqual(['checkpoint-2', 'log.jsonl', 'run.json'])
  })

  it('of the log: what was learned is on disk all the same', async () => {
    const environment = testEnvironment()
    let lines = 0
    const append: Environment['files']['append'] = (path, text) =>
      ++lines > 3 ? Promise.reject(new FileError('no space left for the log')) : environment.files.append(path, text)
    const out = newOut()
    const { error } = await failing(fresh({ ...environment, files: { ...environment.files, append } }), { ...common, out })
    expect((error as Error).message).toBe('no space left for the log')
    expect(existsSync(join(out, 'checkpoint-3', 'adapter_model.safetensors'))).toBe(true)
  })

  it('at the end, while the result is written: the checkpoint has the newest parameters', async () => {
    const options = { ...common, evalData, evalEvery: 1, earlyStopping: 8, learningRate: 3e-1 }
    const environment = testEnvironment()
    const out = newOut()
    const write: Environment['files']['write'] = (path, content) =>
      path === `${out}/adapter_model.safetensors` ? Promise.reject(new FileError('full')) : environment.files.write(path, content)
    const { error } = await failing(fresh({ ...environment, files: { ...environment.files, write } }), { ...options, out })
    expect((error as Error).message).toBe('full')
    const adapter = fresh()
    const whole = fresh()
    const expected = await runTraining(whole, options)
    const rest = await runTraining(adapter, { ...options, out, resume: true })
    expect(rest.steps).toEqual([])
    expect(rest.done!.bestStep).toBe(expected.done!.bestStep)
    expect(adapter.parameters.data).toEqual(whole.parameters.data)
  })

  it('without out there is nothing to save, and the error is told', async () => {
    const { events } = await failing(fresh(failsAt(2)), common)
    expect(events.at(-1)).toEqual({ event: 'error', step: 1, message: 'out of memory' })
  })

  it('a divergence leaves the step before, from which it can be skipped', async () => {
    const poisoned = (): Environment =>
      tamperedEnvironment((results, run) => (run === 3 ? { ...results, loss: Number.NaN } : results))
    const out = newOut()
    const { error } = await failing(fresh(poisoned()), { ...common, out })
    expect(error).toBeInstanceOf(TrainingError)
    expect(readdirSync(out).sort()).toEqual(['checkpoint-2', 'log.jsonl', 'run.json'])
    const { steps } = await runTraining(fresh(), { ...common, out, resume: true, onNan: 'skip' })
    expect(steps[0]!.step).toBe(3)
  })

  it('in one of several processes: process 0 saves, and all end', async () => {
    const out = newOut()
    const told: TrainEvent[][] = [[], []]
    const errors = await inProcesses(2, async (communicator) => {
      const environment = communicator.rank === 1 ? failsAt(3) : testEnvironment()
      try {
        for await (const event of train(fresh(environment), { ...common, batchSize: 1, out, communicator }))
          told[communicator.rank]!.push(event)
      } catch (error) {
        return (error as Error).message
      }
      return 'no error'
    })
    expect(errors).toEqual(['process 1 of 2 failed: out of memory', 'out of memory'])
    expect(kinds(told[0]!)).toEqual(['start', 'step', 'step', 'checkpoint', 'error'])
    expect(kinds(told[1]!)).toEqual(['start', 'step', 'step', 'error'])
    expect(readdirSync(out).sort()).toEqual(['checkpoint-2', 'log.jsonl', 'run.json'])
  })

  it('of the disk of process 0 ends all of them', async () => {
    const out = newOut()
    const errors = await inProcesses(2, async (communicator) => {
      const environment = testEnvironment()
      const files = fillingDisk(environment.files)
      try {
        const subject = fresh({ ...environment, files })
        for await (const event of train(subject, { ...common, batchSize: 1, out, checkpointEvery: 2, communicator }))
          if (event.event === 'step' && event.step === 2 && communicator.rank === 0) files.arm(1)
      } catch (error) {
        return (error as Error).message
      }
      return 'no error'
    })
    expect(errors[0]).toMatch(/^no space left/)
    expect(errors[1]).toMatch(/^process 0 of 2 failed: no space left/)
  })
})

describe('a loop that is left', () => {
  it.each(['break', 'error'])('by %s keeps what was learned, and the log says so', async (how) => {
    const whole = fresh()
    await runTraining(whole, common)
    const out = newOut()
    const run = async (): Promise<void> => {
      for await (const event of train(fresh(), { ...common, out })) {
        if (event.event !== 'step' || event.step < 3) continue
        if (how === 'break') break
        throw new Error("the caller's own")
      }
    }
    if (how === 'break') await run()
    else await expect(run()).rejects.toThrow("the caller's own")
    expect(readdirSync(out).sort()).toEqual(['checkpoint-3', 'log.jsonl', 'run.json'])
    const log = logOf(out)
    expect(kinds(log)).toEqual(['start', 'step', 'step', 'step', 'checkpoint', 'done'])
    expect(log.at(-1)).toMatchObject({ reason: 'aborted', steps: 3, checkpoint: `${out}/checkpoint-3` })
    const adapter = fresh()
    await runTraining(adapter, { ...common, out, resume: true })
    expect(adapter.parameters.data).toEqual(whole.parameters.data)
  })

  it('before the first step leaves nothing to continue, and no lock', async () => {
    const out = newOut()
    for await (const _ of train(fresh(), { ...common, out })) break
    expect(readdirSync(out)).toEqual(['log.jsonl', 'run.json'])
    await runTraining(fresh(), { ...common, out, steps: 1 })
  })
})

describe('done tells how a run ended and what it left', () => {
  it('finished', async () => {
    const out = newOut()
    expect((await runTraining(fresh(), common)).done).toMatchObject({ reason: 'finished', steps: 8 })
    const { done } = await runTraining(fresh(), { ...common, out, checkpointEvery: 3 })
    expect(done).toMatchObject({ reason: 'finished', stoppedEarly: false, out, saved: out, checkpoint: `${out}/checkpoint-8` })
  })

  it('aborted, in the middle or before anything', async () => {
    const [out, none] = [newOut(), newOut()]
    const controller = new AbortController()
    let done: TrainEvent | undefined
    for await (const event of train(fresh(), { ...common, out, signal: controller.signal })) {
      if (event.event === 'step' && event.step === 2) controller.abort()
      done = event
    }
    expect(done).toMatchObject({ event: 'done', reason: 'aborted', steps: 2, checkpoint: `${out}/checkpoint-2` })
    expect(done).not.toHaveProperty('saved')
    const { done: early, events } = await runTraining(fresh(), { ...common, out: none, signal: AbortSignal.abort() })
    expect(early).toMatchObject({ reason: 'aborted', steps: 0 })
    expect(early).not.toHaveProperty('checkpoint')
    expect(kinds(events)).toEqual(['start', 'done'])
    const { done: unsaved } = await runTraining(fresh(), { ...common, signal: AbortSignal.abort() })
    expect(unsaved).toMatchObject({ reason: 'aborted' })
  })
})

describe('early stopping', () => {
  /** A rate that first helps and then ruins. */
  const options = { ...common, steps: 40, evalData, evalEvery: 1, earlyStopping: 3, learningRate: 1e-1 }

  it.each([1, 2])('keeps the best, in out and in memory, with %i checkpoints', async (saveTotalLimit) => {
    const out = newOut()
    const adapter = fresh()
    const { evals, done } = await runTraining(adapter, { ...options, out, checkpointEvery: 1, saveTotalLimit })
    const best = evals.reduce((low, e) => (e.loss < low.loss ? e : low))
    expect(best.step).toBeLessThan(done!.steps)
    expect(done).toMatchObject({ reason: 'stoppedEarly', bestStep: best.step, bestEvalLoss: best.loss, saved: out })
    expect(done!.evalLoss).toBeGreaterThan(best.loss)
    const until = fresh()
    await runTraining(until, { ...options, steps: best.step, schedule: 'constant' })
    expect(adapter.parameters.data).toEqual(until.parameters.data)
    expect((await loadAdapter(adapter.model, out)).parameters.data).toEqual(until.parameters.data)
    const names = readdirSync(out).filter((name) => name.startsWith('checkpoint'))
    expect(names).toEqual(
      saveTotalLimit === 1 ? [`checkpoint-${done!.steps}`] : [`checkpoint-${best.step}`, `checkpoint-${done!.steps}`].sort(),
    )
  })

  it('keeps the best of a run that is resumed after it, and of one that comes to its end', async () => {
    const whole = fresh()
    const { done } = await runTraining(whole, options)
    const out = newOut()
    for await (const event of train(fresh(), { ...options, out }))
      if (event.event === 'eval' && event.step === done!.bestStep! + 1) break
    const adapter = fresh()
    const rest = await runTraining(adapter, { ...options, out, resume: true })
    expect(rest.done).toMatchObject({ bestStep: done!.bestStep, steps: done!.steps, reason: 'stoppedEarly' })
    expect(adapter.parameters.data).toEqual(whole.parameters.data)
    const ended = fresh()
    const short = await runTraining(ended, { ...options, steps: done!.bestStep! + 1 })
    expect(short.done).toMatchObject({ reason: 'finished', bestStep: done!.bestStep })
    expect(ended.parameters.data).toEqual(whole.parameters.data)
  })

  it('several processes keep the same, also after a resume', async () => {
    const out = newOut()
    const run = (extra: Partial<TrainOptions>): Promise<Float32Array[]> =>
      inProcesses(2, async (communicator) => {
        const adapter = fresh()
        const { done } = await runTraining(adapter, { ...options, batchSize: 1, communicator, ...extra })
        expect(done!.reason).toBe('stoppedEarly')
        return adapter.parameters.data
      })
    const [expected, other] = await run({})
    expect(other).toEqual(expected)
    await inProcesses(2, async (communicator) => {
      let best = 0
      for await (const event of train(fresh(), { ...options, batchSize: 1, communicator, out, checkpointEvery: 1 })) {
        if (event.event !== 'eval') continue
        if (event.best) best = event.step
        else if (event.step === best + 2) return
      }
    })
    for (const values of await run({ out, resume: true, checkpointEvery: 1 })) expect(values).toEqual(expected)
  })
})

describe('rows are checked before the first step', () => {
  const rowsWith = (name: string, bad: ReadonlyMap<number, unknown>, count = 40): string =>
    writeRows(join(folder, name), randomRows(count).map((row, i) => bad.get(i) ?? row)) // prettier-ignore

  it.each<[string, Partial<TrainOptions>]>([
    ['in order', { shuffle: false }],
    ['shuffled', {}],
    ['packed', { packing: true, maxLength: 20 }],
    ['by length', { groupByLength: true }],
    ['of which few steps would meet none', { steps: 1 }],
  ])('%s: no step is made, nothing is written', async (_name, extra) => {
    const path = rowsWith('bad.jsonl', new Map([[37, { input_ids: [99] }]]))
    const out = newOut()
    const { events, error } = await failing(fresh(), { data: path, epochs: 1, batchSize: 2, out, ...extra })
    expect(error).toEqual(
      new InvalidDataError(
        `${path}, line 38: token id 99 at position 0 is outside the model's vocabulary of 17 (0 to 16); the row belongs to another model.`,
      ),
    )
    expect(events).toEqual([])
    expect(existsSync(out)).toBe(false)
  })

  it('those to evaluate on too, all bad ones in one message, ten at most', async () => {
    const bad = new Map(Array.from({ length: 30 }, (_, i): [number, unknown] => [i + 3, { nothing: i }]))
    const [many, few] = [rowsWith('many.jsonl', bad), rowsWith('few.jsonl', new Map<number, unknown>([[1, { input_ids: [] }], [8, 'text']]))] // prettier-ignore
    const { error } = await failing(fresh(), { ...common, evalData: few })
    expect((error as Error).message.split('\n').map((line) => line.split(':')[0])).toEqual([
      '2 rows cannot be used',
      `- ${few}, line 2`,
      `- ${few}, line 9`,
    ])
    const { error: all } = await failing(fresh(), { ...common, data: many, evalData: few })
    const lines = (all as Error).message.split('\n')
    expect(lines[0]).toBe('at least 10 rows cannot be used:')
    // What is wrong with all of them is told once.
    expect(lines).toHaveLength(2)
    expect(lines[1]!.startsWith(`- ${many}, line 4: `)).toBe(true)
    expect(lines[1]!.endsWith(` The same: ${Array.from({ length: 9 }, (_, i) => `line ${i + 5}`).join('; ')}.`)).toBe(true)
  })

  it('with progress that is told as time goes, before the start and not in the log', async () => {
    let time = 0
    const environment = { ...testEnvironment(), now: () => (time += 300) }
    const rows = writeRows(join(folder, 'long.jsonl'), randomRows(300))
    const out = newOut()
    const { events } = await runTraining(fresh(environment), { ...common, data: rows, evalData, steps: 1, out })
    const checks = events.flatMap((event) => (event.event === 'checking' ? [event] : []))
    expect(checks.length).toBeGreaterThan(1)
    expect(checks.at(-1)).toEqual({ event: 'checking', data: 'data', rows: 300, of: 300 })
    expect(checks.every(({ rows: seen }, i) => i === 0 || seen > checks[i - 1]!.rows)).toBe(true)
    expect(events[checks.length]!.event).toBe('start')
    expect(kinds(logOf(out))).not.toContain('checking')
    // A short check is silent, and one of a run that goes on is not made again.
    expect((await runTraining(fresh(), { ...common, data: rows, steps: 1 })).events[0]!.event).toBe('start')
  })

  it('not again in a run that continues, but for those that only evaluate', async () => {
    const out = newOut()
    await runTraining(fresh(), { ...common, out, checkpointEvery: 4 })
    const bad = rowsWith('later.jsonl', new Map([[2, { input_ids: [99] }]]), 5)
    const { error } = await failing(fresh(), { ...common, steps: 9, out, resume: true, evalData: bad })
    expect((error as Error).message).toContain(`${bad}, line 3`)
  })

  it('a check ends when the run is asked to stop', async () => {
    const bad = rowsWith('stopped.jsonl', new Map([[150, { input_ids: [99] }]]), 200)
    const { done } = await runTraining(fresh(), { ...common, data: bad, signal: AbortSignal.abort() })
    expect(done).toMatchObject({ reason: 'aborted', steps: 0 })
  })

  it('in all processes together', async () => {
    const path = rowsWith('shared.jsonl', new Map([[37, { input_ids: [99] }]]))
    const run = inProcesses(2, (communicator) => runTraining(fresh(), { ...common, data: path, communicator }))
    await expect(run).rejects.toThrow(`${path}, line 38`)
  })
})

describe('the output folder', () => {
  it('with a finished adapter is refused, or replaced on demand', async () => {
    const out = newOut()
    await runTraining(fresh(), { ...common, out, steps: 1 })
    const before = readFileSync(join(out, 'adapter_model.safetensors'))
    for (const resume of [false, true])
      await expect(runTraining(fresh(), { ...common, out, steps: 2, resume })).rejects.toThrow(
        new InvalidOptionError(
          `"${out}" holds a finished adapter (adapter_config.json, adapter_model.safetensors)${resume ? ' and no checkpoint to continue from' : ''}. Choose another output folder, or replace it with overwrite (--overwrite).`,
        ),
      )
    expect(readFileSync(join(out, 'adapter_model.safetensors')).equals(before)).toBe(true)
    const adapter = fresh()
    const { done } = await runTraining(adapter, { ...common, out, steps: 2, overwrite: true, checkpointEvery: 1 })
    expect(done!.saved).toBe(out)
    expect((await loadAdapter(adapter.model, out)).parameters.data).toEqual(adapter.parameters.data)
  })

  it('that is overwritten keeps nothing of the earlier run, not even if the new one fails', async () => {
    const out = newOut()
    await runTraining(fresh(), { ...common, out, checkpointEvery: 1, saveTotalLimit: 5 })
    writeFileSync(join(out, 'mine.txt'), 'kept')
    await failing(fresh(failsAt(2)), { ...common, out, overwrite: true })
    expect(readdirSync(out).sort()).toEqual(['README.md', 'checkpoint-1', 'log.jsonl', 'mine.txt', 'run.json'])
    expect(logOf(out).filter(({ event }) => event === 'step')).toHaveLength(1)
  })

  it('stays as it is when rows are bad, though it may be overwritten', async () => {
    const out = newOut()
    await runTraining(fresh(), { ...common, out, steps: 1 })
    const names = readdirSync(out)
    const bad = writeRows(join(folder, 'refused.jsonl'), [{ input_ids: [99] }])
    await failing(fresh(), { ...common, data: bad, out, overwrite: true })
    expect(readdirSync(out)).toEqual(names)
  })

  it('of a model is refused, and that of the base even if it is meant', async () => {
    const path = join(folder, 'model')
    mkdirSync(path)
    writeModel(path)
    const model = await FolderModel.open(path, testEnvironment())
    const names = readdirSync(path)
    await expect(runTraining(fresh(), { ...common, out: path })).rejects.toThrow(
      `"${path}" is the folder of a model (config.json, model.safetensors). Choose another output folder, or write into it all the same with overwrite (--overwrite).`,
    )
    for (const subject of [createAdapter(model, { r: 2 }), await fullTrainee(model)])
      await expect(runTraining(subject, { ...common, out: `${folder}/./model`, overwrite: true })).rejects.toThrow(
        `"${folder}/./model" is the folder of the base model, which is never changed; choose another output folder`,
      )
    expect(readdirSync(path)).toEqual(names)
    const onnx = join(folder, 'exported')
    mkdirSync(onnx)
    writeFileSync(join(onnx, 'model.onnx'), '')
    await expect(runTraining(fresh(), { ...common, out: onnx })).rejects.toThrow('is the folder of a model (model.onnx)')
    const exported = join(folder, 'for-pages')
    mkdirSync(join(exported, 'onnx'), { recursive: true })
    writeFileSync(join(exported, 'config.json'), '{"model_type":"llama"}')
    await expect(runTraining(fresh(), { ...common, out: exported })).rejects.toThrow('is the folder of a model (config.json)')
    writeFileSync(join(exported, 'config.json'), '{"port":80}')
    await runTraining(fresh(), { ...common, out: exported, steps: 1 })
    expect(readFileSync(join(exported, 'config.json'), 'utf8')).toBe('{"port":80}')
  })

  it("with another program's log or report is refused", async () => {
    for (const name of ['log.jsonl', 'report.html']) {
      const out = newOut()
      mkdirSync(out)
      writeFileSync(join(out, name), '{"level":"info"}\n')
      await expect(runTraining(fresh(), { ...common, out })).rejects.toThrow(
        `"${out}/${name}" was not written by a run of lowrank. Move it, choose another output folder, or replace it with overwrite (--overwrite).`,
      )
      expect(readFileSync(join(out, name), 'utf8')).toBe('{"level":"info"}\n')
    }
  })

  it('is one run’s at a time, and free after it, however that ended', async () => {
    const out = newOut()
    for await (const event of train(fresh(), { ...common, out })) {
      if (event.event !== 'step' || event.step !== 2) continue
      for (const overwrite of [false, true])
        await expect(runTraining(fresh(), { ...common, out, overwrite })).rejects.toThrow(
          `"${out}" is being written by another run (in this process)`,
        )
      await expect(runTraining(fresh(), { ...common, out, resume: true })).rejects.toThrow(FileError)
    }
    expect(readdirSync(out)).not.toContain('.lowrank.lock')
    await failing(fresh(failsAt(1)), { ...common, out: `${out}-b` })
    await runTraining(fresh(), { ...common, out: `${out}-b`, steps: 1 })
  })

  it('has a name: an empty one would be the root of the file system', async () => {
    await expect(runTraining(fresh(), { ...common, out: '' })).rejects.toThrow('the output folder has an empty name')
    await expect(fresh().save('')).rejects.toThrow('adapter.save: the first argument must be a path, got the text ""')
  })

  it('that was removed meanwhile is taken again', async () => {
    const out = newOut()
    let steps = 0
    for await (const event of train(fresh(), { ...common, out, checkpointEvery: 2 })) {
      if (event.event === 'step' && ++steps === 1) rmSync(out, { recursive: true })
      if (event.event === 'step' && steps === 2) expect(readdirSync(out)).toContain('.lowrank.lock')
    }
    expect(readdirSync(out)).toEqual(expect.arrayContaining(['adapter_config.json', 'adapter_model.safetensors']))
    expect(readdirSync(out)).not.toContain('.lowrank.lock')
  })

  it('that another run has taken meanwhile stays as that leaves it', async () => {
    const out = newOut()
    const sign = join(out, '.lowrank.lock')
    let before: Record<string, string> = {}
    const contents = (): Record<string, string> =>
      Object.fromEntries(readdirSync(out).flatMap((name) => (name.startsWith('checkpoint') ? [] : [[name, readFileSync(join(out, name), 'utf8')]]))) // prettier-ignore
    const run = async (): Promise<void> => {
      for await (const event of train(fresh(), { ...common, out })) {
        if (event.event !== 'step' || event.step !== 2) continue
        const holder = JSON.parse(readFileSync(sign, 'utf8')) as object
        // A process that lives.
        writeFileSync(sign, JSON.stringify({ ...holder, id: 'theirs', pid: process.ppid, started: '' }))
        before = contents()
      }
    }
    await expect(run()).rejects.toThrow(`"${out}" is being written by another run (process ${process.ppid}, since `)
    expect(contents()).toEqual(before)
    expect(readdirSync(out)).not.toContain('checkpoint-2')
  })

  it('in memory, as in a page, is treated alike', async () => {
    const files = memoryFiles({ 'rows.jsonl': toJsonl(randomRows(11)) })
    const environment = { ...testEnvironment(), files }
    const options = { ...common, data: 'rows.jsonl', out: 'out', steps: 3 }
    for await (const event of train(fresh(environment), options))
      if (event.event === 'step' && event.step === 2) {
        await expect(runTraining(fresh(environment), options)).rejects.toThrow('"out" is being written by another run (in this page)') // prettier-ignore
        break
      }
    expect([...files.blobs.keys()].map((path) => path.split('/')[1])).toContain('checkpoint-2')
    const { done } = await runTraining(fresh(environment), { ...options, resume: true })
    expect(done).toMatchObject({ reason: 'finished', saved: 'out' })
    await expect(runTraining(fresh(environment), options)).rejects.toThrow('holds checkpoints of an earlier run')
  })
})

describe('two runs on one adapter', () => {
  it('at once are refused, one after the other are fine', async () => {
    const adapter = fresh()
    for await (const event of train(adapter, common))
      if (event.event === 'step' && event.step === 2)
        await expect(runTraining(adapter, common)).rejects.toThrow(
          new InvalidOptionError('this adapter is being trained already; wait until that run ends, or leave its loop'),
        )
    await runTraining(adapter, { ...common, steps: 1 })
    for await (const _ of train(adapter, common)) break
    await failing(adapter, { ...common, data: join(folder, 'none.jsonl') })
    await runTraining(adapter, { ...common, steps: 1 })
  })
})

describe('an adapter that is read while it is trained', () => {
  it('is what it was at the call: evaluated, saved, merged, generated with', async () => {
    const path = join(folder, 'served')
    mkdirSync(path)
    writeModel(path)
    const model = await FolderModel.open(path, testEnvironment())
    const adapter = createAdapter(model, { r: 2, targetModules: 'all-linear', seed: 3 })
    const still = createAdapter(model, { r: 2, targetModules: 'all-linear', seed: 3 })
    const prompt = { inputIds: [1, 2, 3], maxNewTokens: 6 }
    const read = (subject: Adapter, name: string): Promise<[unknown, unknown, unknown, void]> =>
      Promise.all([
        evaluate(subject, { data, batchSize: 1 }),
        merge(subject).save(join(folder, `merged-${name}`)),
        generate(subject, prompt).then(({ ids }) => ids),
        subject.save(join(folder, `saved-${name}`)),
      ])
    // Both go on at once: the run takes many steps while each of them waits for files and sessions.
    let reading: ReturnType<typeof read> | undefined
    for await (const event of train(adapter, { ...common, learningRate: 0.3, steps: 40 })) {
      if (event.event !== 'step' || event.step !== 2) continue
      still.parameters.data.set(adapter.parameters.data)
      reading = read(adapter, 'moving')
    }
    const moving = await reading!
    const expected = await read(still, 'still')
    expect(moving[0]).toEqual(expected[0])
    expect(moving[2]).toEqual(expected[2])
    for (const file of ['saved-X/adapter_model.safetensors', 'merged-X/model.safetensors']) {
      const of = (name: string): Buffer => readFileSync(join(folder, file.replace('X', name)))
      expect(of('moving').equals(of('still'))).toBe(true)
    }
    expect(adapter.parameters.data).not.toEqual(still.parameters.data)
  })
})

it('two merges into one folder at once: one of them writes, whole, the other is refused', async () => {
  const path = join(folder, 'shared-target')
  mkdirSync(path)
  writeModel(path)
  const model = await FolderModel.open(path, testEnvironment())
  const [one, two] = [1, 2].map((seed) => createAdapter(model, { r: 2, seed, initLoraWeights: false }))
  const out = join(folder, 'merged-at-once')
  for (const format of ['safetensors', 'onnx'] as const) {
    const results = await Promise.allSettled([one!, two!].map((adapter) => merge(adapter).save(`${out}-${format}`, { format })))
    const failures = results.flatMap((r) => (r.status === 'rejected' ? [(r.reason as Error).message] : []))
    expect(failures).toEqual([expect.stringContaining('is being written by another run (in this process)')])
    expect(readdirSync(`${out}-${format}`).filter((name) => name.startsWith('.'))).toEqual([])
    // Not while a run trains into it either, and again once it is free.
    await merge(two!).save(`${out}-${format}`, { format, overwrite: true })
  }
  for await (const event of train(fresh(), { ...common, out: `${out}-trained` }))
    if (event.event === 'step' && event.step === 1)
      await expect(merge(one!).save(`${out}-trained`)).rejects.toThrow('is being written by another run')
})
