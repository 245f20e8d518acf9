/** @file How losses become updates: smoothed labels, means of micro-batches, what a schedule counts, AdamW's forms, what decays. */
import { describe, expect, it } from 'vitest'
import { createAdapter, type Adapter } from '../../src/adapter/adapter.js'
import { learningRateAt } from '../../src/optim/schedule.js'
import type { TrainOptions } from '../../src/train/options.js'
import { evaluate } from '../../src/train/evaluate.js'
import { train } from '../../src/train/trainer.js'
import { gpt2Config, randomRows, runTraining, temporaryFolder, tinyModel } from '../support/training.js'

const model = tinyModel(gpt2Config)
const rows = randomRows(8)
const tiny = (): Adapter => createAdapter(model, { r: 2, targetModules: ['c_attn'], initLoraWeights: false })

/** Two rows a micro-batch, two micro-batches an update, in the order of the rows. */
const base = { data: rows, batchSize: 2, gradAccum: 2, shuffle: false, maxLength: 24 } satisfies TrainOptions

const lossesOf = async (options: Partial<TrainOptions>): Promise<number[]> =>
  (await runTraining(tiny(), { ...base, ...options })).steps.map(({ loss }) => loss)

async function trainedBy(options: Partial<TrainOptions>): Promise<Adapter> {
  const adapter = tiny()
  await runTraining(adapter, { ...base, learningRate: 0.1, ...options })
  return adapter
}

const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => Math.hypot(...Array.from(a, (x, i) => x - b[i]!))

it('lossMean: the mean of the means of micro-batches, or of all their tokens', async () => {
  const alone = await lossesOf({ gradAccum: 1, learningRate: 0 })
  const means = await lossesOf({ lossMean: 'micro-batch', learningRate: 0 })
  expect(means).toEqual(
    [(alone[0]! + alone[1]!) / 2, (alone[2]! + alone[3]!) / 2].map((loss) => expect.closeTo(loss, 5) as number),
  )
  expect(distance(means, await lossesOf({ learningRate: 0 }))).toBeGreaterThan(1e-3)
})

it('lossMean: the gradient is that of the reported loss', async () => {
  const h = 1e-2
  const [loss] = await lossesOf({ lossMean: 'micro-batch', steps: 1, learningRate: 0 })
  const report = await runTraining(tiny(), { ...base, lossMean: 'micro-batch', steps: 1, learningRate: 0, maxGradNorm: 0 })
  // A step of AdamW against the sign of the gradient, so small that the loss falls by the sum of its absolute values.
  const moved = tiny()
  await runTraining(moved, { ...base, lossMean: 'micro-batch', steps: 1, learningRate: h * 1e-2, maxGradNorm: 0 })
  const after = (await runTraining(moved, { ...base, lossMean: 'micro-batch', steps: 1, learningRate: 0 })).steps[0]!.loss
  const { gradNorm } = report.steps[0]!
  const fall = (loss! - after) / (h * 1e-2)
  // ‖g‖₂ ≤ ‖g‖₁ ≤ √n·‖g‖₂
  expect(fall).toBeGreaterThan(0.9 * gradNorm)
  expect(fall).toBeLessThan(1.1 * gradNorm * Math.sqrt(moved.parameters.count))
})

it('scheduleStep: an update has the rate of its last micro-batch', async () => {
  const options = { schedule: 'linear', warmup: 3, learningRate: 0.01, epochs: 2 } as const
  const { steps } = await runTraining(tiny(), { ...base, ...options, scheduleStep: 'micro-batch' })
  const rate = (step: number): number =>
    learningRateAt(step, { name: 'linear', learningRate: 0.01, warmupSteps: 3, totalSteps: 8 })
  expect(steps.map(({ learningRate }) => learningRate)).toEqual([rate(1), rate(3), rate(5), rate(7)])
})

it('schedulePoints: factors of the learning rate, in lines between them', async () => {
  const { steps } = await runTraining(tiny(), {
    ...{ ...base, gradAccum: 1, learningRate: 0.02, schedule: 'piecewise', schedulePoints: { 0: 0, 2: 1, 4: 0.5 } },
  })
  expect(steps.map(({ learningRate }) => learningRate)).toEqual([0, 0.01, 0.02, 0.015])
})

describe('labelSmoothing', () => {
  it('adds the mean over the vocabulary to the loss of steps, and nothing to evaluations', async () => {
    const options = { gradAccum: 1, batchSize: 8, learningRate: 0, evalData: rows } as const
    const plain = await runTraining(tiny(), { ...base, ...options })
    const smoothed = await runTraining(tiny(), { ...base, ...options, labelSmoothing: 0.25 })
    const wholly = await runTraining(tiny(), { ...base, ...options, labelSmoothing: 0.5 })
    const [none, quarter, half] = [plain, smoothed, wholly].map(({ steps }) => steps[0]!.loss) as [number, number, number]
    // Linear in ε: (1 − ε)·nll + ε·mean.
    expect(quarter).toBeCloseTo((none + half) / 2, 5)
    expect(Math.abs(quarter - none)).toBeGreaterThan(1e-3)
    expect(smoothed.evals[0]!.loss).toBe(plain.evals[0]!.loss)
    expect(smoothed.evals[0]!.perplexity).toBeCloseTo(Math.exp(plain.evals[0]!.loss), 5)
  })

  it('is refused in an evaluation, which would not read it', async () => {
    await expect(evaluate(tiny(), { data: rows, labelSmoothing: 0.1 })).rejects.toThrow(
      'labelSmoothing of objective "sft" is for training: the loss of an evaluation is without it; leave it out',
    )
  })
})

