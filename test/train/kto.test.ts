/** @file KTO: against TRL's KTOTrainer and PEFT (test/oracle/write-kto.py), finite differences, whole runs, bad rows. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { createAdapter, loadAdapter, type Adapter, type LoraOptions } from '../../src/adapter/adapter.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { InvalidDataError, InvalidOptionError } from '../../src/errors.js'
import { elementCount } from '../../src/graph/types.js'
import { evaluate } from '../../src/train/evaluate.js'
import { GradientSession, type GradientResult } from '../../src/train/gradient-session.js'
import type { ObjectiveOptions } from '../../src/train/objectives/options.js'
import { meansOf, type Objective } from '../../src/train/objective.js'
import { chooseObjective, openTaskDataset } from '../../src/train/open-dataset.js'
import type { TrainOptions } from '../../src/train/options.js'
import { lossOptions } from '../../src/train/step-graph.js'
import { planTraining } from '../../src/plan/index.js'
import { adapterTrainee, type Trainee } from '../../src/train/trainee.js'
import { train } from '../../src/train/trainer.js'
import { Random } from '../../src/util/rng.js'
import { inProcesses } from '../support/processes.js'
import { llamaConfig, runTraining, temporaryFolder, testEnvironment, tinyModel, writeRows } from '../support/training.js'

/** What TRL reports, by our names; absent where a batch has no row of that kind. */
interface Told {
  readonly loss: number
  readonly rewardChosen?: number
  readonly rewardRejected?: number
  readonly rewardMargin?: number
  readonly kl: number
}

interface Expected extends Told {
  readonly options: ObjectiveOptions
  /** Numbers of the rows of its batch, in order. */
  readonly rows: readonly number[]
  readonly gradients: Readonly<Record<string, readonly number[]>>
}

interface Fixture {
  readonly rows: readonly { prompt_ids: readonly number[]; completion_ids: readonly number[]; label: boolean }[]
  readonly cases: Readonly<Record<string, Expected>>
  readonly steps: readonly { loss: number; gradNorm: number; kl: number }[]
  readonly evaluations: Readonly<Record<string, { loss: number; kl: number }>>
}

const fixtures = join(import.meta.dirname, '../fixtures')
const { rows, cases, steps, evaluations } = JSON.parse(readFileSync(join(fixtures, 'kto.json'), 'utf8')) as Fixture
const folder = temporaryFolder()
const environment = testEnvironment()
let counter = 0
const write = (values: readonly unknown[]): string => writeRows(join(folder, `rows-${++counter}.jsonl`), values)

const random = new Random(11)
const ids = (least: number, spread: number): number[] => Array.from({ length: least + random.integer(spread) }, () => random.integer(17)) // prettier-ignore
const tinyRows = Array.from({ length: 7 }, (_, i) => ({ prompt_ids: ids(1, 5), completion_ids: ids(2, 6), label: i % 3 !== 1 }))
const tinyData = write(tinyRows)
const tinyModelOf = tinyModel(llamaConfig, environment)
const tiny = (options: LoraOptions = {}): Adapter =>
  createAdapter(tinyModelOf, { r: 2, targetModules: 'all-linear', seed: 3, ...options })

const golden = join(fixtures, 'golden/peft/llama')
const trained = async (): Promise<Adapter> =>
  loadAdapter(await FolderModel.open(join(golden, 'model'), environment), join(golden, 'adapter-trained'))

interface Measured extends GradientResult {
  readonly objective: Objective
}

/** Loss and gradient of all rows as one batch, for the parameters of each call. */
async function withGradients<T>(
  trainee: Trainee,
  path: string,
  options: ObjectiveOptions,
  use: (run: (seed: number) => Promise<Measured>) => Promise<T>,
): Promise<T> {
  const { model } = trainee
  const objective = await chooseObjective(model, path, options)
  const dataset = await openTaskDataset(model, objective, path)
  const { value: batch } = await dataset.batches({ batchSize: dataset.length }).next()
  const session = await GradientSession.create(trainee, lossOptions(model, dataset.length, undefined, false, objective))
  try {
    return await use(async (seed) => {
      const result = await session.run(batch!, seed)
      return { ...result, objective, gradient: result.gradient.slice() }
    })
  } finally {
    await session.release()
  }
}

