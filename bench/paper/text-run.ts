/** @file One run of the text experiments: a model adapted to E2E, its loss on the way, and what it then writes. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { evaluateTexts, loadModel, train, Adapter, type TrainOptions } from '../../src/index.js'
import type { MetricName } from '../../src/metrics/index.js'
import { folder } from '../models.js'
import { peakBytes } from '../peak-memory.js'
import { saved, traineeOf, type Method } from './methods.js'
import { e2eFiles } from './texts.js'

/** What a run is; two with the same are the same. */
export interface TextRun {
  readonly experiment: 'text'
  readonly base: string
  readonly method: Method
  readonly learningRate: number
  readonly seed: number
  readonly steps: number
  /** Whether the texts it writes are scored; they take longer than the training. */
  readonly scored: boolean
}

export interface TextOutcome {
  /** On rows of the validation set, after the last step. */
  readonly loss: number
  readonly curve: readonly (readonly [step: number, loss: number])[]
  /** By the names of the metrics, which say how they were computed. */
  readonly scores?: Readonly<Record<string, number>>
  readonly trainedParameters: number
  readonly checkpointBytes: number
  readonly seconds: number
  readonly peakBytes: number
}

const BATCH = 8
const MAX_LENGTH = 192
/** Of the paper's Table 3; METEOR of the modules that need no data of others, as its name says. */
const METRICS: readonly MetricName[] = ['bleu', 'nist', 'meteor', 'rouge-l', 'cider']
const MODULES = ['exact', 'stem'] as const
/** Beams as the paper has them; its ban on four tokens that were there before is for words, and of a small vocabulary they are letters. */
const DECODING = { maxNewTokens: 160, beams: 4 } as const

const TRAIN_ROWS = 2400

/** How all that is compared on these texts is trained, but for the steps, the rate and the seed. */
export async function textTraining(): Promise<TrainOptions & { readonly data: string }> {
  const { train: data } = await e2eFiles(TRAIN_ROWS)
  return {
    ...{ data, batchSize: BATCH, maxLength: MAX_LENGTH },
    ...{ schedule: 'linear', warmup: 0.05, maxGradNorm: 1, weightDecay: 0.01 },
  }
}

export async function textRun(run: TextRun, model: string, threads: number): Promise<TextOutcome> {
  const { valid: evalData, test } = await e2eFiles(TRAIN_ROWS)
  const trainee = await traineeOf(await loadModel(model, { threads }), run.method, run.seed)
  const { steps, learningRate, seed } = run
  const evaluation = { evalData, evalEvery: Math.ceil(steps / 5), evalBatchSize: 32 }
  const curve: [number, number][] = []
  let seconds = 0
  for await (const event of train(trainee, { ...(await textTraining()), steps, learningRate, seed, ...evaluation })) {
    if (event.event === 'eval') curve.push([event.step, event.loss])
    if (event.event === 'done') seconds = event.seconds
  }
  const peak = peakBytes()
  const home = await mkdtemp(join(folder, 'paper', 'run-'))
  try {
    const checkpointBytes = await saved(trainee, model, home)
    const subject = trainee instanceof Adapter ? trainee : await loadModel(home, { threads })
    const scores = run.scored
      ? (await evaluateTexts(subject, { data: test, metrics: METRICS, modules: MODULES, ...DECODING, batchSize: 8 })).scores
      : undefined
    return {
      ...{
        loss: curve.at(-1)![1],
        curve,
        trainedParameters: trainee.parameters.count,
        checkpointBytes,
        seconds,
        peakBytes: peak,
      },
      ...(scores && { scores: Object.fromEntries(Object.values(scores).map(({ name, score }) => [name, score])) }),
    }
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}
