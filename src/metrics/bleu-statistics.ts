/** @file What every kind of BLEU is computed from: hits of n-grams, and lengths. */
import { clippedCounts, total } from './ngrams.js'
import type { PreparedSegment } from './prepare.js'

/** The longest n-grams of BLEU-4. */
export const BLEU_ORDER = 4

/** Counts of one segment, or sums of several. */
export interface BleuStatistics {
  /** Of order 1 to 4: n-grams of the hypothesis that a reference has, clipped. */
  readonly hits: readonly number[]
  /** Of order 1 to 4: n-grams of the hypothesis. */
  readonly totals: readonly number[]
  /** Words of the hypothesis. */
  readonly length: number
  /** Words of the reference whose length is closest, of two the shorter. */
  readonly referenceLength: number
}

export const bleuOrders = [1, 2, 3, 4] as const

/** @param totalOf the n-grams in a text of so many words, which scorers count differently where it is too short */
export function bleuStatistics(
  { hypothesis, references }: PreparedSegment,
  totalOf: (length: number, n: number) => number,
): BleuStatistics {
  const { length } = hypothesis.tokens
  return {
    hits: bleuOrders.map((n) => total(clippedCounts(hypothesis.ngrams(n), references.map((text) => text.ngrams(n))))), // prettier-ignore
    totals: bleuOrders.map((n) => totalOf(length, n)),
    length,
    referenceLength: closest(
      references.map(({ tokens }) => tokens.length),
      length,
    ),
  }
}

/** The number nearest to another; of two that are as near the smaller. */
const closest = (lengths: readonly number[], length: number): number =>
  lengths.reduce((best, next) => {
    const nearer = Math.abs(next - length) - Math.abs(best - length)
    return nearer < 0 || (nearer === 0 && next < best) ? next : best
  })

/** The statistics of a whole corpus. */
export const sumOf = (all: readonly BleuStatistics[]): BleuStatistics =>
  all.reduce((a, b) => ({
    hits: a.hits.map((hits, i) => hits + b.hits[i]!),
    totals: a.totals.map((of, i) => of + b.totals[i]!),
    length: a.length + b.length,
    referenceLength: a.referenceLength + b.referenceLength,
  }))

/** exp(mean of ln p) of the precisions. */
export const geometricMean = (precisions: readonly number[]): number =>
  Math.exp(precisions.reduce((sum, precision) => sum + Math.log(precision), 0) / precisions.length)
