/** @file The singular values of a low-rank change, and what they say of it. */
import { qr } from '../util/linear-algebra/qr.js'
import { firstColumns, matrix, type Matrix } from '../util/linear-algebra/matrix.js'
import type { Random } from '../util/rng.js'
import { svd, type Svd } from '../util/linear-algebra/svd.js'
import { energyOf, svdOfProduct } from '../util/linear-algebra/truncated-svd.js'
import type { Branch } from './branches.js'

/** Between 1 and the next number of float32, which matrices are stored in. */
const EPSILON = 2 ** -23

/** How many singular values are more than rounding, as NumPy's `matrix_rank` counts them. */
export const numericalRank = (S: ArrayLike<number>, rows: number, columns: number): number =>
  Array.from(S).filter((s) => s > S[0]! * Math.max(rows, columns) * EPSILON).length

/** What the singular values of a change say. */
export interface Spectrum {
  /** Of ΔW, largest first; as many as the branch has rows. */
  readonly singularValues: readonly number[]
  /** How many of them are more than rounding. */
  readonly rank: number
  /**
   * exp of the entropy of the singular values' shares (Roy and Vetterli, "The effective rank", 2007): between 1 and `rank`,
   * the number of equal singular values that would be as even; 0 of no change.
   */
  readonly effectiveRank: number
  /** ‖ΔW‖²_F / ‖ΔW‖²₂, the directions that hold as much as the strongest; 0 of no change. */
  readonly stableRank: number
  /** ‖ΔW‖_F, the root of the sum of all squares. */
  readonly frobenius: number
  /** ‖ΔW‖₂, the largest singular value. */
  readonly spectral: number
}

/** What the product of two matrices leaves of numbers that cancel (PiSSA's before it is trained), by their norms. */
const CANCELLED = 2 ** -44

/** ΔW = U·diag(S)·Vᵀ, of B·A without the product: through the triangular factors of both. */
export function changeOf({ A, B, scale }: Branch): Svd {
  const { U, S, V } = svdOfProduct(B, A)
  const nothing = CANCELLED * Math.sqrt(energyOf(A) * energyOf(B))
  // A negative scale turns a vector, which no norm and no subspace sees.
  return { U, S: S.map((s) => (s > nothing ? s * Math.abs(scale) : 0)), V }
}

export function spectrumOf({ S }: Svd, rows: number, columns: number): Spectrum {
  const sum = S.reduce((a, b) => a + b, 0)
  const squares = S.reduce((a, b) => a + b * b, 0)
  const entropy = S.reduce((total, s) => (s > 0 ? total - (s / sum) * Math.log(s / sum) : total), 0)
  const spectral = S[0] ?? 0
  return {
    singularValues: Array.from(S),
    rank: spectral === 0 ? 0 : numericalRank(S, rows, columns),
    effectiveRank: spectral === 0 ? 0 : Math.exp(entropy),
    stableRank: spectral === 0 ? 0 : squares / spectral ** 2,
    frobenius: Math.sqrt(squares),
    spectral,
  }
}

/** Orthonormal directions, one a column, [size, count]: of those that a Gaussian matrix has. */
export function randomDirections(size: number, count: number, random: Random): Matrix {
  const gaussian = matrix(size, count)
  for (let i = 0; i < gaussian.data.length; i++) gaussian.data[i] = random.normal()
  return qr(gaussian).Q
}

/** The singular vectors of one side of a matrix that belong to more than rounding, strongest first, one a column. */
export function directionsOf(a: Matrix, side: 'left' | 'right'): Matrix {
  const { U, S, V } = svd(a)
  const rank = (S[0] ?? 0) === 0 ? 0 : numericalRank(S, a.rows, a.columns)
  return firstColumns(side === 'left' ? U : V, rank)
}
