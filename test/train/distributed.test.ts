/** @file Several processes train as one does: members of a job that run in turn in this process. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAdapter, loadAdapter, type Adapter } from '../../src/adapter/adapter.js'
import { soloCommunicator } from '../../src/distributed/communicator.js'
import { InvalidDataError, InvalidOptionError, TrainingError } from '../../src/errors.js'
import type { TrainOptions } from '../../src/train/options.js'
import { batchShard } from '../../src/train/shard.js'
import { train } from '../../src/train/trainer.js'
import { inProcesses } from '../support/processes.js'
import {
  batchOf,
  llamaConfig,
  randomRows,
  runTraining,
  tamperedEnvironment,
  temporaryFolder,
  testEnvironment,
  tinyModel,
  writeRows,
  type Report,
} from '../support/training.js'

const folder = temporaryFolder()
const model = tinyModel(llamaConfig, testEnvironment())
const fresh = (seed = 3, dropout = 0): Adapter =>
  createAdapter(model, { r: 2, targetModules: 'all-linear', seed, loraDropout: dropout })
const data = writeRows(join(folder, 'rows.jsonl'), randomRows(11))
const evalData = writeRows(join(folder, 'eval.jsonl'), randomRows(5, 9))
let counter = 0
const newOut = (): string => join(folder, `out-${++counter}`)
const numbers = ({ steps, evals }: Report): number[] => [
  ...steps.flatMap(({ loss, gradNorm, tokens, epoch }) => [loss, gradNorm, tokens, epoch]),
  ...evals.flatMap(({ step, loss, tokens }) => [step, loss, tokens!]),
]
const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length)
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)))
}

describe('the same losses as one process with the same global batch', () => {
  const variants: [string, number, number, Partial<TrainOptions>][] = [
    ['2 processes', 2, 2, { shuffle: true }],
    ['3 processes, a last batch of 2 rows', 3, 1, { shuffle: true }],
    ['4 processes, some without a row', 4, 2, { shuffle: false }],
    ['accumulation', 2, 1, { gradAccum: 3, shuffle: true }],
    ['packing', 2, 2, { packing: true, maxLength: 20, shuffle: true }],
    ['bucketing, a schedule, decay', 2, 2, { groupByLength: true, schedule: 'cosine', warmup: 2, weightDecay: 0.1 }],
    ['evaluation in uneven shards', 2, 2, { evalData, evalEvery: 2, evalBatchSize: 2 }],
  ]
  it.each(variants)('%s', async (_name, size, batchSize, given) => {
    const common: TrainOptions = { data, steps: 8, learningRate: 1e-2, seed: 7, ...given }
    const alone = fresh()
    const expected = await runTraining(alone, { ...common, batchSize: batchSize * size })
    const runs = await inProcesses(size, async (communicator) => {
      // What process 0 begins with counts.
      const adapter = fresh(communicator.rank === 0 ? 3 : 90)
      return { adapter, report: await runTraining(adapter, { ...common, batchSize, communicator }) }
    })
    for (const { adapter, report } of runs) {
      expect(largestDifference(numbers(report), numbers(expected))).toBeLessThan(1e-5)
      // To the bit in all of them.
      expect(adapter.parameters.data).toEqual(runs[0]!.adapter.parameters.data)
      expect(numbers(report)).toEqual(numbers(runs[0]!.report))
    }
    expect(largestDifference(runs[0]!.adapter.parameters.data, alone.parameters.data)).toBeLessThan(1e-4)
    expect(runs[0]!.report.events[0]).toMatchObject({ event: 'start', processes: size })
  })

  it('each row is in one shard', () => {
    const batch = batchOf(randomRows(7))
    const shards = [0, 1, 2].map((rank) => batchShard(batch, { rank, size: 3 }))
    expect(shards.map(({ rows }) => rows)).toEqual([3, 2, 2])
    expect(shards.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(batch.tokens)
    const rowsOf = ({ feeds, rows }: typeof batch): string[] =>
      Array.from({ length: rows }, (_, r) => {
        const [, width] = feeds.input_ids.shape as [number, number]
        return (feeds.input_ids.data as BigInt64Array).slice(r * width, (r + 1) * width).join()
      })
    expect(shards.flatMap((shard) => rowsOf(shard as typeof batch)).sort()).toEqual(rowsOf(batch).sort())
    expect(batchShard(batch, soloCommunicator)).toBe(batch)
  })

  it('every process draws its own dropout', async () => {
    // Two equal rows, one for each: with the same masks their gradients would be those of one row twice.
    const twins = writeRows(join(folder, 'twins.jsonl'), [randomRows(1)[0], randomRows(1)[0]])
    const options: TrainOptions = { data: twins, steps: 1, batchSize: 1, seed: 4, shuffle: false }
    const [two] = await inProcesses(2, (communicator) => runTraining(fresh(3, 0.5), { ...options, communicator }))
    const [whole] = await inProcesses(1, (communicator) => runTraining(fresh(3, 0.5), { ...options, communicator }))
    expect(two!.steps[0]!.gradNorm).not.toBeCloseTo(whole!.steps[0]!.gradNorm, 4)
  })
})

describe('one run', () => {
  it('only process 0 writes', async () => {
    const outs = [newOut(), newOut()]
    await inProcesses(2, ({ rank, ...rest }) =>
      runTraining(fresh(), {
        data,
        steps: 4,
        batchSize: 2,
        out: outs[rank]!,
        checkpointEvery: 2,
        communicator: { rank, ...rest },
      }),
    )
    expect(readdirSync(outs[0]!).sort()).toEqual(expect.arrayContaining(['adapter_model.safetensors', 'checkpoint-2', 'checkpoint-4', 'log.jsonl'])) // prettier-ignore
    expect(existsSync(outs[1]!)).toBe(false)
  })

  it('resumes bit for bit, and with other processes that share the same global batch', async () => {
    const common: TrainOptions = { data, steps: 6, learningRate: 1e-2, seed: 7, checkpointEvery: 1, evalData, evalEvery: 2 }
    const two = (options: Partial<TrainOptions>): Promise<Report[]> =>
      inProcesses(2, (communicator) => runTraining(fresh(3, 0.2), { ...common, batchSize: 2, communicator, ...options }))
    const [expected] = await two({ out: newOut() })
    const out = newOut()
    await inProcesses(2, async (communicator) => {
      // All leave after the fourth step, before its evaluation; process 0 writes a checkpoint of it.
      const run = train(fresh(3, 0.2), { ...common, batchSize: 2, communicator, out })
      for await (const event of run) if (event.event === 'step' && event.step === 4) return
    })
    const again = await two({ out, resume: true })
    expect(again[1]!.events[0]).toMatchObject({ event: 'start', resumedAt: 4 })
    expect(numbers(again[0]!)).toEqual(
      numbers({ ...expected!, steps: expected!.steps.slice(4), evals: expected!.evals.slice(1) }),
    )
    const saved = (path: string): Buffer => readFileSync(join(path, 'adapter_model.safetensors'))
    expect(saved(out).equals(saved(expected!.done!.out!))).toBe(true)
    const longer = await runTraining(fresh(3, 0.2), { ...common, steps: 7, batchSize: 4, out, resume: true })
    expect(longer.steps.map(({ step }) => step)).toEqual([7])
  })

  it('stops early together', async () => {
    const runs = await inProcesses(3, (communicator) =>
      runTraining(fresh(), {
        data,
        evalData,
        steps: 20,
        batchSize: 1,
        evalEvery: 1,
        earlyStopping: 2,
        learningRate: 0,
        communicator,
      }),
    )
    for (const { done } of runs) expect(done).toMatchObject({ steps: 3, stoppedEarly: true })
  })

  it('stops together when one of them is asked to, with a checkpoint', async () => {
    const out = newOut()
    const runs = await inProcesses(2, async (communicator) => {
      const controller = new AbortController()
      const steps: number[] = []
      for await (const event of train(fresh(), { data, steps: 50, batchSize: 2, out, signal: controller.signal, communicator })) {
        if (event.event !== 'step') continue
        steps.push(event.step)
        if (communicator.rank === 1 && event.step === 3) controller.abort()
      }
      return steps
    })
    expect(runs[0]).toEqual(runs[1])
    expect(runs[0]!.length).toBeLessThan(50)
    expect(existsSync(join(out, `checkpoint-${runs[0]!.length}`))).toBe(true)
    await loadAdapter(model, join(out, `checkpoint-${runs[0]!.length}`))
  })

  it('a loss that is not finite in one of them is none for all', async () => {
    const runs = await inProcesses(2, async (communicator) => {
      const spoilt = tamperedEnvironment((results, run) =>
        communicator.rank === 1 && run === 2 ? { ...results, loss: Number.NaN } : results,
      )
      const adapter = createAdapter(tinyModel(llamaConfig, spoilt), { r: 2, targetModules: 'all-linear', seed: 3 })
      return { adapter, report: await runTraining(adapter, { data, steps: 3, batchSize: 2, onNan: 'skip', communicator }) }
    })
    for (const { adapter, report } of runs) {
      expect(report.events.filter(({ event }) => event === 'warning')).toMatchObject([{ step: 2 }])
      expect(adapter.parameters.data).toEqual(runs[0]!.adapter.parameters.data)
    }
  })
})

describe('refusals, of all processes together', () => {
  it('other options or data in one of them', async () => {
    const run = (change: Partial<TrainOptions>): Promise<unknown> =>
      inProcesses(2, (communicator) =>
        runTraining(fresh(), { data, steps: 2, batchSize: 2, communicator, ...(communicator.rank === 1 && change) }),
      )
    await expect(run({ learningRate: 1 })).rejects.toThrow(
      new InvalidOptionError(
        'the processes do not run the same (learningRate (--lr): 0.0002 in process 0, 1 in process 1). Give all 2 of them the same options, model and data.',
      ),
    )
    await expect(run({ data: evalData })).rejects.toThrow('the processes do not run the same (the rows of data (--data))')
    await expect(run({ onNan: 'skip' })).rejects.toThrow(/onNan \(--on-nan\): "stop" in process 0, "skip" in process 1/)
  })

  it('a row that cannot be used', async () => {
    const bad = writeRows(join(folder, 'bad.jsonl'), [...randomRows(3), { input_ids: [99], labels: [99] }])
    const errors = await Promise.allSettled([
      inProcesses(2, (communicator) => runTraining(fresh(), { data: bad, steps: 3, batchSize: 1, shuffle: false, communicator })),
    ])
    expect((errors[0] as PromiseRejectedResult).reason).toBeInstanceOf(InvalidDataError)
  })

  it('rows without a label are left out by all, and never waited for', async () => {
    const sparse = randomRows(6).map((row, i) => (i % 2 === 0 ? row : { ...row, labels: row.labels.map(() => -100) }))
    const path = writeRows(join(folder, 'sparse.jsonl'), sparse)
    const common: TrainOptions = { data: path, epochs: 2, shuffle: false, unlabelled: 'skip' }
    const expected = await runTraining(fresh(), { ...common, batchSize: 2 })
    const runs = await inProcesses(2, (communicator) => runTraining(fresh(), { ...common, batchSize: 1, communicator }))
    for (const run of runs) expect(largestDifference(numbers(run), numbers(expected))).toBeLessThan(1e-5)
  })

  it('a divergence ends all of them', async () => {
    const run = inProcesses(2, (communicator) =>
      runTraining(fresh(), { data, steps: 20, batchSize: 2, learningRate: 3e38, communicator }),
    )
    await expect(run).rejects.toThrow(TrainingError)
  })
})
