/** @file Which adapters are in memory: those that run or will next, and of the others those that were used last. */
import { AdapterSet, type Adapter, type Model } from '../../public.js'
import type { LoadAdapter } from './engine-options.js'
import type { LoadedAdapter } from './loaded-adapter.js'

export class AdapterMemory {
  /** What passes are run with: the adapters that are in memory, by their keys. */
  readonly set: AdapterSet
  /** The one that was used longest ago first. */
  private readonly held = new Set<LoadedAdapter>()
  private readonly loading = new Map<LoadedAdapter, Promise<void>>()
  /** Told when something that was reserved is free. */
  onFree: () => void = () => undefined

  /**
   * @param most adapters that are held
   * @param maxMixed those of them that stay ready for a batch, whatever others are in it
   */
  constructor(
    private readonly model: Model,
    private readonly loadAdapter: LoadAdapter,
    private readonly most: number,
    maxMixed: number,
  ) {
    this.set = new AdapterSet(model, { maxMixed })
  }

  /** How many are there. */
  get size(): number {
    return this.held.size
  }

  /** Whether all of them are there. */
  hasAll(adapters: readonly LoadedAdapter[]): boolean {
    return adapters.every((adapter) => this.held.has(adapter))
  }

  /** Reserves room for all of them, or for none if others have reserved too much. */
  reserve(adapters: readonly LoadedAdapter[]): boolean {
    const reserved = [...this.held, ...this.loading.keys()].filter(({ isReserved }) => isReserved)
    if (adapters.length > 0 && new Set([...reserved, ...adapters]).size > this.most) return false
    for (const adapter of adapters) {
      adapter.reserve()
      if (this.held.delete(adapter)) this.held.add(adapter)
    }
    return true
  }

  /** Gives up what was reserved. */
  free(adapters: readonly LoadedAdapter[]): void {
    for (const adapter of adapters) adapter.free()
    this.makeRoom()
    this.onFree()
  }

  /**
   * Loads those that had to make room, all of which are reserved.
   * @throws what loading throws
   */
  async bring(adapters: readonly LoadedAdapter[]): Promise<void> {
    await Promise.all(adapters.map((adapter) => this.held.has(adapter) || this.bringOne(adapter)))
  }

  /** Takes in one that was read just now. @throws InvalidAdapterError if it does not fit beside the others */
  async take(loaded: LoadedAdapter, adapter: Adapter): Promise<void> {
    await this.set.add(loaded.key, adapter)
    this.held.add(loaded)
    this.makeRoom(loaded)
  }

  /** Forgets one. */
  drop(adapter: LoadedAdapter): void {
    if (this.held.delete(adapter)) this.set.remove(adapter.key)
  }

  private async bringOne(adapter: LoadedAdapter): Promise<void> {
    let loading = this.loading.get(adapter)
    if (loading === undefined) {
      loading = this.read(adapter)
      this.loading.set(adapter, loading)
      const done = (): boolean => this.loading.delete(adapter)
      loading.then(done, done)
    }
    await loading
  }

  private async read(adapter: LoadedAdapter): Promise<void> {
    await this.take(adapter, await this.loadAdapter(this.model, adapter.registered.path))
    if (adapter.isGone) this.drop(adapter)
  }

  /** Those that were used longest ago go, down to as many as may stay. Requests that came before a replacement have no other place. */
  private makeRoom(newest?: LoadedAdapter): void {
    for (const adapter of [...this.held]) {
      if (this.held.size <= this.most) return
      if (adapter !== newest && !adapter.isReserved && !adapter.isLeftOver) this.drop(adapter)
    }
  }
}
