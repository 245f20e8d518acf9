/**
 * @file DPO and ORPO: against PyTorch and PEFT (test/oracle/write-preferences.py), finite differences, whole runs, bad rows.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { createAdapter, loadAdapter, type Adapter, type LoraOptions } from '../../src/adapter/adapter.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { InvalidDataError, InvalidOptionError } from '../../src/errors.js'
import type { Graph } from '../../src/graph/graph.js'
import { elementCount } from '../../src/graph/types.js'
import { evaluate } from '../../src/train/evaluate.js'
import { chooseObjective, openTaskDataset } from '../../src/train/open-dataset.js'
import type { ObjectiveOptions } from '../../src/train/objectives/options.js'
import type { TrainOptions } from '../../src/train/options.js'
import { GradientSession, type GradientResult } from '../../src/train/gradient-session.js'
import { lossOptions } from '../../src/train/step-graph.js'
import { adapterTrainee, fullTrainee, type Trainee } from '../../src/train/trainee.js'
import { train } from '../../src/train/trainer.js'
import { Random } from '../../src/util/rng.js'
import { llamaConfig, runTraining, temporaryFolder, testEnvironment, tinyModel, writeRows } from '../support/training.js'

interface Expected {
  readonly options: ObjectiveOptions
  readonly loss: number
  readonly rewardAccuracy: number
  readonly rewardMargin: number
  readonly gradients: Readonly<Record<string, readonly number[]>>
  readonly steps: readonly { loss: number; gradNorm: number; rewardMargin: number }[]
}

interface PreferenceRow {
  readonly prompt_ids: readonly number[]
  readonly chosen_ids: readonly number[]
  readonly rejected_ids: readonly number[]
}

const fixtures = join(import.meta.dirname, '../fixtures')
const { rows, cases } = JSON.parse(readFileSync(join(fixtures, 'preferences.json'), 'utf8')) as {
  rows: readonly PreferenceRow[]
  cases: Readonly<Record<string, Expected>>
}
const folder = temporaryFolder()
const environment = testEnvironment()
const data = writeRows(join(folder, 'pairs.jsonl'), rows)

const random = new Random(11)
const ids = (least: number, spread: number): number[] => Array.from({ length: least + random.integer(spread) }, () => random.integer(17)) // prettier-ignore
const tinyRows = Array.from({ length: 7 }, () => ({ prompt_ids: ids(1, 5), chosen_ids: ids(2, 6), rejected_ids: ids(1, 5) }))
const tinyData = writeRows(join(folder, 'tiny.jsonl'), tinyRows)
const tiny = (options: LoraOptions = {}): Adapter =>
  createAdapter(tinyModel(llamaConfig, environment), { r: 2, targetModules: 'all-linear', seed: 3, ...options })

/** Loss and gradient of all rows as one batch. */
async function gradientOf(trainee: Trainee, path: string, options: ObjectiveOptions, seed = 0): Promise<GradientResult> {
  const { model } = trainee
  const objective = await chooseObjective(model, path, options)
  const dataset = await openTaskDataset(model, objective, path)
  const session = await GradientSession.create(trainee, lossOptions(model, dataset.length, undefined, false, objective))
  try {
    for await (const batch of dataset.batches({ batchSize: dataset.length })) {
      const result = await session.run(batch, seed)
      return { ...result, gradient: result.gradient.slice() }
    }
  } finally {
    await session.release()
  }
  throw new Error('no batch')
}