it('optimizer and biasCorrection: without correction the first step is (1 − β₁)/√(1 − β₂) as large', async () => {
  const options = { steps: 1, maxGradNorm: 0, epsilon: 1e-12 } as const
  const start = tiny().parameters.data
  const step = async (more: Partial<TrainOptions>): Promise<Float32Array> =>
    (await trainedBy({ ...options, ...more })).parameters.data.map((x, i) => x - start[i]!)
  const corrected = await step({})
  const uncorrected = await step({ biasCorrection: false })
  const ratio = 0.1 / Math.sqrt(0.001)
  expect(
    distance(
      uncorrected,
      corrected.map((x) => x * ratio),
    ),
  ).toBeLessThan(1e-4 * Math.hypot(...uncorrected))
  // Decay after the step, so that it shrinks what was added as well.
  const [before, after] = [await trainedBy({ ...options, weightDecay: 1 }), await trainedBy({ ...options, weightDecay: 1, optimizer: 'adamw_hf' })] // prettier-ignore
  const added = after.parameters.data.map((x, i) => x - before.parameters.data[i]!)
  expect(
    distance(
      added,
      corrected.map((x) => -0.1 * x),
    ),
  ).toBeLessThan(1e-5)
})

it('noDecay: parameters by parts of their names', async () => {
  const options = { steps: 1, maxGradNorm: 0 } as const
  const [none, all, some] = [
    await trainedBy(options),
    await trainedBy({ ...options, weightDecay: 1 }),
    await trainedBy({ ...options, weightDecay: 1, noDecay: ['lora_A'] }),
  ]
  for (const { name } of none.parameters.specs) {
    const like = name.includes('lora_A') ? none : all
    expect(some.parameters.view(name)).toEqual(like.parameters.view(name))
    expect(none.parameters.view(name)).not.toEqual(all.parameters.view(name))
  }
})

it.each<[Partial<TrainOptions>, string]>([
  [{ schedule: 'piecewise' }, 'schedule "piecewise" and schedulePoints (--schedule-points) go together: give both, or neither'],
  [
    { schedulePoints: { 0: 1 } },
    'schedule "piecewise" and schedulePoints (--schedule-points) go together: give both, or neither',
  ],
  [
    { schedule: 'piecewise', schedulePoints: { 0: 1 }, warmup: 2 },
    'schedule "piecewise" has no warmup but that of its schedulePoints (--schedule-points); leave warmup out',
  ],
  [{ schedulePoints: { 0.5: 1 } }, 'schedulePoints must have whole steps from 0 on and factors of at least 0, at least one'],
  [{ noDecay: ['bias'] }, 'noDecay needs weightDecay (--weight-decay); give it, or leave noDecay out'],
  [{ noDecay: ['bias'], weightDecay: 0.1 }, 'noDecay (--no-decay) names "bias", but no trained parameter has that in its name'],
  [{ lossMean: 'micro-batch', gradAccum: 1 }, 'lossMean needs gradAccum (--grad-accum) above 1'],
  [{ scheduleStep: 'micro-batch', gradAccum: 1 }, 'scheduleStep needs gradAccum (--grad-accum) above 1'],
  [{ optimizer: 'adam' as 'adamw' }, 'optimizer must be "adamw" or "adamw_hf", got "adam"'],
  [{ labelSmoothing: 1 }, 'labelSmoothing must be at least 0 and below 1, got 1'],
])('refuses %j', async (options, message) => {
  await expect(runTraining(tiny(), { ...base, ...options })).rejects.toThrow(message)
})

it('a run is another with other options of these, and goes on with their defaults given or not', async () => {
  const out = `${temporaryFolder()}/out`
  const options = { ...base, out, checkpointEvery: 1, epochs: 1 } as const
  for await (const { event } of train(tiny(), options)) if (event === 'step') break
  const resumed = { ...options, resume: true } as const
  await expect(runTraining(tiny(), { ...resumed, optimizer: 'adamw_hf' })).rejects.toThrow(/optimizer/)
  await expect(runTraining(tiny(), { ...resumed, lossMean: 'micro-batch' })).rejects.toThrow(/lossMean/)
  await expect(runTraining(tiny(), { ...resumed, labelSmoothing: 0.1 })).rejects.toThrow(/labelSmoothing/)
  const { done } = await runTraining(tiny(), { ...resumed, optimizer: 'adamw', lossMean: 'update', labelSmoothing: 0 })
  expect(done?.steps).toBe(2)
})
