/** @file The error function in float64, for which the runtime has no kernel. */

/** erf x by its Taylor series, exact to about 1e-15 for |x| ≤ 3. */
export function erf(x: number): number {
  let term = x
  let sum = x
  for (let n = 1; n < 60; n++) {
    term *= (-x * x) / n
    sum += term / (2 * n + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * sum
}