describe.each(Object.entries(cases))('%s equals PyTorch', (_name, expected) => {
  let adapter: Adapter
  beforeAll(async () => {
    const golden = join(fixtures, 'golden/peft/llama')
    adapter = await loadAdapter(await FolderModel.open(join(golden, 'model'), environment), join(golden, 'adapter-trained'))
  })

  it('loss, rewards and every gradient', async () => {
    const { loss, count, sums, gradient } = await gradientOf(adapterTrainee(adapter), data, expected.options)
    expect(count).toBe(rows.length)
    expect(loss / count).toBeCloseTo(expected.loss, 4)
    expect(sums['rewardAccuracy']! / count).toBeCloseTo(expected.rewardAccuracy, 6)
    expect(sums['rewardMargin']! / count).toBeCloseTo(expected.rewardMargin, 4)
    expect((sums['rewardChosen']! - sums['rewardRejected']!) / count).toBeCloseTo(expected.rewardMargin, 4)
    let offset = 0
    for (const { name, shape } of adapter.parameters.specs) {
      const values = expected.gradients[name]!
      const own = gradient.subarray(offset, (offset += elementCount(shape)))
      const error = Math.hypot(...values.map((v, i) => v - own[i]! / count)) / Math.hypot(...values)
      expect(error, name).toBeLessThan(1e-4)
    }
  })

  it('an evaluation gives the same, whatever its batches', async () => {
    for (const batchSize of [5, 2]) {
      const { loss, rewardAccuracy, rewardMargin, examples } = await evaluate(adapter, { data, batchSize, ...expected.options })
      expect(loss).toBeCloseTo(expected.loss, 4)
      expect(rewardAccuracy).toBeCloseTo(expected.rewardAccuracy, 6)
      expect(rewardMargin).toBeCloseTo(expected.rewardMargin, 4)
      expect(examples).toBe(rows.length)
    }
  })

  it('ten steps of AdamW raise the margin as there', async () => {
    const options = { data, steps: 10, batchSize: 5, learningRate: 0.005, shuffle: false, ...expected.options }
    const { steps } = await runTraining(adapter, options)
    steps.forEach(({ loss, gradNorm, rewardMargin }, i) => {
      const there = expected.steps[i]!
      expect(Math.abs(loss - there.loss) / there.loss, `step ${i + 1}`).toBeLessThan(1e-3)
      expect(Math.abs(gradNorm - there.gradNorm) / there.gradNorm, `step ${i + 1}`).toBeLessThan(1e-2)
      expect(rewardMargin, `step ${i + 1}`).toBeCloseTo(there.rewardMargin, 2)
    })
    expect(steps.at(-1)!.rewardMargin!).toBeGreaterThan(steps[0]!.rewardMargin!)
  })
})

describe('gradients equal finite differences', () => {
  it.each<[string, ObjectiveOptions, LoraOptions]>([
    ['dpo with dropout', { objective: 'dpo', beta: 0.5 }, { dropout: 0.2 }],
    ['dpo of a DoRA adapter', { objective: 'dpo', beta: 0.5, labelSmoothing: 0.1 }, { useDora: true }],
    ['ipo', { objective: 'dpo', beta: 0.5, lossType: 'ipo' }, {}],
    ['orpo with dropout', { objective: 'orpo', beta: 0.5 }, { dropout: 0.2 }],
  ])('%s', async (_name, objective, lora) => {
    const adapter = tiny({ alpha: 1, initLoraWeights: false, ...lora })
    const trainee = adapterTrainee(adapter)
    const { gradient } = await gradientOf(trainee, tinyData, objective, 5)
    const { data: parameters } = adapter.parameters
    const start = parameters.slice()
    // Along the gradient and along a random direction.
    for (const direction of [gradient, Float32Array.from(gradient, () => random.normal())]) {
      const norm = Math.hypot(...direction)
      const slope = gradient.reduce((sum, g, i) => sum + (g * direction[i]!) / norm, 0)
      const at = async (step: number): Promise<number> => {
        parameters.set(start.map((value, i) => value + (step * direction[i]!) / norm))
        return (await gradientOf(trainee, tinyData, objective, 5)).loss
      }
      const difference = async (h: number): Promise<number> => ((await at(h)) - (await at(-h))) / (2 * h)
      const numeric = (4 * (await difference(0.01)) - (await difference(0.02))) / 3
      // The magnitude's gradient takes the length for a constant (DoRA, section 4.3): the slopes of A and B differ a little.
      const tolerance = lora.useDora === true ? 0.2 : 5e-3
      expect(Math.abs(slope - numeric), `${slope} and ${numeric}`).toBeLessThan(tolerance * (Math.hypot(...gradient) + 1))
    }
    parameters.set(start)
  })
})