describe('equals TRL', () => {
  let adapter: Adapter
  beforeAll(async () => {
    adapter = await trained()
  })

  it.each(Object.entries(cases))('%s: loss, rewards, KL and every gradient', async (_name, expected) => {
    const data = write(expected.rows.map((row) => rows[row]))
    const { loss, count, sums, gradient, objective } = await withGradients(
      adapterTrainee(adapter),
      data,
      expected.options,
      (run) => run(0),
    )
    expect(count).toBe(expected.rows.length)
    expect(loss / count).toBeCloseTo(expected.loss, 5)
    const told = meansOf(objective, sums, count)
    // Without a KL divergence TRL reports 0.
    const { kl = 0 } = told
    expect(kl).toBeCloseTo(expected.kl, 5)
    for (const name of ['rewardChosen', 'rewardRejected', 'rewardMargin'] as const)
      if (expected[name] === undefined) expect(told).not.toHaveProperty(name)
      else expect(told[name]).toBeCloseTo(expected[name], 5)
    let offset = 0
    for (const { name, shape } of adapter.parameters.specs) {
      const values = expected.gradients[name]!
      const own = gradient.subarray(offset, (offset += elementCount(shape)))
      const error = Math.hypot(...values.map((v, i) => v - own[i]! / count)) / Math.hypot(...values)
      expect(error, name).toBeLessThan(1e-5)
    }
  })

  it('an evaluation, whose KL divergence is that of its batches', async () => {
    const data = write(rows)
    for (const [size, expected] of Object.entries(evaluations)) {
      const found = await evaluate(adapter, { data, objective: 'kto', beta: 0.3, batchSize: Number(size) })
      expect(found.loss).toBeCloseTo(expected.loss, 5)
      expect(found.kl).toBeCloseTo(expected.kl, 5)
      expect(found.examples).toBe(rows.length)
      expect(found.rewardMargin).toBeCloseTo(cases['kto']!.rewardMargin!, 5)
    }
    expect(evaluations['3']!.kl).not.toBeCloseTo(evaluations['7']!.kl, 2)
  })

  it('steps of two micro-batches each', async () => {
    const data = write(rows.slice(0, 6))
    const options: TrainOptions = { data, objective: 'kto', beta: 0.3, steps: 6, batchSize: 3, gradAccum: 2 }
    const run = await runTraining(await trained(), { ...options, learningRate: 0.005, shuffle: false })
    run.steps.forEach(({ loss, gradNorm, kl }, i) => {
      const there = steps[i]!
      expect(Math.abs(loss - there.loss) / there.loss, `step ${i + 1}`).toBeLessThan(1e-3)
      expect(Math.abs(gradNorm - there.gradNorm) / there.gradNorm, `step ${i + 1}`).toBeLessThan(1e-2)
      expect(kl, `step ${i + 1}`).toBeCloseTo(there.kl, 2)
    })
    expect(run.steps.at(-1)!.rewardMargin!).toBeGreaterThan(run.steps[0]!.rewardMargin!)
  })
})

it('gradients equal finite differences with dropout', async () => {
  // With a KL divergence, which no gradient passes through, differences would be of another function.
  const objective: ObjectiveOptions = { objective: 'kto', lossType: 'apo_zero_unpaired', beta: 0.5, desirableWeight: 1.5 }
  const adapter = tiny({ alpha: 1, initLoraWeights: false, dropout: 0.2 })
  const { data: parameters } = adapter.parameters
  await withGradients(adapterTrainee(adapter), tinyData, objective, async (run) => {
    const { gradient } = await run(5)
    const start = parameters.slice()
    for (const direction of [gradient, Float32Array.from(gradient, () => random.normal())]) {
      const norm = Math.hypot(...direction)
      const slope = gradient.reduce((sum, g, i) => sum + (g * direction[i]!) / norm, 0)
      const at = async (step: number): Promise<number> => {
        parameters.set(start.map((value, i) => value + (step * direction[i]!) / norm))
        return (await run(5)).loss
      }
      const difference = async (h: number): Promise<number> => ((await at(h)) - (await at(-h))) / (2 * h)
      const numeric = (4 * (await difference(0.01)) - (await difference(0.02))) / 3
      expect(Math.abs(slope - numeric), `${slope} and ${numeric}`).toBeLessThan(5e-3 * (Math.hypot(...gradient) + 1))
    }
  })
})

