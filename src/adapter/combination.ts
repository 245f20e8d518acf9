/** @file Adapters of a set that are added up, as they are now. */
import type { WeightedBranch } from '../adapters/serving/branch-tensors.js'
import type { PreparedAdapter } from './prepared-adapter.js'

/** An adapter of a set. */
export interface AdapterEntry extends PreparedAdapter {
  /** No other has it, not even one that takes its place. */
  readonly id: number
  /** What its change counts, beside its own alpha. */
  scale: number
}

/** An adapter that is chosen, and what its change counts in all. */
export interface ChosenAdapter {
  readonly name: string
  readonly entry: AdapterEntry
  readonly weight: number
}

export class Combination {
  /** Equal for choices that are served alike: what has changed since has another. Empty is the base model. */
  readonly key: string

  constructor(readonly adapters: readonly ChosenAdapter[]) {
    this.key = adapters.map(({ entry, weight }) => `${entry.id}*${weight}`).join(' + ')
  }

  has(entry: AdapterEntry): boolean {
    return this.adapters.some((chosen) => chosen.entry === entry)
  }

  /** What each of them does to a layer. */
  branches(module: string): WeightedBranch[] {
    return this.adapters.flatMap(({ entry, weight }) => {
      const branch = entry.branches.get(module)
      return branch === undefined ? [] : [{ branch, weight }]
    })
  }
}