describe('the reference', () => {
  it('is the model without the adapter: a new adapter has a margin of 0 and a loss of log 2', async () => {
    for (const init of [true, 'pissa'] as const) {
      const { loss, rewardMargin, rewardAccuracy } = await evaluate(tiny({ initLoraWeights: init }), { data: tinyData, objective: 'dpo' }) // prettier-ignore
      expect(loss).toBeCloseTo(Math.log(2), 5)
      expect(rewardMargin).toBeCloseTo(0, 4)
      expect(rewardAccuracy).toBeLessThanOrEqual(1)
    }
  })

  it('needs no second copy of the weights', async () => {
    const model = tinyModel(llamaConfig, environment)
    let largest = 0
    const watching = {
      ...environment,
      runtime: {
        ...environment.runtime,
        createSession: (graph: Graph) => {
          const sizes = [...graph.initializers.values()].map(({ shape }) => elementCount(shape))
          largest = Math.max(
            largest,
            sizes.reduce((a, b) => a + b, 0),
          )
          return environment.runtime.createSession(graph)
        },
      },
    }
    const adapter = createAdapter(tinyModel(llamaConfig, watching), { r: 2 })
    const weights = async (options: ObjectiveOptions): Promise<number> => {
      largest = 0
      await gradientOf(adapterTrainee(adapter), tinyData, options)
      return largest
    }
    const [dpo, orpo] = [await weights({ objective: 'dpo' }), await weights({ objective: 'orpo' })]
    expect(orpo).toBeGreaterThanOrEqual(model.parameterCount)
    // Small constants of its own.
    expect(dpo - orpo).toBeLessThan(model.parameterCount / 10)
  })

  it('is the model as it was where every weight is trained', async () => {
    const trainee = await fullTrainee(tinyModel(llamaConfig, environment))
    const options: TrainOptions = { data: tinyData, objective: 'dpo', steps: 6, batchSize: 7, learningRate: 1e-2 }
    const { steps } = await runTraining(trainee, options)
    expect(steps[0]!.loss).toBeCloseTo(Math.log(2), 5)
    expect(steps.at(-1)!.rewardMargin!).toBeGreaterThan(0.1)
  })
})

describe('runs', () => {
  it.each(['dpo', 'orpo'] as const)('%s: accumulation and recomputation change nothing but rounding', async (objective) => {
    const options: TrainOptions = { data: tinyData, objective, steps: 4, shuffle: false, learningRate: 1e-2 }
    const losses = async (more: Partial<TrainOptions>): Promise<number[]> =>
      (await runTraining(tiny(), { ...options, ...more })).steps.map(({ loss }) => loss)
    const whole = await losses({ batchSize: 7 })
    const again = await losses({ batchSize: 7, recompute: true })
    again.forEach((loss, i) => expect(loss).toBeCloseTo(whole[i]!, 5))
    // ORPO's mean over tokens is one of a micro-batch, as in TRL.
    if (objective === 'dpo')
      (await losses({ batchSize: 3, gradAccum: 3 })).forEach((loss, i) => expect(loss).toBeCloseTo(whole[i]!, 5))
  })

  it.each(['dpo', 'orpo'] as const)('%s resumes bit for bit, and not with another beta', async (objective) => {
    const common: TrainOptions = {
      ...{ data: tinyData, evalData: tinyData, evalEvery: 2, objective, batchSize: 2, steps: 6, learningRate: 1e-2, seed: 7 },
      checkpointEvery: 1,
    }
    const lora = { dropout: 0.2 }
    const whole = tiny(lora)
    const expected = await runTraining(whole, { ...common, out: join(folder, `${objective}-whole`) })
    const out = join(folder, `${objective}-resumed`)
    for await (const event of train(tiny(lora), { ...common, out })) if (event.event === 'checkpoint' && event.step >= 3) break
    const adapter = tiny({ ...lora, seed: 1000 })
    await expect(runTraining(adapter, { ...common, out, resume: true, beta: 0.2 })).rejects.toThrow(/beta 0\.1.*beta 0\.2/)
    const rest = await runTraining(adapter, { ...common, out, resume: true })
    const told = (steps: typeof expected.steps): unknown[] =>
      steps.map(({ step, loss, rewardMargin, rewardAccuracy }) => [step, loss, rewardMargin, rewardAccuracy])
    expect(told(rest.steps)).toEqual(told(expected.steps).slice(3))
    expect(rest.evals.at(-1)).toEqual(expected.evals.at(-1))
    expect(Buffer.from(adapter.parameters.data.buffer)).toEqual(Buffer.from(whole.parameters.data.buffer))
    expect(readFileSync(join(out, 'README.md'), 'utf8')).toContain(`| objective | \`${objective}\` |`)
  })
})