describe('the KL divergence', () => {
  it('is the mean log-ratio of the prompts with the completions of the rows before, however the batch is cut', async () => {
    const adapter = tiny({ alpha: 8, initLoraWeights: false })
    // More positions than a part of a batch has.
    const many = Array.from({ length: 60 }, (_, i) => ({ prompt_ids: ids(1, 8), completion_ids: ids(2, 9), label: i % 2 === 0 }))
    const measured = async (batch: typeof many): Promise<number> => {
      const { kl } = await evaluate(adapter, { data: write(batch), objective: 'kto', batchSize: many.length })
      const shifted = batch.map((row, i) => ({ ...row, completion_ids: batch.at(i - 1)!.completion_ids, label: true }))
      const unpaired: ObjectiveOptions = { objective: 'kto', lossType: 'apo_zero_unpaired', beta: 1 }
      const { rewardChosen } = await evaluate(adapter, { data: write(shifted), ...unpaired })
      expect(kl).toBeCloseTo(Math.max(0, rewardChosen!), 5)
      return kl!
    }
    const found = [await measured(many), await measured([...many].reverse())]
    expect(Math.max(...found)).toBeGreaterThan(0)
  })

  it('of a model without its adapter is 0, and the loss one half', async () => {
    const { loss, kl, rewardMargin } = await evaluate(tiny(), { data: tinyData, objective: 'kto' })
    expect(loss).toBeCloseTo(0.5, 5)
    expect(kl).toBeCloseTo(0, 5)
    expect(rewardMargin).toBeCloseTo(0, 5)
  })
})

