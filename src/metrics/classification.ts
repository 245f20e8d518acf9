/** @file Metrics of classes: counts of (label, prediction) pairs, and what is read off them. */
import { InvalidDataError } from '../errors.js'

/**
 * How often each label was predicted as each class; rows are labels, columns predictions.
 * @example
 * const matrix = new ConfusionMatrix(2)
 * matrix.add(1, 0)
 * matrix.accuracy() // 0
 */
export class ConfusionMatrix {
  /** [classes, classes], row by row. */
  readonly counts: Float64Array

  /** Of nothing yet. */
  constructor(
    /** How many classes there are; labels and predictions are below it. */
    readonly classes: number,
  ) {
    this.counts = new Float64Array(classes * classes)
  }

  /**
   * Counts one pair.
   * @throws InvalidDataError for what is no class
   */
  add(label: number, prediction: number): void {
    this.checkClass('label', label)
    this.checkClass('prediction', prediction)
    this.counts[label * this.classes + prediction]!++
  }

  private checkClass(what: string, value: number): void {
    if (!Number.isInteger(value) || value < 0 || value >= this.classes)
      throw new InvalidDataError(`the ${what} ${value} is none of the ${this.classes} classes; they are whole numbers from 0 to ${this.classes - 1}`) // prettier-ignore
  }

  private sum(cell: (i: number) => number): number {
    let total = 0
    for (let i = 0; i < this.classes; i++) total += cell(i)
    return total
  }

  private at(label: number, prediction: number): number {
    return this.counts[label * this.classes + prediction]!
  }

  /** How often a class is the label. */
  support(k: number): number {
    return this.sum((i) => this.at(k, i))
  }

  /** How often a class is predicted. */
  predicted(k: number): number {
    return this.sum((i) => this.at(i, k))
  }

  /** How many pairs were counted. */
  get total(): number {
    return this.counts.reduce((a, b) => a + b, 0)
  }

  /** Share of predictions that are the label; NaN of nothing. */
  accuracy(): number {
    return this.sum((i) => this.at(i, i)) / this.total
  }

  /** 2·tp / (2·tp + fp + fn) of one class; 0 where the class neither is nor is predicted, as scikit-learn has it. */
  f1(k: number): number {
    const both = this.support(k) + this.predicted(k)
    return both === 0 ? 0 : (2 * this.at(k, k)) / both
  }

  /** Mean of the classes' F1, over those that are labels or predictions (scikit-learn's `average="macro"`). */
  macroF1(): number {
    const present = Array.from({ length: this.classes }, (_, k) => k).filter((k) => this.support(k) + this.predicted(k) > 0)
    return present.reduce((sum, k) => sum + this.f1(k), 0) / present.length
  }

  /**
   * Matthews' correlation of labels and predictions, for any number of classes (Gorodkin, 2004); 0 where either is
   * always the same.
   */
  matthews(): number {
    const n = this.total
    const correct = this.sum((i) => this.at(i, i))
    const mixed = this.sum((k) => this.support(k) * this.predicted(k))
    const spread = (of: (k: number) => number): number => n * n - this.sum((k) => of(k) ** 2)
    const denominator = Math.sqrt(spread((k) => this.support(k)) * spread((k) => this.predicted(k)))
    return denominator === 0 ? 0 : (correct * n - mixed) / denominator
  }
}

/** The place of the largest number, the first of equals. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}
