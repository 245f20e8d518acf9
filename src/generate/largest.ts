/** @file The largest of many values, without sorting them all: a vocabulary has 150,000, of which some dozens count. */

/**
 * The largest values, in ascending order, equals counted apart; fewer where there are not as many above minus infinity.
 * Values are gathered that are above all `count` so far; when twice as many have come together, they are sorted and the upper half stays.
 */
export function largest(values: Float32Array, count: number): Float32Array {
  const kept = new Float32Array(Math.min(2 * count, values.length))
  let held = 0
  let least = -Infinity
  const cut = (): void => {
    kept.subarray(0, held).sort()
    if (held < count) return
    kept.copyWithin(0, held - count, held)
    held = count
    least = kept[0]!
  }
  // A loop by index: iterators of typed arrays cost more than what is done here.
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value <= least) continue
    if (held === kept.length) cut()
    if (value > least) kept[held++] = value
  }
  cut()
  return kept.subarray(0, held)
}

/** The places of the largest values, the largest first, of equals the first; those of minus infinity are none. */
export function largestPlaces(values: Float32Array, count: number): number[] {
  if (count === 0) return []
  const [least] = largest(values, count)
  const places: number[] = []
  for (let i = 0; i < values.length; i++) if (values[i]! >= least! && values[i]! > -Infinity) places.push(i)
  return places.sort((a, b) => values[b]! - values[a]! || a - b).slice(0, count)
}