describe('runs', () => {
  it.each(['kto', 'apo_zero_unpaired'] as const)('%s learns what is desirable', async (lossType) => {
    const objective: ObjectiveOptions = { objective: 'kto', lossType }
    const adapter = tiny()
    await runTraining(adapter, { data: tinyData, ...objective, steps: 8, batchSize: 4, learningRate: 2e-2, seed: 5 })
    expect((await evaluate(adapter, { data: tinyData, ...objective })).rewardMargin).toBeGreaterThan(0.05)
  })

  it('recomputation changes nothing but rounding, and rows of like length may share a batch', async () => {
    const options: TrainOptions = { data: tinyData, objective: 'kto', steps: 3, batchSize: 4, learningRate: 2e-2, groupByLength: true } // prettier-ignore
    const [whole, again] = [await runTraining(tiny(), options), await runTraining(tiny(), { ...options, recompute: true })]
    again.steps.forEach(({ loss }, i) => expect(loss).toBeCloseTo(whole.steps[i]!.loss, 5))
  })

  it('accumulates losses by their rows, each with the KL divergence of its micro-batch', async () => {
    const options: TrainOptions = { data: tinyData, objective: 'kto', steps: 1, shuffle: false }
    const make = () => tiny({ alpha: 8, initLoraWeights: false })
    const [{ steps: parts }, first, second] = [
      await runTraining(make(), { ...options, batchSize: 4, gradAccum: 2 }),
      await evaluate(make(), { data: write(tinyRows.slice(0, 4)), objective: 'kto' }),
      await evaluate(make(), { data: write(tinyRows.slice(4)), objective: 'kto' }),
    ]
    expect(parts[0]!.loss).toBeCloseTo((4 * first.loss + 3 * second.loss) / 7, 6)
    expect(parts[0]!.kl).toBeCloseTo((4 * first.kl! + 3 * second.kl!) / 7, 6)
  })

  it('resume bit for bit, and not with other weights; the card names what was not given', async () => {
    const common: TrainOptions = {
      ...{ data: tinyData, evalData: tinyData, evalEvery: 2, objective: 'kto', desirableWeight: 0.5, batchSize: 3 },
      ...{ steps: 6, learningRate: 1e-2, seed: 7, checkpointEvery: 1, metricForBest: 'rewardMargin' },
    }
    const lora = { dropout: 0.2 }
    const whole = tiny(lora)
    const expected = await runTraining(whole, { ...common, out: join(folder, 'whole') })
    const out = join(folder, 'resumed')
    for await (const event of train(tiny(lora), { ...common, out })) if (event.event === 'checkpoint' && event.step >= 3) break
    const adapter = tiny({ ...lora, seed: 1000 })
    await expect(runTraining(adapter, { ...common, out, resume: true, undesirableWeight: 2 })).rejects.toThrow(
      /weights 0\.5 and 1, completions shifted by 1.*weights 0\.5 and 2/,
    )
    const rest = await runTraining(adapter, { ...common, out, resume: true })
    const told = ({ steps: all }: typeof expected): unknown[] =>
      all.map(({ step, loss, kl, rewardChosen, rewardRejected }) => [step, loss, kl, rewardChosen, rewardRejected])
    expect(told(rest)).toEqual(told(expected).slice(3))
    expect(rest.evals.at(-1)).toEqual(expected.evals.at(-1))
    expect(Buffer.from(adapter.parameters.data.buffer)).toEqual(Buffer.from(whole.parameters.data.buffer))
    const card = readFileSync(join(out, 'README.md'), 'utf8')
    for (const line of ['| objective | `kto` |', '| beta | `0.1` |', '| lossType | `kto` |', '| undesirableWeight | `1` |'])
      expect(card).toContain(line)
  })

  it.each([2, 3])('%i processes are as one with the same global batch', async (size) => {
    const common: TrainOptions = { data: tinyData, evalData: tinyData, evalEvery: 2, objective: 'kto', steps: 4, seed: 7 }
    const make = () => tiny({ alpha: 8, initLoraWeights: false })
    const alone = await runTraining(make(), { ...common, learningRate: 1e-2, batchSize: 2 * size, evalBatchSize: 2 * size })
    const runs = await inProcesses(size, (communicator) =>
      runTraining(make(), { ...common, learningRate: 1e-2, batchSize: 2, evalBatchSize: 2, communicator }),
    )
    for (const { steps: shared, evals } of runs) {
      shared.forEach(({ loss, gradNorm, kl, rewardMargin }, i) => {
        const there = alone.steps[i]!
        expect([loss, gradNorm, kl].map((value) => value!.toFixed(4))).toEqual([there.loss, there.gradNorm, there.kl].map((value) => value!.toFixed(4))) // prettier-ignore
        if (there.rewardMargin === undefined) expect(rewardMargin).toBeUndefined()
        else expect(rewardMargin).toBeCloseTo(there.rewardMargin, 4)
      })
      evals.forEach(({ loss, kl }, i) => {
        expect(loss).toBeCloseTo(alone.evals[i]!.loss, 4)
        expect(kl).toBeCloseTo(alone.evals[i]!.kl!, 4)
      })
      expect(evals).toHaveLength(alone.evals.length)
    }
  })

  it('are planned with the pass that finds the KL divergence', async () => {
    const products = { fp32: 1e9, int8: 1e9, int4: 1e9, batched: 1e9, widening: 1e9 }
    const rates = { products, bytesPerSecond: 1e9, secondsPerNode: 1e-6 }
    const plan = (options: ObjectiveOptions) => planTraining(tiny(), { data: tinyData, objective: 'kto', ...options }, rates)
    const [withKl, without] = [await plan({}), await plan({ lossType: 'apo_zero_unpaired' })]
    expect(withKl.operationsPerStep).toBeGreaterThan(1.3 * without.operationsPerStep)
    expect(withKl.weightsBytes).toBeGreaterThan(without.weightsBytes)
  })
})

describe('what is said of the rows', () => {
  const warnings = async (labels: readonly boolean[], options: Partial<TrainOptions> = {}): Promise<string[]> => {
    const data = write(labels.map((label) => ({ ...tinyRows[0]!, prompt_ids: ids(1, 5), label })))
    const { events } = await runTraining(tiny(), { data, objective: 'kto', steps: 1, batchSize: 3, ...options })
    return events.flatMap((event) => (event.event === 'warning' ? [event.message] : []))
  }
  const [yes, no] = [true, false]

  it('weights that do not make up for what there is more of', async () => {
    expect(await warnings([yes, yes, yes, yes, no, no])).toEqual([
      'there are 4 desirable and 2 undesirable rows; the weights of their losses should make up for it: desirableWeight (--desirable-weight) 0.5 to 0.667, or undesirableWeight (--undesirable-weight) 1.5 to 2',
    ])
    for (const weights of [{ desirableWeight: 0.5 }, { desirableWeight: 0.66 }, { undesirableWeight: 2 }])
      expect(await warnings([yes, yes, yes, yes, no, no], weights)).toEqual([])
    expect(await warnings([yes, yes, no, no], { batchSize: 2 })).toEqual([])
  })

  it('one kind alone', async () => {
    expect(await warnings([yes, yes, yes])).toEqual(['there are 3 desirable and 0 undesirable rows: KTO learns from both kinds'])
  })

  it('a row alone in the last batch', async () => {
    const rows = [yes, no, yes, no]
    expect(await warnings(rows)).toEqual([expect.stringContaining('the last batch of a pass has a single row')])
    expect(await warnings(rows, { lossType: 'apo_zero_unpaired' })).toEqual([])
  })
})

