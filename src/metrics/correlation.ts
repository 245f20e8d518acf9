/** @file Correlations of two lists of numbers. */
import { InvalidDataError } from '../errors.js'

function checkPairs(a: ArrayLike<number>, b: ArrayLike<number>, metric: string): void {
  if (a.length !== b.length)
    throw new InvalidDataError(
      `${metric}: ${a.length} and ${b.length} numbers; give two lists of one length, whose places are pairs`,
    )
}

/**
 * Pearson's correlation; NaN of fewer than two pairs, where one list is constant, or where a number is NaN.
 * @throws InvalidDataError where the lists differ in length
 * @example
 * pearson([1, 2, 3], [2, 4, 6]) // 1
 */
export function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number {
  checkPairs(a, b, 'pearson')
  const n = a.length
  const mean = (values: ArrayLike<number>): number => {
    let sum = 0
    for (let i = 0; i < n; i++) sum += values[i]!
    return sum / n
  }
  const [meanA, meanB] = [mean(a), mean(b)]
  let [covariance, varianceA, varianceB] = [0, 0, 0]
  for (let i = 0; i < n; i++) {
    const [da, db] = [a[i]! - meanA, b[i]! - meanB]
    covariance += da * db
    varianceA += da * da
    varianceB += db * db
  }
  return n < 2 ? Number.NaN : covariance / Math.sqrt(varianceA * varianceB)
}

/**
 * Ranks from 1; equal numbers share the mean of theirs. NaN has no rank, and leaves none to the others: all are NaN then, as SciPy
 * has it.
 * @example
 * averageRanks([10, 20, 10]) // [1.5, 3, 1.5]
 */
export function averageRanks(values: ArrayLike<number>): Float64Array {
  if (Array.prototype.some.call(values, Number.isNaN)) return new Float64Array(values.length).fill(Number.NaN)
  const order = Array.from({ length: values.length }, (_, i) => i).sort((i, j) => values[i]! - values[j]!)
  const ranks = new Float64Array(values.length)
  for (let start = 0; start < order.length;) {
    let end = start
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + 1 + end) / 2
    start = end
  }
  return ranks
}

/**
 * Spearman's correlation: Pearson's of the average ranks.
 * @throws InvalidDataError where the lists differ in length
 * @example
 * spearman([1, 2, 3], [1, 10, 100]) // 1
 */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  checkPairs(a, b, 'spearman')
  return pearson(averageRanks(a), averageRanks(b))
}
