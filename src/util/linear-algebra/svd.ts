/** @file Singular values and vectors: all of them (one-sided Jacobi), or the largest by a random projection. */
import type { Random } from '../rng.js'
import { firstColumns, matrix, product, transposed, type Matrix } from './matrix.js'
import { qr } from './qr.js'

export interface Svd {
  /** [m, k], orthonormal columns. */
  readonly U: Matrix
  /** [k], largest first. */
  readonly S: Float64Array
  /** [n, k], orthonormal columns: A = U·diag(S)·Vᵀ. */
  readonly V: Matrix
}

/** Sweeps converge quadratically; even ill-conditioned matrices need fewer than 20. */
const MAX_SWEEPS = 60

/**
 * The thin singular value decomposition, k = min(m, n), by one-sided Jacobi rotations on the triangular factor of QR
 * (Demmel and Veselić, 1992): every singular value has its digits, the small ones as well.
 */
export function svd(a: Matrix): Svd {
  if (a.rows < a.columns) {
    const { U, S, V } = svd(transposed(a))
    return { U: V, S, V: U }
  }
  const n = a.columns
  const { Q, R } = qr(a)
  // Rᵀ is rotated: A = Q·R and Rᵀ = X·diag(S)·Yᵀ give U = Q·Y, V = X. Its columns are the rows of R.
  const work = R.data.slice()
  const rotations = matrix(n, n)
  for (let i = 0; i < n; i++) rotations.data[i * n + i] = 1
  for (let sweep = 0; sweep < MAX_SWEEPS && sweepOnce(work, rotations.data, n); sweep++);
  const S = Float64Array.from({ length: n }, (_, i) => norm(work, i, n))
  const order = Array.from(S.keys()).sort((x, y) => S[y]! - S[x]!)
  const X = matrix(n, n)
  const Y = matrix(n, n)
  order.forEach((from, to) => {
    for (let i = 0; i < n; i++) {
      X.data[i * n + to] = S[from]! === 0 ? 0 : work[from * n + i]! / S[from]!
      Y.data[i * n + to] = rotations.data[from * n + i]!
    }
  })
  const sorted = S.map((_, i) => S[order[i]!]!)
  const V = completed(X, sorted)
  return { U: product(Q, Y), S: sorted, V }
}

const norm = (rows: Float64Array, i: number, n: number): number => {
  let largest = 0
  for (let k = 0; k < n; k++) largest = Math.max(largest, Math.abs(rows[i * n + k]!))
  if (largest === 0) return 0
  let sum = 0
  for (let k = 0; k < n; k++) sum += (rows[i * n + k]! / largest) ** 2
  return largest * Math.sqrt(sum)
}

/** Makes each pair of rows orthogonal once; false when all were. */
function sweepOnce(work: Float64Array, rotations: Float64Array, n: number): boolean {
  let rotated = false
  for (let p = 0; p < n - 1; p++) {
    for (let q = p + 1; q < n; q++) {
      let [alpha, beta, gamma] = [0, 0, 0]
      for (let k = 0; k < n; k++) {
        const [x, y] = [work[p * n + k]!, work[q * n + k]!]
        alpha += x * x
        beta += y * y
        gamma += x * y
      }
      if (gamma === 0 || Math.abs(gamma) <= 1e-15 * Math.sqrt(alpha * beta)) continue
      rotated = true
      const zeta = (beta - alpha) / (2 * gamma)
      const t = Math.sign(zeta || 1) / (Math.abs(zeta) + Math.hypot(1, zeta))
      const c = 1 / Math.hypot(1, t)
      rotate(work, p * n, q * n, n, c, c * t)
      rotate(rotations, p * n, q * n, n, c, c * t)
    }
  }
  return rotated
}

function rotate(data: Float64Array, p: number, q: number, n: number, c: number, s: number): void {
  for (let k = 0; k < n; k++) {
    const [x, y] = [data[p + k]!, data[q + k]!]
    data[p + k] = c * x - s * y
    data[q + k] = s * x + c * y
  }
}

/** Columns of singular value 0 are nothing yet: any unit vectors orthogonal to the others. */
function completed(X: Matrix, S: Float64Array): Matrix {
  const rank = S.findIndex((s) => s === 0)
  if (rank < 0) return X
  const n = X.rows
  const start = matrix(n, rank + n)
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < rank; j++) start.data[i * (rank + n) + j] = X.data[i * X.columns + j]!
    start.data[i * (rank + n) + rank + i] = 1
  }
  // Gram and Schmidt, twice for each vector.
  const columns: Float64Array[] = []
  const t = transposed(start)
  for (let j = 0; j < t.rows && columns.length < n; j++) {
    const v = t.data.slice(j * n, (j + 1) * n)
    for (let pass = 0; pass < 2; pass++)
      for (const c of columns) {
        let d = 0
        for (let i = 0; i < n; i++) d += c[i]! * v[i]!
        for (let i = 0; i < n; i++) v[i] = v[i]! - d * c[i]!
      }
    const length = Math.sqrt(v.reduce((sum, x) => sum + x * x, 0))
    if (j >= rank && length < 1e-6) continue
    columns.push(v.map((x) => x / length))
  }
  return transposed(
    matrix(
      n,
      n,
      columns.flatMap((c) => Array.from(c)),
    ),
  )
}

/**
 * The `q` largest singular values by a random projection with `iterations` rounds of power iteration (Halko, Martinsson
 * and Tropp, 2011, algorithms 4.4 and 5.1), as `torch.svd_lowrank` computes them.
 */
export function svdLowRank(a: Matrix, q: number, iterations: number, random: Random): Svd {
  const at = transposed(a)
  const guess = matrix(a.columns, q)
  for (let i = 0; i < guess.data.length; i++) guess.data[i] = random.normal()
  let { Q } = qr(product(a, guess))
  for (let i = 0; i < iterations; i++) Q = qr(product(a, qr(product(at, Q)).Q)).Q
  const small = svd(product(transposed(Q), a))
  return { U: firstColumns(product(Q, small.U), q), S: small.S.slice(0, q), V: firstColumns(small.V, q) }
}
