/** @file Lengths of rows as people read them: percentiles, and a histogram with round borders. */
import type { LengthBin, LengthSummary } from './data-inspection.js'

const PERCENTILES = [5, 25, 50, 75, 90, 95, 99]
const MOST_BINS = 16

/** The smallest of 1, 2, 5, 10, 20, 50, … of which `most` steps reach from the shortest to the longest. */
function stepOf(shortest: number, longest: number, most: number): number {
  for (let power = 1; ; power *= 10)
    for (const factor of [1, 2, 5]) {
      const step = factor * power
      if (Math.floor(longest / step) - Math.floor(shortest / step) < most) return step
    }
}

/** @param lengths sorted, at least one */
function histogramOf(lengths: Uint32Array): LengthBin[] {
  const [shortest, longest] = [lengths[0]!, lengths.at(-1)!]
  const step = stepOf(shortest, longest, MOST_BINS)
  const first = Math.floor(shortest / step)
  const counts = new Array<number>(Math.floor(longest / step) - first + 1).fill(0)
  for (const length of lengths) counts[Math.floor(length / step) - first]!++
  return counts.map((rows, i) => ({ from: (first + i) * step, to: (first + i + 1) * step - 1, rows }))
}

/** @param lengths one a row, in any order; undefined is given for none */
export function summarizeLengths(lengths: Uint32Array): LengthSummary | undefined {
  if (lengths.length === 0) return undefined
  const sorted = lengths.slice().sort()
  // The nearest rank: the smallest length that so many percent of the rows do not exceed.
  const at = (percent: number): number => sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]!
  return {
    shortest: sorted[0]!,
    mean: sorted.reduce((sum, length) => sum + length, 0) / sorted.length,
    percentiles: Object.fromEntries(PERCENTILES.map((percent) => [percent, at(percent)])),
    longest: sorted.at(-1)!,
    histogram: histogramOf(sorted),
  }
}
