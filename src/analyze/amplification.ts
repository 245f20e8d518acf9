/** @file How much a change amplifies directions of the weight: section 7.3 of Hu et al., "LoRA", 2021. */
import { firstColumns, product, transposed, type Matrix } from '../util/linear-algebra/matrix.js'
import type { Svd } from '../util/linear-algebra/svd.js'
import { energyOf, truncatedSvd } from '../util/linear-algebra/truncated-svd.js'
import type { Random } from '../util/rng.js'
import { randomDirections, type Spectrum } from './spectrum.js'

/** A share of the energy that no digit of a printed norm shows. */
const TOLERANCE = 1e-8

/**
 * The weight in the directions of its change, beside those of itself and random ones: table 7 of the paper. A norm in the
 * directions U, V is ‖UᵀWV‖_F for the `r` strongest left and right singular vectors.
 */
export interface Amplification {
  /** Directions on each side: the rank of the change. */
  readonly r: number
  /** ‖W‖_F of the base's weight. */
  readonly base: number
  /** ‖UᵀWV‖_F in the directions of ΔW: what the base says there already. */
  readonly inChange: number
  /** The same in the strongest directions of W: the most that `r` directions can hold. */
  readonly inBase: number
  /** The same in random directions. */
  readonly inRandom: number
  /** ‖ΔW‖_F / ‖UᵀWV‖_F: how many times over the change says what the base says in its directions. */
  readonly factor: number
}

const norm = (a: Matrix): number => Math.sqrt(energyOf(a))

/** ‖UᵀWV‖_F */
const normIn = (U: Matrix, W: Matrix, V: Matrix): number => norm(product(product(transposed(U), W), V))

/** @param W [out, in]; @param random of the random directions. undefined where nothing is changed */
export function amplificationOf(
  W: Matrix,
  { U, V }: Svd,
  { rank, frobenius }: Spectrum,
  random: Random,
): Amplification | undefined {
  if (rank === 0) return undefined
  const inChange = normIn(firstColumns(U, rank), W, firstColumns(V, rank))
  return {
    r: rank,
    base: norm(W),
    inChange,
    inBase: Math.sqrt(truncatedSvd(W, rank, TOLERANCE).S.reduce((sum, s) => sum + s * s, 0)),
    inRandom: normIn(randomDirections(W.rows, rank, random), W, randomDirections(W.columns, rank, random)),
    factor: frobenius / inChange,
  }
}
