/**
 * @file The tensors of mixed batches: for every layer the branches of several combinations of adapters, one after the other, of which
 * each row of a batch names its own by number.
 *
 * A place that was written stays as it is: a run that has begun reads it while others are written. So a new combination goes into a free
 * place, and only where there is none, or its rank is larger, are the tensors made anew, with what was used last.
 */
import type { HostTensor } from '../../graph/types.js'
import type { WeightedBranch } from './branch-tensors.js'
import { emptyLayerStack, writeBranch, type LayerStack } from './layer-stack.js'
import type { ServedLora } from './served-lora.js'

/** Adapters that are added up for a row. */
export interface StackedCombination {
  /** No other choice has it; empty is the base model. */
  readonly key: string
  /** Of what it does to a layer; 0 where it does nothing. */
  rank(module: string): number
  /** What it does to a layer. */
  branch(module: string): WeightedBranch | undefined
}

/** Number of the base model, which changes nothing. */
const BASE = 0

export class AdapterStack<C extends StackedCombination> {
  private stacks: readonly LayerStack[] = []
  /** Those that are there, the one that was used longest ago first. */
  private readonly placed = new Map<string, { readonly number: number; readonly combination: C }>()
  private free = 1
  private capacity = 0
  private held: Readonly<Record<string, HostTensor>> | undefined

  /**
   * @param parts of the graph, one for each layer
   * @param kept most combinations that are kept beside those of a pass
   */
  constructor(
    readonly parts: readonly ServedLora[],
    private readonly kept: number,
  ) {}

  /** The stacked tensors, and the number of each row's combination. A combination without adapters is the base. */
  serve(rows: readonly C[]): { readonly tensors: Readonly<Record<string, HostTensor>>; readonly numbers: number[] } {
    const asked = new Map(rows.filter(({ key }) => key !== '').map((row) => [row.key, row]))
    const missing = [...asked.values()].filter(({ key }) => !this.placed.has(key))
    if (this.held === undefined || missing.length > this.capacity - this.free || !this.fits(missing)) this.renew(asked)
    else for (const combination of missing) this.place(combination)
    const numbers = rows.map(({ key }) => (key === '' ? BASE : this.placed.get(key)!.number))
    // What was used last is last.
    for (const [key, { number, combination }] of [...this.placed].filter(([key]) => asked.has(key))) {
      this.placed.delete(key)
      this.placed.set(key, { number, combination })
    }
    return { tensors: this.held!, numbers }
  }

  /** Gives up combinations that will not be asked for again. */
  forget(isGone: (combination: C) => boolean): void {
    for (const [key, { combination }] of [...this.placed]) if (isGone(combination)) this.placed.delete(key)
    if (this.placed.size > 0) return
    this.held = undefined
    this.stacks = []
  }

  private fits(combinations: readonly C[]): boolean {
    return this.stacks.every(({ part, r }) => combinations.every((combination) => combination.rank(part.module) <= r))
  }

  /** New tensors with what is asked for, what was used last beside it, and room for others. */
  private renew(asked: ReadonlyMap<string, C>): void {
    const others = [...this.placed.values()].map(({ combination }) => combination).filter(({ key }) => !asked.has(key))
    const combinations = [...others.slice(Math.max(0, others.length - this.kept)), ...asked.values()]
    // Half as much again: copies are made the more seldom the more there are.
    this.capacity = 1 + combinations.length + Math.ceil(combinations.length / 2)
    this.stacks = this.parts.map((part) => {
      const ranks = combinations.map((combination) => combination.rank(part.module))
      return emptyLayerStack(part, this.capacity, Math.max(1, ...ranks))
    })
    this.placed.clear()
    this.free = 1
    for (const combination of combinations) this.place(combination)
    this.held = Object.fromEntries(this.stacks.flatMap(({ tensors }) => tensors))
  }

  private place(combination: C): void {
    const number = this.free++
    for (const stack of this.stacks) {
      const branch = combination.branch(stack.part.module)
      if (branch !== undefined) writeBranch(stack, number, branch)
    }
    this.placed.set(combination.key, { number, combination })
  }
}
