/** @file Numbers of a noisy machine: the middle and the ends. */

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly count: number
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const median = sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)!, count: sorted.length }
}

export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** `0.712 ± 0.012`: the mean, and the deviation of a sample where there are several. */
export function plusMinus(values: readonly number[], digits: number): string {
  const middle = mean(values)
  if (values.length < 2) return middle.toFixed(digits)
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1))
  return `${middle.toFixed(digits)} ± ${deviation.toFixed(digits)}`
}
