/** @file Which directions two adapters have in common, layer by layer. */
import { adapterArgument } from '../adapter/adapter-argument.js'
import type { Adapter } from '../adapter/adapter.js'
import { InvalidAdapterError } from '../errors.js'
import { checkArgument } from '../util/arguments.js'
import type { Matrix } from '../util/linear-algebra/matrix.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'
import { Random } from '../util/rng.js'
import { checkSeed, nothingToAnalyze } from './analyze-adapter.js'
import { branchesOf, type Branch } from './branches.js'
import { subspaceSimilarity, type SimilarityGrid } from './similarity.js'
import { directionsOf, randomDirections } from './spectrum.js'

/** How adapters are compared. */
export interface CompareOptions {
  /** Of the random matrices beside them; 0 by default. */
  readonly seed?: number
}

const compareOptionKeys = { seed: true } satisfies OptionKeys<CompareOptions>

/** What two matrices of one layer have in common. */
export interface ComparedMatrix {
  /** Of the two adapters, by the singular vectors of their matrices; empty where one of them is 0. */
  readonly similarity: SimilarityGrid
  /** Of two Gaussian matrices of the same sizes: what chance gives. */
  readonly random: SimilarityGrid
}

/** One layer of two adapters. */
export interface ComparedLayer {
  /** Module path. */
  readonly module: string
  /** Ranks of the two branches, as their files have them. */
  readonly r: readonly [first: number, second: number]
  /** Of A, by its right singular vectors: the directions of the layer's input that are read. */
  readonly A: ComparedMatrix
  /** Of B, by its left singular vectors: the directions of the layer's output that are written. */
  readonly B: ComparedMatrix
}

/** Two adapters beside each other. */
export interface AdapterComparison {
  /** Layers that both change. */
  readonly layers: readonly ComparedLayer[]
  /** Layers that only one of them changes by a low-rank branch. */
  readonly onlyFirst: readonly string[]
  /** Likewise. */
  readonly onlySecond: readonly string[]
}

/**
 * Subspace similarity φ(i, j) of two adapters of a base (Hu et al., "LoRA", 2021, section 7.2), for every i and j: of two
 * ranks (which directions does the smaller one share with the larger?), or of two seeds (which are found again?).
 * @throws InvalidAdapterError if they share no layer, or a layer has other sizes in one of them
 * @throws InvalidOptionError for a seed that is none
 * @example
 * const { layers } = compareAdapters(rank8, rank64)
 * console.log(layers[0].A.similarity[0][63]) // how much of the strongest direction of the first lies in the second
 */
export function compareAdapters(first: Adapter, second: Adapter, options: CompareOptions = {}): AdapterComparison {
  checkArgument(first, adapterArgument, 'compareAdapters')
  checkArgument(second, adapterArgument, 'compareAdapters', 'the second argument')
  checkKeys(options, compareOptionKeys, 'compareAdapters')
  const { seed = 0 } = options
  checkSeed(seed)
  const [ones, others] = [branchesOf(first), branchesOf(second)]
  if (ones.branches.length === 0) throw nothingToAnalyze('the first adapter', ones.left)
  if (others.branches.length === 0) throw nothingToAnalyze('the second adapter', others.left)
  const byName = new Map(others.branches.map((branch) => [branch.module.name, branch]))
  const names = new Set(ones.branches.map(({ module }) => module.name))
  const layers = ones.branches.flatMap((one) => {
    const other = byName.get(one.module.name)
    return other === undefined ? [] : [comparedLayer(one, other, seed)]
  })
  const without = (branches: readonly Branch[], known: { has(name: string): boolean }): string[] =>
    branches.map(({ module }) => module.name).filter((name) => !known.has(name))
  const comparison = { layers, onlyFirst: without(ones.branches, byName), onlySecond: without(others.branches, names) }
  if (layers.length > 0) return comparison
  throw new InvalidAdapterError(
    `the adapters change no layer both: the first changes ${comparison.onlyFirst[0]}, the second ${comparison.onlySecond[0]}; compare adapters with the same target modules`,
  )
}

function comparedLayer(one: Branch, other: Branch, seed: number): ComparedLayer {
  const { name } = one.module
  if (one.A.columns !== other.A.columns || one.B.rows !== other.B.rows)
    throw new InvalidAdapterError(
      `${name} is [${one.B.rows}, ${one.A.columns}] in the first adapter and [${other.B.rows}, ${other.A.columns}] in the second; compare adapters of one base`,
    )
  const compared = (side: 'A' | 'B'): ComparedMatrix => {
    const directions = ({ [side]: values }: Branch): Matrix => directionsOf(values, side === 'A' ? 'right' : 'left')
    const [mine, theirs] = [directions(one), directions(other)]
    const random = Random.derive(seed, 'compare', name, side)
    const like = ({ rows, columns }: Matrix): Matrix => randomDirections(rows, columns, random)
    return { similarity: subspaceSimilarity(mine, theirs), random: subspaceSimilarity(like(mine), like(theirs)) }
  }
  return { module: name, r: [one.r, other.r], A: compared('A'), B: compared('B') }
}
