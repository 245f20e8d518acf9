/** @file The thin QR decomposition by Householder reflections (Golub and Van Loan, Matrix Computations, 5.2). */
import { matrix, transposed, type Matrix } from './matrix.js'

/** A = Q·R with Q [m, k] of orthonormal columns and R [k, n] upper triangular, k = min(m, n). Signs are LAPACK's. */
export function qr(a: Matrix): { Q: Matrix; R: Matrix } {
  const { rows: m, columns: n } = a
  const k = Math.min(m, n)
  // Columns are worked on, so they lie together: `at` is Aᵀ.
  const at = transposed(a).data
  const reflectors: Float64Array[] = []
  for (let j = 0; j < k; j++) {
    const v = at.slice(j * m + j, (j + 1) * m)
    const length = Math.hypot(...chunked(v))
    const below = v.subarray(1).some((x) => x !== 0)
    if (!below) {
      // Nothing to reflect: H is the identity, as in LAPACK.
      reflectors.push(new Float64Array(0))
      continue
    }
    v[0] = v[0]! + (v[0]! >= 0 ? length : -length)
    const size = Math.sqrt(dot(v, v, 0))
    for (let i = 0; i < v.length; i++) v[i] = v[i]! / size
    reflectors.push(v)
    for (let c = j; c < n; c++) reflect(v, at, c * m + j)
  }
  const R = matrix(k, n)
  for (let i = 0; i < k; i++) for (let c = i; c < n; c++) R.data[i * n + c] = at[c * m + i]!
  const qt = new Float64Array(k * m)
  for (let c = 0; c < k; c++) {
    qt[c * m + c] = 1
    for (let j = k - 1; j >= 0; j--) if (reflectors[j]!.length > 0) reflect(reflectors[j]!, qt, c * m + j)
  }
  return { Q: transposed(matrix(k, m, qt)), R }
}

/** Length without overflow, of at most as many numbers as a call takes. */
function chunked(v: Float64Array): number[] {
  const parts: number[] = []
  for (let i = 0; i < v.length; i += 4096) parts.push(Math.hypot(...v.subarray(i, i + 4096)))
  return parts
}

function dot(v: Float64Array, x: Float64Array, offset: number): number {
  let sum = 0
  for (let i = 0; i < v.length; i++) sum += v[i]! * x[offset + i]!
  return sum
}

/** x ← x − 2v(vᵀx) for a unit vector v, on the numbers of x from `offset`. */
function reflect(v: Float64Array, x: Float64Array, offset: number): void {
  const twice = 2 * dot(v, x, offset)
  for (let i = 0; i < v.length; i++) x[offset + i] = x[offset + i]! - twice * v[i]!
}
