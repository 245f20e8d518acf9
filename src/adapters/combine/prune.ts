/** @file Leaving numbers out: the smallest ones, or some at random. */

/**
 * Keeps the `⌊density·n⌋` numbers of largest magnitude and sets the others to 0 (Yadav et al., 2023, "trim"). Of equals
 * the first stay.
 */
export function keepLargest(values: Float32Array, density: number): Float32Array {
  if (density >= 1) return values
  const kept = Math.floor(density * values.length)
  const result = new Float32Array(values.length)
  if (kept === 0) return result
  const ascending = values.map(Math.abs).sort()
  const border = ascending[values.length - kept]!
  let equals = kept - (values.length - firstAbove(ascending, border))
  values.forEach((value, i) => {
    const size = Math.abs(value)
    if (size > border || (size === border && equals-- > 0)) result[i] = value
  })
  return result
}

/** Index of the first number above a border, in ascending numbers. */
function firstAbove(ascending: Float32Array, border: number): number {
  let [low, high] = [0, ascending.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (ascending[middle]! > border) high = middle
    else low = middle + 1
  }
  return low
}

/**
 * Keeps each number with probability `density` and divides it by that, so that the mean stays (DARE, Yu et al., 2023).
 * @param keep whether the next number stays
 */
export const keepSome = (values: Float32Array, density: number, keep: () => boolean): Float32Array =>
  density >= 1 ? values : values.map((value) => (keep() ? value / density : 0))
