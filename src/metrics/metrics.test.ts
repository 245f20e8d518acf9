/** @file Metrics against values worked out by hand, from the definitions that scikit-learn, SciPy and seqeval state. */
import { describe, expect, it } from 'vitest'
import { argmax, ConfusionMatrix } from './classification.js'
import { averageRanks, pearson, spearman } from './correlation.js'
import { EntityCounts, entitiesOf, isBio } from './entities.js'
import { bestSpan, spanOverlap } from './spans.js'

const matrixOf = (classes: number, pairs: readonly (readonly [number, number])[]): ConfusionMatrix => {
  const matrix = new ConfusionMatrix(classes)
  for (const [label, predicted] of pairs) matrix.add(label, predicted)
  return matrix
}

describe('classes', () => {
  // Of class 1: 3 true positives, 1 false positive, 2 false negatives; 4 true negatives.
  const binary = matrixOf(2, [
    ...[0, 1, 2].map(() => [1, 1] as const),
    [0, 1],
    ...[0, 1].map(() => [1, 0] as const),
    ...[0, 1, 2, 3].map(() => [0, 0] as const),
  ])

  it('two of them', () => {
    expect(binary.accuracy()).toBeCloseTo(7 / 10, 12)
    expect(binary.f1(1)).toBeCloseTo(6 / 9, 12)
    expect(binary.f1(0)).toBeCloseTo(8 / 11, 12)
    expect(binary.macroF1()).toBeCloseTo((6 / 9 + 8 / 11) / 2, 12)
    // (tp·tn − fp·fn) / √((tp+fp)(tp+fn)(tn+fp)(tn+fn))
    expect(binary.matthews()).toBeCloseTo((3 * 4 - 1 * 2) / Math.sqrt(4 * 5 * 5 * 6), 12)
  })

  it('three of them; a class that neither is nor is predicted enters no mean', () => {
    const pairs = [...[[0, 0] as const, [0, 1] as const, [1, 1] as const, [1, 1] as const, [2, 0] as const, [2, 2] as const]]
    const matrix = matrixOf(4, pairs)
    expect(matrix.macroF1()).toBeCloseTo((2 / 4 + 4 / 5 + 2 / 3) / 3, 12)
    // (4·6 − Σ tₖpₖ) / √((36 − Σ pₖ²)(36 − Σ tₖ²)) with t = (2, 2, 2), p = (2, 3, 1)
    expect(matrix.matthews()).toBeCloseTo((24 - 12) / Math.sqrt((36 - 14) * (36 - 12)), 12)
  })

  it("is 0 where nothing correlates: Matthews' of a constant, F1 of a class that is never found", () => {
    const constant = matrixOf(2, [[0, 0] as const, [1, 0] as const])
    expect(constant.matthews()).toBe(0)
    expect(constant.f1(1)).toBe(0)
    expect(constant.macroF1()).toBeCloseTo(1 / 3, 12)
  })

  it('are those that there are', () => {
    // In a table of rows the class behind the last one would be another's.
    expect(() => new ConfusionMatrix(2).add(0, 2)).toThrow(/the prediction 2 is none of the 2 classes/)
    expect(() => new ConfusionMatrix(2).add(-100, 0)).toThrow(/the label -100 is none/)
  })

  it('the first of equals is the largest', () => expect(argmax([1, 3, 3, 2])).toBe(1))
})

describe('correlations', () => {
  it("Pearson's", () => {
    // Deviations (-1, 0, 1) and (-4/3, -1/3, 5/3).
    expect(pearson([1, 2, 3], [2, 3, 5])).toBeCloseTo(3 / Math.sqrt((2 * 42) / 9), 12)
    expect(pearson([1, 2, 3], [3, 2, 1])).toBeCloseTo(-1, 12)
    expect(pearson([1, 1], [0, 3])).toBeNaN()
    expect(pearson([1], [1])).toBeNaN()
  })

  it("Spearman's, with average ranks for equals", () => {
    expect([...averageRanks([10, 20, 10, 5, 20, 20])]).toEqual([2.5, 5, 2.5, 1, 5, 5])
    // Ranks (1, 2.5, 2.5, 4) and (1, 3, 2, 4): covariance 4.5, squares 4.5 and 5.
    expect(spearman([1, 7, 7, 9], [-4, 3, 0, 100])).toBeCloseTo(4.5 / Math.sqrt(4.5 * 5), 12)
    expect(spearman([1, 2, 3, 4], [1, 10, 100, 1000])).toBeCloseTo(1, 12)
  })

  it('are NaN of what a diverged model says, and refuse what is no list of pairs', () => {
    const diverged = Float32Array.of(1, Number.NaN, 3)
    expect([...averageRanks(diverged)]).toEqual([Number.NaN, Number.NaN, Number.NaN])
    expect(spearman(diverged, [1, 2, 3])).toBeNaN()
    expect(pearson([1, 2, 3], diverged)).toBeNaN()
    expect(spearman([-Infinity, 0, Infinity], [1, 2, 3])).toBeCloseTo(1, 12)
    expect(() => pearson([1, 2, 3], [1, 2])).toThrow(/pearson: 3 and 2 numbers/)
    expect(() => spearman([1], [1, 2])).toThrow(/spearman: 1 and 2 numbers/)
  })
})

describe('entities', () => {
  it('begin with B, or with an I of another type', () => {
    expect(entitiesOf(['B-PER', 'I-PER', 'O', 'I-LOC', 'I-LOC', 'I-ORG', 'B-ORG'])).toEqual([
      { type: 'PER', start: 0, end: 2 },
      { type: 'LOC', start: 3, end: 5 },
      { type: 'ORG', start: 5, end: 6 },
      { type: 'ORG', start: 6, end: 7 },
    ])
    expect(entitiesOf(['O', 'O'])).toEqual([])
  })

  it('count as found with their type and both ends', () => {
    const counts = new EntityCounts()
    counts.add(['B-PER', 'I-PER', 'O', 'B-LOC'], ['B-PER', 'I-PER', 'O', 'B-ORG'])
    counts.add(['B-LOC', 'I-LOC'], ['B-LOC', 'O'])
    expect([counts.precision, counts.recall, counts.f1]).toEqual([1 / 3, 1 / 3, 1 / 3])
    expect(new EntityCounts().f1).toBe(0)
    expect(() => counts.add(['O', 'B-PER'], ['O'])).toThrow(/2 labels and 1 predictions/)
  })

  it('are told by the names of the labels', () => {
    expect(isBio(['O', 'B-PER', 'I-PER'])).toBe(true)
    expect(isBio(['NOUN', 'VERB'])).toBe(false)
    expect(isBio([])).toBe(false)
  })
})

describe('answers', () => {
  it('end where they begin or later', () => {
    expect(bestSpan([0, 1, 9], [8, 2, 3])).toEqual([2, 2])
    expect(bestSpan([5, 0, 1], [0, 7, 6])).toEqual([0, 1])
  })

  it('overlap by positions', () => {
    expect(spanOverlap([2, 4], [3, 6])).toBeCloseTo((2 * 2) / (3 + 4), 12)
    expect(spanOverlap([2, 4], [2, 4])).toBe(1)
    expect(spanOverlap([2, 4], [5, 6])).toBe(0)
  })
})
