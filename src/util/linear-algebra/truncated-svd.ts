/** @file The largest singular values: of any matrix, and of a product of thin ones. */
import { InvalidOptionError } from '../../errors.js'
import { Random } from '../rng.js'
import { firstColumns, matrix, product, transposed, type Matrix } from './matrix.js'
import { qr } from './qr.js'
import { svd, type Svd } from './svd.js'

/** Up to this size all singular values are computed at once; beyond, subspaces are cheaper. */
const SMALL = 128
/** Iterations of the subspace; it converges by (σ[q] / σ[r])² each. */
const MOST_ITERATIONS = 100

const firstOf = ({ U, S, V }: Svd, r: number): Svd => ({ U: firstColumns(U, r), S: S.slice(0, r), V: firstColumns(V, r) })

/**
 * The `r` largest singular values and their vectors, to about ten digits of the captured energy: by subspace iteration (Halko, Martinsson and
 * Tropp, 2011, algorithm 4.4) with spare columns until the values stand still, or exactly where the matrix is small or most of it is asked for.
 * @param tolerance the share of the energy that a further iteration may still find
 */
export function truncatedSvd(a: Matrix, r: number, tolerance = 1e-11): Svd {
  const smaller = Math.min(a.rows, a.columns)
  const rank = Math.min(r, smaller)
  if (smaller <= SMALL || 3 * rank >= smaller) return firstOf(svd(a), rank)
  const q = Math.min(smaller, rank + Math.max(10, rank >> 1))
  const random = Random.derive(0, 'truncatedSvd')
  const guess = matrix(a.columns, q)
  for (let i = 0; i < guess.data.length; i++) guess.data[i] = random.normal()
  const at = transposed(a)
  let Z = qr(guess).Q
  let energy = 0
  for (let i = 0; ; i++) {
    const { Q, R } = qr(product(a, Z))
    const small = svd(R)
    const captured = small.S.subarray(0, rank).reduce((sum, s) => sum + s * s, 0)
    if (i === MOST_ITERATIONS || captured - energy <= tolerance * captured)
      return firstOf({ U: product(Q, small.U), S: small.S, V: product(Z, small.V) }, rank)
    energy = captured
    Z = qr(product(at, Q)).Q
  }
}

/** The singular values of left·right for left [m, k] and right [k, n] with a small k: the product is never whole. */
export function svdOfProduct(left: Matrix, right: Matrix): Svd {
  const a = qr(left)
  const b = qr(transposed(right))
  const { U, S, V } = svd(product(a.R, transposed(b.R)))
  return { U: product(a.Q, U), S, V: product(b.Q, V) }
}

/** Sum of the squares of all numbers, which is that of all singular values. */
export const energyOf = ({ data }: Matrix): number => data.reduce((sum, x) => sum + x * x, 0)

/**
 * As few singular values as hold a share of the energy (the sum of their squares).
 * @param energy in (0, 1]
 * @throws InvalidOptionError for another share
 */
export function svdOfEnergy(a: Matrix, energy: number): Svd {
  if (!(energy > 0 && energy <= 1)) throw new InvalidOptionError(`energy must be above 0 and at most 1, got ${energy}`)
  const all = energyOf(a)
  const smaller = Math.min(a.rows, a.columns)
  for (let r = 16; ; r *= 2) {
    const found = truncatedSvd(a, r)
    let sum = 0
    for (const [i, s] of found.S.entries()) {
      sum += s * s
      // Rounding must not ask for one more of those that are nothing.
      if (sum >= energy * all * (1 - 1e-12)) return firstOf(found, i + 1)
    }
    if (r >= smaller) return found
  }
}
