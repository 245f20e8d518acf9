/** @file The scores of GLUE's tasks. */
import { InvalidDataError } from '../errors.js'
import { ConfusionMatrix } from './classification.js'
import { pearson, spearman } from './correlation.js'
import { mean } from './mean.js'

/** A task of GLUE, by the name that data sets have for it. */
export type GlueTask = 'cola' | 'sst2' | 'mrpc' | 'stsb' | 'qqp' | 'mnli' | 'qnli' | 'rte' | 'wnli'

/** What {@link glue} says: the scores of the task, each where the task has it. */
export interface GlueScores {
  /** Matthews' correlation, of CoLA. */
  readonly matthews?: number
  /** Share of right labels, of all but CoLA and STS-B. */
  readonly accuracy?: number
  /** F1 of label 1, of MRPC and QQP. */
  readonly f1?: number
  /** Pearson's correlation, of STS-B. */
  readonly pearson?: number
  /** Spearman's correlation, of STS-B. */
  readonly spearman?: number
  /** The mean of the others: what is compared where a task has several. */
  readonly combined: number
}

type Scorer = (predictions: ArrayLike<number>, labels: ArrayLike<number>) => Omit<GlueScores, 'combined'>

function matrixOf(predictions: ArrayLike<number>, labels: ArrayLike<number>, classes = 2): ConfusionMatrix {
  const matrix = new ConfusionMatrix(classes)
  for (let i = 0; i < labels.length; i++) {
    for (const value of [labels[i]!, predictions[i]!])
      if (!Number.isInteger(value) || value < 0 || value >= classes)
        throw new InvalidDataError(`glue: pair ${i + 1} has the class ${value}; those of the task are whole numbers from 0 to ${classes - 1}`) // prettier-ignore
    matrix.add(labels[i]!, predictions[i]!)
  }
  return matrix
}

const accuracy: Scorer = (predictions, labels) => ({ accuracy: matrixOf(predictions, labels).accuracy() })
const accuracyOfThree: Scorer = (predictions, labels) => ({ accuracy: matrixOf(predictions, labels, 3).accuracy() })
const accuracyAndF1: Scorer = (predictions, labels) => {
  const matrix = matrixOf(predictions, labels)
  return { accuracy: matrix.accuracy(), f1: matrix.f1(1) }
}

const scorers: Readonly<Record<GlueTask, Scorer>> = {
  cola: (predictions, labels) => ({ matthews: matrixOf(predictions, labels).matthews() }),
  sst2: accuracy,
  mrpc: accuracyAndF1,
  stsb: (predictions, labels) => ({ pearson: pearson(predictions, labels), spearman: spearman(predictions, labels) }),
  qqp: accuracyAndF1,
  mnli: accuracyOfThree,
  qnli: accuracy,
  rte: accuracy,
  wnli: accuracy,
}

/**
 * The scores of a task of GLUE.
 *
 * Source: Wang et al., "GLUE: A Multi-Task Benchmark and Analysis Platform for Natural Language Understanding" (2019).
 *
 * @param predictions classes from 0, of STS-B numbers: [rows]
 * @param labels the same as they should be: [rows]
 * @throws InvalidDataError for another task, without rows, where the lists differ in length, or for a class that the task does not have
 * @example
 * glue('mrpc', [1, 0, 1], [1, 0, 0]) // { accuracy: 0.667, f1: 0.667, combined: 0.667 }
 */
export function glue(task: GlueTask, predictions: ArrayLike<number>, labels: ArrayLike<number>): GlueScores {
  if (!Object.hasOwn(scorers, task))
    throw new InvalidDataError(`glue: unknown task "${task}"; choose one of ${Object.keys(scorers).join(', ')}`)
  if (labels.length === 0 || labels.length !== predictions.length)
    throw new InvalidDataError(
      `glue: ${predictions.length} predictions and ${labels.length} labels; give as many of both, at least one`,
    )
  const scores = scorers[task](predictions, labels)
  return { ...scores, combined: mean(Object.values(scores)) }
}