describe('mistakes', () => {
  const good = tinyRows[0]!
  let counter = 0
  const path = (...values: unknown[]): string => writeRows(join(folder, `bad-${++counter}.jsonl`), values)

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['a missing side', { ...good, rejected_ids: undefined }, /line 2: "rejected_ids" is missing; found "prompt_ids", "chosen_ids"; expected \{"prompt", "chosen", "rejected"\}/],
    ['equal sides', { ...good, rejected_ids: good.chosen_ids }, /line 2: the row has no token to learn: "chosen" and "rejected" are the same/],
    ['an empty side', { ...good, chosen_ids: [] }, /line 2: the row has no token to learn: "chosen" is empty/],
    ['a lone token', { prompt_ids: [], chosen_ids: [1], rejected_ids: [1, 2] }, /line 2: .*"chosen" is a single token without a prompt/],
    ['an unknown token', { ...good, rejected_ids: [17] }, /line 2: token id 17 is outside the model's vocabulary of 17/],
    ['no number', { ...good, chosen_ids: ['a'] }, /line 2: "chosen_ids"\[0\] must be an integer, found text/],
    ['text without a tokenizer', { prompt: 'a', chosen: 'b', rejected: 'c' }, /line 2: the row is text, but the model's folder has no tokenizer.json/],
  ])('%s', async (_name, row, message) => {
    const error = await runTraining(tiny(), { data: path(good, row), objective: 'dpo', batchSize: 2 }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(InvalidDataError)
    expect((error as Error).message).toMatch(/bad-\d+\.jsonl, /)
    expect((error as Error).message).toMatch(message)
  }) // prettier-ignore

  it('a row with nothing to prefer can be left out', async () => {
    const rows = path(good, { ...good, rejected_ids: good.chosen_ids })
    const { events } = await runTraining(tiny(), { data: rows, objective: 'dpo', unlabelled: 'skip', batchSize: 2 })
    expect(events.find(({ event }) => event === 'warning')).toMatchObject({ message: expect.stringContaining('line 2') })
  })

  it.each<[Partial<TrainOptions>, RegExp]>([
    [{ objective: 'ppo' as 'dpo' }, /objective must be "sft", "dpo", "orpo", "kto" or "mlm", got "ppo"/],
    [{ beta: 0.2 }, /beta is for objective "dpo", "orpo" or "kto", but the objective is "sft"/],
    [{ objective: 'orpo', lossType: 'ipo' }, /lossType is for objective "dpo" or "kto", but the objective is "orpo"/],
    [{ objective: 'dpo', beta: 0 }, /beta must be a finite number above 0, got 0/],
    [
      { objective: 'dpo', lossType: 'apo' as 'ipo' },
      /lossType must be one of sigmoid, ipo, hinge, kto, apo_zero_unpaired, got "apo"/,
    ],
    [{ objective: 'dpo', labelSmoothing: 0.5 }, /labelSmoothing of objective "dpo" must be below 0.5, got 0.5/],
    [{ objective: 'dpo', lossType: 'ipo', labelSmoothing: 0.1 }, /labelSmoothing is for lossType "sigmoid", but it is "ipo"/],
    [{ objective: 'dpo', loss: 'output:loss' }, /exclude each other/],
    [{ objective: 'dpo', packing: true }, /rows of this task cannot share a row/],
  ])('options %j', async (options, message) => {
    const error = await runTraining(tiny(), { data: tinyData, ...options }).catch((e: unknown) => e)
    expect((error as Error).message).toMatch(message)
    expect(error instanceof InvalidOptionError).toBe(true)
  })

  it('rows of preferences without the objective', async () => {
    const rows = path({ prompt: 'a', chosen: 'b', rejected: 'c' })
    await expect(runTraining(tiny(), { data: rows })).rejects.toThrow(
      'Preferences are learned with the objective "dpo" or "orpo"',
    )
  })
})
