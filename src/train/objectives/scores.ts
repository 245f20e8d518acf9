/** @file What the outputs of an evaluation add up to, per task. */
import type { HostTensor } from '../../graph/types.js'
import { IGNORED_LABEL } from '../../losses/causal-lm.js'
import { argmax, ConfusionMatrix } from '../../metrics/classification.js'
import { pearson, spearman } from '../../metrics/correlation.js'
import { EntityCounts, isBio } from '../../metrics/entities.js'
import { bestSpan, spanOverlap } from '../../metrics/spans.js'
import type { Task } from '../../models/task.js'
import type { Scores } from '../objective.js'

type Tensors = Readonly<Record<string, HostTensor>>

/** The one output that scores read. */
function outputOf(outputs: Tensors): { data: Float32Array; shape: readonly number[] } {
  const tensor = Object.values(outputs)[0]!
  return { data: tensor.data as Float32Array, shape: tensor.shape }
}

const numbersOf = (tensor: HostTensor): number[] => Array.from(tensor.data as BigInt64Array, Number)

/** Counts the classes of the last axis against labels; calls back with each. */
function predictions(outputs: Tensors, feeds: Tensors, each: (index: number, label: number, predicted: number) => void): void {
  const { data, shape } = outputOf(outputs)
  const classes = shape.at(-1)!
  numbersOf(feeds['labels']!).forEach((label, i) => {
    if (label !== IGNORED_LABEL) each(i, label, argmax(data.subarray(i * classes, (i + 1) * classes)))
  })
}

/** Accuracy, F1 (of class 1 of two, else the mean over classes) and Matthews' correlation. */
export function classScores(classes: number): Scores {
  const matrix = new ConfusionMatrix(classes)
  return {
    add: (outputs, feeds) => predictions(outputs, feeds, (_, label, predicted) => matrix.add(label, predicted)),
    result: () => ({
      accuracy: matrix.accuracy(),
      ...(classes === 2 && { f1: matrix.f1(1) }),
      macroF1: matrix.macroF1(),
      matthews: matrix.matthews(),
    }),
  }
}

/** Share of rows with every label right, and F1 over all labels (micro) and per label (macro); above 0 counts as said. */
export function multiLabelScores(): Scores {
  const labels: ConfusionMatrix[] = []
  let [rows, exact] = [0, 0]
  return {
    add(outputs, feeds) {
      const { data, shape } = outputOf(outputs)
      const width = shape[1]!
      const truth = feeds['labels']!.data as Float32Array
      for (let r = 0; r < shape[0]!; r++) {
        let right = true
        for (let k = 0; k < width; k++) {
          const [label, predicted] = [Number(truth[r * width + k]! >= 0.5), Number(data[r * width + k]! > 0)]
          ;(labels[k] ??= new ConfusionMatrix(2)).add(label, predicted)
          right &&= label === predicted
        }
        rows++
        exact += Number(right)
      }
    },
    result() {
      const all = new ConfusionMatrix(2)
      for (const { counts } of labels) counts.forEach((count, i) => (all.counts[i]! += count))
      const macro = labels.reduce((sum, matrix) => sum + matrix.f1(1), 0) / labels.length
      return { accuracy: exact / rows, f1: all.f1(1), macroF1: macro }
    },
  }
}

/** Pearson's and Spearman's correlation of two lists. */
function correlations(add: (outputs: Tensors, feeds: Tensors, take: (predicted: number, label: number) => void) => void): Scores {
  const predicted: number[] = []
  const labels: number[] = []
  return {
    add: (outputs, feeds) =>
      add(outputs, feeds, (value, label) => {
        predicted.push(value)
        labels.push(label)
      }),
    result: () => ({ pearson: pearson(predicted, labels), spearman: spearman(predicted, labels) }),
  }
}

export const regressionScores = (): Scores =>
  correlations((outputs, feeds, take) => {
    const { data } = outputOf(outputs)
    const labels = feeds['labels']!.data as Float32Array
    data.forEach((value, i) => take(value, labels[i]!))
  })

/** Correlation of cosines and scores. */
export const similarityScores = (): Scores =>
  correlations((outputs, feeds, take) => {
    const scores = feeds['score']!.data as Float32Array
    outputOf(outputs).data.forEach((value, i) => take(value, scores[i]!))
  })

/** Of what has no score beside its loss. */
export const noScores = (): Scores => ({ add: () => undefined, result: () => ({}) })

/** Accuracy of tokens; F1 of entities where the labels are BIO, else the mean over classes. */
export function tokenScores({ numLabels, labels: names }: Task): Scores {
  const matrix = new ConfusionMatrix(numLabels)
  const entities = isBio(names) ? new EntityCounts() : undefined
  return {
    add(outputs, feeds) {
      const [rows, width] = feeds['labels']!.shape as [number, number]
      const found: { label: string[]; predicted: string[] }[] = Array.from({ length: rows }, () => ({ label: [], predicted: [] }))
      predictions(outputs, feeds, (i, label, predicted) => {
        matrix.add(label, predicted)
        const row = found[Math.floor(i / width)]!
        row.label.push(names[label] ?? '')
        row.predicted.push(names[predicted] ?? '')
      })
      for (const { label, predicted } of found) entities?.add(label, predicted)
    },
    result: () => ({
      accuracy: matrix.accuracy(),
      ...(entities === undefined
        ? { macroF1: matrix.macroF1() }
        : { precision: entities.precision, recall: entities.recall, f1: entities.f1 }),
    }),
  }
}

/** Share of answers found exactly, and the mean overlap of positions. */
export function spanScores(): Scores {
  let [rows, exact, overlap] = [0, 0, 0]
  return {
    add(outputs, feeds) {
      const { data, shape } = outputOf(outputs)
      const width = shape[1]!
      const [starts, ends, lengths] = ['start_positions', 'end_positions', 'row_lengths'].map((name) => numbersOf(feeds[name]!))
      lengths!.forEach((length, r) => {
        const truth: [number, number] = [Math.max(0, starts![r]!), Math.max(0, ends![r]!)]
        // An answer that was cut off can be found by nobody.
        if (truth[0] >= length || truth[1] >= length) return
        const scores = (end: number): number[] => Array.from({ length }, (_, i) => data[(r * width + i) * 2 + end]!)
        const found = bestSpan(scores(0), scores(1))
        rows++
        exact += Number(found[0] === truth[0] && found[1] === truth[1])
        overlap += spanOverlap(truth, found)
      })
    },
    result: () => ({ exactMatch: exact / rows, f1: overlap / rows }),
  }
}