describe('mistakes', () => {
  const good = tinyRows[0]!

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['no label', { ...good, label: undefined }, /line 2: "label" is missing; found the fields "prompt_ids", "completion_ids"; expected \{"prompt", "completion", "label"\}/],
    ['a label of another kind', { ...good, label: 'good' }, /line 2: "label" is "good"; it says whether the completion is desirable: expected true or false, 1 or 0/],
    ['a label that is null', { ...good, label: null }, /line 2: "label" is null; it says whether/],
    ['a missing side', { ...good, completion_ids: undefined }, /line 2: "completion_ids" is missing/],
    ['a pair', { prompt_ids: [1], chosen: 'a', rejected: 'b', label: true }, /objective "dpo" or "orpo"/],
    ['an empty completion', { ...good, completion_ids: [] }, /line 2: the row has no token to learn: "completion_ids" is empty/],
    ['an unknown token', { ...good, completion_ids: [17] }, /line 2: token id 17 is outside the model's vocabulary of 17/],
    ['text without a tokenizer', { prompt: 'a', completion: 'b', label: 1 }, /line 2: the row is text, but the model's folder has no tokenizer.json/],
  ])('%s', async (_name, row, message) => {
    const error = await runTraining(tiny(), { data: write([good, row]), objective: 'kto' }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(InvalidDataError)
    expect((error as Error).message).toMatch(message)
  }) // prettier-ignore

  it.each<[Partial<TrainOptions>, RegExp]>([
    [{ objective: 'kto', lossType: 'sigmoid' }, /lossType of objective "kto" must be "kto" or "apo_zero_unpaired", got "sigmoid"/],
    [{ objective: 'dpo', lossType: 'kto' }, /lossType of objective "dpo" must be "sigmoid", "ipo" or "hinge", got "kto"/],
    [{ objective: 'dpo', desirableWeight: 2 }, /desirableWeight is for objective "kto", but the objective is "dpo"/],
    [{ objective: 'kto', undesirableWeight: 0 }, /undesirableWeight must be a finite number above 0, got 0/],
    [{ objective: 'kto', labelSmoothing: 0.1 }, /labelSmoothing is for objective "sft" or "dpo", but the objective is "kto"/],
    [{ objective: 'kto', packing: true }, /rows of this task cannot share a row/],
    [{ objective: 'kto', batchSize: 1 }, /at least 2 rows, got 1: the KL divergence is estimated .*Raise batchSize \(--batch-size\), or evalBatchSize \(--eval-batch-size\) of a run's/],
    [{ objective: 'kto', evalData: tinyData, evalBatchSize: 1 }, /at least 2 rows/],
  ])('options %j', async (options, message) => {
    const error = await runTraining(tiny(), { data: tinyData, ...options }).catch((e: unknown) => e)
    expect((error as Error).message).toMatch(message)
    expect(error).toBeInstanceOf(InvalidOptionError)
  }) // prettier-ignore

  it('one row a batch will do without a KL divergence', async () => {
    const options: TrainOptions = { data: tinyData, objective: 'kto', lossType: 'apo_zero_unpaired', batchSize: 1, steps: 1 }
    expect((await runTraining(tiny(), options)).steps[0]).not.toHaveProperty('kl')
  })

  it('rows of KTO without the objective', async () => {
    const row = { prompt_ids: [1], completion_ids: [2], label: false }
    await expect(runTraining(tiny(), { data: write([row]) })).rejects.toThrow(/objective "kto" \(--objective\)/)
    await expect(runTraining(tiny(), { data: write([row]), objective: 'dpo' })).rejects.toThrow(/objective "kto" \(--objective\)/)
  })
})
