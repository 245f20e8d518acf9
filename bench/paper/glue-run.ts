/** @file One run of the GLUE experiments: an encoder adapted to a task, and the best of its evaluations. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadModel, Random, train } from '../../src/index.js'
import { traineeOf, type Method } from './methods.js'
import { shared } from './texts.js'

export const glueTasks = ['SST-2', 'CoLA', 'RTE', 'STS-B'] as const
export type GlueTask = (typeof glueTasks)[number]

/** What a run is; two with the same are the same. */
export interface GlueRun {
  readonly experiment: 'glue'
  readonly task: GlueTask
  readonly method: Method
  readonly learningRate: number
  readonly seed: number
  readonly steps: number
}

export interface GlueOutcome {
  /** The task's metric, of the best evaluation on the dev set. */
  readonly score: number
  readonly bestStep: number
  /** The head among them. */
  readonly trainedParameters: number
  readonly seconds: number
}

type Row = Readonly<Record<string, string | number>>

interface TaskFacts {
  readonly train: string
  readonly dev: string
  readonly metric: 'accuracy' | 'matthews' | 'pearson'
  /** A row of its table; undefined of its header. */
  row(columns: readonly string[]): Row | undefined
}

const facts: Readonly<Record<GlueTask, TaskFacts>> = {
  'SST-2': {
    ...{ train: 'train.tsv', dev: 'dev.tsv', metric: 'accuracy' },
    row: ([text, label]) => ({ text: text!, label: Number(label) }),
  },
  CoLA: {
    ...{ train: 'train.tsv', dev: 'dev.tsv', metric: 'matthews' },
    row: ([, label, , text]) => ({ text: text!, label: Number(label) }),
  },
  RTE: {
    ...{ train: 'train.tsv', dev: 'dev.tsv', metric: 'accuracy' },
    row: ([, sentence1, sentence2, label]) =>
      label === 'label' ? undefined : { sentence1: sentence1!, sentence2: sentence2!, label: label === 'entailment' ? 0 : 1 },
  },
  'STS-B': {
    ...{ train: 'sts-train.tsv', dev: 'sts-dev.tsv', metric: 'pearson' },
    row: ([, , , , score, sentence1, sentence2]) => ({ sentence1: sentence1!, sentence2: sentence2!, label: Number(score) }),
  },
}

/** Rows of a file, in an order of their own: files of GLUE are sorted by source. */
async function rowsOf(task: GlueTask, file: string, most: number): Promise<Row[]> {
  const lines = (await readFile(join(shared, 'data/glue', task, file), 'utf8')).trimEnd().split('\n')
  const rows = lines.map((line) => facts[task].row(line.split('\t'))).filter((row) => row !== undefined)
  return Random.derive(1, file).shuffle(rows).slice(0, most)
}

const [BATCH, TRAIN_ROWS, DEV_ROWS, EVALUATIONS] = [16, 6000, 500, 4]

export async function glueRun(
  { task, method, learningRate, seed, steps }: GlueRun,
  model: string,
  threads: number,
): Promise<GlueOutcome> {
  const { metric } = facts[task]
  const base = await loadModel(model, {
    threads,
    ...(metric === 'pearson' ? { task: 'sequence-classification', numLabels: 1, problemType: 'regression' } : { task: 'sequence-classification', numLabels: 2 }), // prettier-ignore
  })
  const trainee = await traineeOf(base, method, seed)
  const events = train(trainee, {
    data: await rowsOf(task, facts[task].train, TRAIN_ROWS),
    evalData: await rowsOf(task, facts[task].dev, DEV_ROWS),
    ...{ steps, batchSize: BATCH, maxLength: 64, learningRate, seed, schedule: 'linear', warmup: 0.06, weightDecay: 0.1 },
    ...{ modelDropout: true, evalEvery: steps / EVALUATIONS, keepBest: true, metricForBest: metric },
  })
  for await (const event of events) {
    if (event.event !== 'done') continue
    const { bestMetric, bestStep, seconds } = event
    return { score: bestMetric!, bestStep: bestStep!, trainedParameters: trainee.parameters.count, seconds }
  }
  throw new Error('the run ended without an end')
}
