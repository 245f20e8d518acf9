/** @file Correlations of two lists of numbers. */

/**
 * Pearson's correlation; NaN of fewer than two pairs, or where one list is constant.
 * @example
 * pearson([1, 2, 3], [2, 4, 6]) // 1
 */
export function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number {
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
 * Ranks from 1; equal numbers share the mean of theirs.
 * @example
 * averageRanks([10, 20, 10]) // [1.5, 3, 1.5]
 */
export function averageRanks(values: ArrayLike<number>): Float64Array {
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
 * @example
 * spearman([1, 2, 3], [1, 10, 100]) // 1
 */
export const spearman = (a: ArrayLike<number>, b: ArrayLike<number>): number => pearson(averageRanks(a), averageRanks(b))
