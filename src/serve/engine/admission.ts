/**
 * @file Which requests may begin: those whose adapters are in memory and fit in the batch beside the others'. Keys take turns; within a key
 * those go first that came first, but one whose adapters are not there yet lets others pass, for a while.
 */
import type { AdapterMemory } from './adapter-memory.js'
import type { LoadedAdapter } from './loaded-adapter.js'
import { WaitingLine, type Waiting } from './waiting-line.js'

/** A request that waits for its adapters and its turn. */
export interface Admissible extends Waiting {
  readonly adapters: readonly LoadedAdapter[]
}

/** How often one that cannot begin lets others pass that came later. */
const PATIENCE = 64

export class Admission<T extends Admissible> {
  private readonly line = new WaitingLine<T>()
  /** Those that wait and have room reserved for their adapters. */
  private readonly reserved = new Set<T>()
  /** Those that were passed, and how often. */
  private readonly passed = new Map<T, number>()
  private readonly admitted = new Set<T>()

  /**
   * @param maxLoras adapters of those that run together
   * @param onReady told when the adapters of one have been loaded
   * @param onFailure told of one whose adapters could not be loaded, which waits no longer
   */
  constructor(
    private readonly memory: AdapterMemory,
    private readonly maxLoras: number,
    private readonly onReady: () => void,
    private readonly onFailure: (item: T, error: unknown) => void,
  ) {}

  /** How many wait. */
  get waiting(): number {
    return this.line.size
  }

  /** How many run. */
  get running(): number {
    return this.admitted.size
  }

  /** Whether one waits for nothing but its adapters, which are being loaded. */
  isLoading(item: T): boolean {
    return this.reserved.has(item) && !this.memory.hasAll(item.adapters)
  }

  add(item: T): void {
    this.line.add(item)
  }

  /** The next one that may begin. */
  take(): T | undefined {
    const stuck = [...this.passed].find(([, times]) => times >= PATIENCE)?.[0]
    // What the others that wait have reserved may be what it lacks.
    if (stuck !== undefined) for (const other of [...this.reserved]) if (other !== stuck) this.giveUp(other)
    const before: T[] = []
    const taken = this.line.take((item) => {
      if ((stuck === undefined || stuck === item) && this.mayBegin(item)) return true
      before.push(item)
      return false
    })
    if (taken === undefined) return undefined
    for (const item of before) this.passed.set(item, (this.passed.get(item) ?? 0) + 1)
    this.passed.delete(taken)
    this.reserved.delete(taken)
    this.admitted.add(taken)
    return taken
  }

  /** One that waits leaves. @returns whether it waited */
  withdraw(item: T): boolean {
    if (!this.line.remove(item)) return false
    this.passed.delete(item)
    this.giveUp(item)
    return true
  }

  /** One that ran has ended. */
  end(item: T): void {
    if (this.admitted.delete(item)) this.memory.free(item.adapters)
  }

  private mayBegin(item: T): boolean {
    const { adapters } = item
    if (!this.reserved.has(item)) {
      if (!this.memory.reserve(adapters)) return false
      this.reserved.add(item)
      if (!this.memory.hasAll(adapters)) this.bring(item)
    }
    if (!this.memory.hasAll(adapters)) return false
    const inBatch = [...this.admitted].flatMap((other) => other.adapters)
    return adapters.length === 0 || new Set([...inBatch, ...adapters]).size <= this.maxLoras
  }

  private giveUp(item: T): void {
    if (this.reserved.delete(item)) this.memory.free(item.adapters)
  }

  private bring(item: T): void {
    this.memory.bring(item.adapters).then(this.onReady, (error: unknown) => {
      if (this.withdraw(item)) this.onFailure(item, error)
    })
  }
}
