/** @file Classes and numbers of rows: sequences and images. */
import { taskEncoding, type TaskEncodingOptions } from '../data/task-encoding.js'
import { hasField, at } from '../data/rows.js'
import { InvalidDataError } from '../errors.js'
import { argmax } from '../metrics/classification.js'
import type { ProblemType, Task } from '../models/task.js'
import type { LabelScore, LabelsPrediction, LabelPrediction, ValuePrediction } from './prediction.js'
import { taskGraph, type RowReader } from './reader.js'

type ClassPrediction = LabelPrediction | LabelsPrediction | ValuePrediction

/** What the labels of a classifier are, as far as the model or the user says: one output is regression, as in training. */
export const problemTypeOf = (task: Task, said: ProblemType | undefined): ProblemType =>
  said ?? task.problemType ?? (task.numLabels === 1 && task.name === 'sequence-classification' ? 'regression' : 'single_label_classification') // prettier-ignore

export function classReader(
  task: Task,
  options: TaskEncodingOptions,
  type: ProblemType,
  topK: number | undefined,
): RowReader<ClassPrediction> {
  const encoding = taskEncoding(options, () => ({ fields: {}, tokens: 1 }))
  const read = readers[type]
  return {
    name: 'task',
    build: taskGraph,
    encode(row) {
      if (task.name === 'image-classification' && !hasField(row, 'pixel_values') && hasField(row, 'image'))
        throw new InvalidDataError(
          `${at(row)}: "image" names a picture, but pictures are not decoded here; give "pixel_values", numbers of the shape [channels, height, width] as the model's image processor makes them in Python: AutoImageProcessor.from_pretrained(…)(image)["pixel_values"][0].tolist().`,
        )
      const { rows, truncated } = encoding.encode(row)
      return { rows, truncated, read: ([logits]) => read(logits!, task, topK) }
    },
  }
}

/** e^x over its sum, the largest taken off first. */
export function softmax(logits: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(logits)
  const most = values.reduce((a, b) => Math.max(a, b), -Infinity)
  const powers = values.map((x) => Math.exp(x - most))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((x) => x / sum)
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

export const labelName = ({ labels }: Task, index: number): string => labels[index] ?? `LABEL_${index}`

/** The likeliest first; of equals the one with the smaller number. */
const ranked = (probabilities: ArrayLike<number>, task: Task, topK = Infinity): LabelScore[] =>
  Array.from(probabilities, (score, i) => ({ label: labelName(task, i), score }))
    .sort((a, b) => b.score - a.score)
    .slice(0, topK)

const readers: Readonly<Record<ProblemType, (logits: Float32Array, task: Task, topK: number | undefined) => ClassPrediction>> = {
  single_label_classification(logits, task, topK) {
    const probabilities = softmax(logits)
    const best = argmax(probabilities)
    return { label: labelName(task, best), score: probabilities[best]!, scores: ranked(probabilities, task, topK) }
  },
  multi_label_classification(logits, task, topK) {
    const labels = Array.from(logits, (x, i) => (x > 0 ? [labelName(task, i)] : [])).flat()
    return { labels, scores: ranked(Array.from(logits, sigmoid), task, topK) }
  },
  regression: (logits) => ({ value: logits.length === 1 ? logits[0]! : Array.from(logits) }),
}
