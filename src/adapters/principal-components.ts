/** @file Principal components of what layers read, and how many of them each layer gets (EVA, Paischer et al., 2024). */
import { matrix, type Matrix } from '../util/linear-algebra/matrix.js'
import { svd, svdLowRank } from '../util/linear-algebra/svd.js'
import type { Random } from '../util/rng.js'

/** Sums over samples x: enough for their principal components. */
export interface Moments {
  readonly features: number
  count: number
  /** Σ x. */
  readonly sum: Float64Array
  /** Σ x·xᵀ, [features, features]. */
  readonly products: Float64Array
}

export const noMoments = (features: number): Moments => ({
  features,
  count: 0,
  sum: new Float64Array(features),
  products: new Float64Array(features * features),
})

export interface PrincipalComponents {
  /** Orthonormal rows, [components, features]; the largest number of each row is positive. */
  readonly rows: readonly Float64Array[]
  /** Singular values of the centred samples, largest first. */
  readonly singularValues: readonly number[]
  /** Shares of the variance. */
  readonly ratios: readonly number[]
}

/** Matrices up to this size are decomposed whole. */
const WHOLE = 160
/** Further directions and rounds of the random projection: the spectrum of a covariance falls off as a square. */
const SPARE = 16
const ROUNDS = 8

/** The first components of centred samples, by the eigenvectors of their scatter matrix. */
export function principalComponents(moments: Moments, components: number, random: Random): PrincipalComponents {
  const { features, count, sum, products } = moments
  const scatter: Matrix = matrix(features, features, products)
  let total = 0
  for (let i = 0; i < features; i++) {
    for (let j = 0; j < features; j++) scatter.data[i * features + j]! -= (sum[i]! * sum[j]!) / count
    total += scatter.data[i * features + i]!
  }
  const wanted = Math.min(features, components + SPARE)
  const { S, V } = features <= WHOLE || wanted === features ? svd(scatter) : svdLowRank(scatter, wanted, ROUNDS, random)
  const rows = Array.from({ length: components }, (_, k) => {
    const row = Float64Array.from({ length: features }, (__, i) => V.data[i * V.columns + k]!)
    const largest = row.reduce((best, x) => (Math.abs(x) > Math.abs(best) ? x : best), 0)
    return largest < 0 ? row.map((x) => -x) : row
  })
  const eigenvalues = Array.from(S.subarray(0, components))
  return { rows, singularValues: eigenvalues.map(Math.sqrt), ratios: eigenvalues.map((s) => s / total) }
}

/** A layer that components are shared out to. */
export interface Sharer {
  readonly name: string
  /** Layers that read the same have one group. */
  readonly group: string
  readonly r: number
}

/**
 * Ranks by explained variance, as PEFT shares them out: of all components of all layers those with the largest ratios, as many
 * as the ranks have in sum. Of layers that read the same, the first gets the most.
 * @param ratios of each group, as many as a layer of it may have
 */
export function shareRanks(
  layers: readonly Sharer[],
  ratios: ReadonlyMap<string, readonly number[]>,
): ReadonlyMap<string, number> {
  const firsts = layers.filter(({ group }, i) => layers.findIndex((other) => other.group === group) === i)
  const ordered = [...firsts, ...layers.filter((layer) => !firsts.includes(layer))]
  const all = ordered.flatMap(({ name, group }) => ratios.get(group)!.map((ratio) => ({ name, ratio })))
  const budget = layers.reduce((total, { r }) => total + r, 0)
  const best = all.sort((a, b) => b.ratio - a.ratio).slice(0, budget)
  const ranks = new Map(layers.map(({ name }) => [name, best.filter((entry) => entry.name === name).length]))
  for (const { name, group } of ordered) {
    const first = firsts.find((layer) => layer.group === group)!.name
    const [rank, most] = [ranks.get(name)!, ranks.get(first)!]
    if (most < rank) ranks.set(first, rank).set(name, most)
  }
  return ranks
}
