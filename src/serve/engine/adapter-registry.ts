/** @file The adapters that requests can name: loaded, replaced and unloaded while others are in use. */
import { AdapterSet, InvalidAdapterError, InvalidOptionError, type Model } from '../../public.js'
import { AdapterMemory } from './adapter-memory.js'
import type { LoadAdapter, ResolvedEngineOptions } from './engine-options.js'
import { AdapterExistsError, UnknownAdapterError } from './errors.js'
import { LoadedAdapter, type RegisteredAdapter } from './loaded-adapter.js'
import type { UsedAdapter } from './text-request.js'

/** How one is loaded. */
export interface LoadOptions {
  /** Takes the place of the adapter of the name, if there is one: what is written with that ends with that. */
  readonly inPlace?: boolean
  /** How much it counts in requests that name no adapter; 0 by default. */
  readonly defaultScale?: number
  /** Names of the base that its configuration may have; any by default. */
  readonly bases?: readonly string[]
}

type ResolvedRegistryOptions = Pick<ResolvedEngineOptions, 'loadAdapter' | 'findAdapter' | 'maxLoras' | 'maxCpuLoras'>

/** Adapters in memory, unless more are in a batch. */
const MAX_CPU_LORAS = 32

/** Loads a folder by way of a set of its own, which every environment can. */
const loadFolder: LoadAdapter = (model, path) => new AdapterSet(model).load('adapter', path)

/** Adapters by name. */
export class AdapterRegistry {
  /** @internal Those that are in memory. */
  readonly memory: AdapterMemory
  /** Most of them that one pass serves. */
  readonly maxLoras: number
  private readonly byName = new Map<string, LoadedAdapter>()
  /** Names that are being loaded, and the searches for them. */
  private readonly loading = new Map<string, Promise<RegisteredAdapter | undefined>>()
  private readonly loadAdapter: LoadAdapter
  private readonly findAdapter: ResolvedEngineOptions['findAdapter']
  private ids = 0
  private versions = 0

  /**
   * @internal An engine makes it.
   * @param model of all its adapters
   * @throws InvalidOptionError for less room in memory than in a batch
   */
  constructor(
    private readonly model: Model,
    { loadAdapter = loadFolder, findAdapter, maxLoras, maxCpuLoras }: ResolvedRegistryOptions,
  ) {
    const most = maxCpuLoras ?? Math.max(MAX_CPU_LORAS, maxLoras)
    if (most < maxLoras)
      throw new InvalidOptionError(
        `maxCpuLoras (${most}) must be at least maxLoras (${maxLoras}): what is in a batch is in memory`,
      )
    this.maxLoras = maxLoras
    this.loadAdapter = loadAdapter
    this.findAdapter = findAdapter
    this.memory = new AdapterMemory(model, loadAdapter, most, maxLoras)
  }

  /** How many are in memory. */
  get inMemory(): number {
    return this.memory.size
  }

  /** All adapters, in the order in which they were loaded. */
  list(): readonly RegisteredAdapter[] {
    return [...this.byName.values()].map(({ registered }) => registered)
  }

  /**
   * Loads an adapter from a folder or a hub id, and checks it.
   * @throws AdapterExistsError if the name is taken, InvalidOptionError while another is loaded by it; InvalidAdapterError, FileError or
   * HubError for one that is not there, is damaged, or does not fit the model. All stays as it was then.
   */
  async load(name: string, path: string, options: LoadOptions = {}): Promise<RegisteredAdapter> {
    if (this.loading.has(name))
      throw new InvalidOptionError(`an adapter "${name}" is being loaded already; wait for that before the next`)
    if (this.byName.has(name) && options.inPlace !== true) throw new AdapterExistsError(name)
    if (options.defaultScale !== undefined) checkScale(name, options.defaultScale)
    return this.alone(name, () => this.place(name, path, options))
  }

  /**
   * Takes an adapter away: new requests do not find it from the call on.
   * @returns when those that use it are done
   * @throws UnknownAdapterError if there is none of the name
   */
  async unload(name: string): Promise<void> {
    const adapter = this.find(name)
    this.byName.delete(name)
    await adapter.retire()
  }

  /** The adapter of a name, looked for where adapters may lie if it was not loaded; undefined if there is none. */
  async resolve(name: string): Promise<RegisteredAdapter | undefined> {
    const known = this.byName.get(name)?.registered ?? this.loading.get(name)
    const { findAdapter } = this
    if (known !== undefined || findAdapter === undefined) return known
    return this.alone(name, async () => {
      const found = await findAdapter(name)
      return found && this.place(name, found.path, found)
    })
  }

  /**
   * Sets how much an adapter counts in requests that name none.
   * @throws UnknownAdapterError if there is none of the name; InvalidOptionError for a scale that is no number
   */
  setDefaultScale(name: string, scale: number): void {
    const adapter = this.find(name)
    checkScale(name, scale)
    adapter.registered = { ...adapter.registered, defaultScale: scale }
  }

  /** The adapters of requests that name none. */
  defaults(): readonly UsedAdapter[] {
    return this.list().flatMap(({ name, defaultScale: scale }) => (scale === 0 ? [] : [{ name, scale }]))
  }

  /**
   * Runs something that writes no text with some adapters: they are active in the set that it is given, and stay until it is done.
   * @param run begins its call of the library before it first waits; without adapters it is given the model
   * @throws UnknownAdapterError; what loading and `run` throw
   */
  async use<T>(used: readonly UsedAdapter[], run: (subject: Model | AdapterSet) => Promise<T>): Promise<T> {
    const rows = used.filter(({ scale }) => scale !== 0)
    const held = this.hold(used.map(({ name }) => name))
    const adapters = held.filter((_, i) => used[i]!.scale !== 0)
    // However many others are reserved: what runs for a moment waits for nobody.
    for (const adapter of adapters) adapter.reserve()
    try {
      await this.memory.bring(adapters)
      if (rows.length === 0) return await run(this.model)
      const { set } = this.memory
      set.setAdapter(rows.map(({ scale }, i) => ({ name: adapters[i]!.key, scale })))
      return await run(set)
    } finally {
      this.memory.free(adapters)
      for (const adapter of held) adapter.release()
    }
  }

  /** @internal Keeps adapters for a request until each is released. @throws UnknownAdapterError; InvalidOptionError for one named twice */
  hold(names: readonly string[]): LoadedAdapter[] {
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    if (twice !== undefined) throw new InvalidOptionError(`the adapter "${twice}" is named twice; add up its scales`)
    const adapters = names.map((name) => this.find(name))
    for (const adapter of adapters) adapter.use()
    return adapters
  }

  private find(name: string): LoadedAdapter {
    const adapter = this.byName.get(name)
    if (adapter === undefined) throw new UnknownAdapterError(name, [...this.byName.keys()])
    return adapter
  }

  /** Loads by one name one at a time. */
  private async alone<T extends RegisteredAdapter | undefined>(name: string, load: () => Promise<T>): Promise<T> {
    const promise = load()
    this.loading.set(name, promise)
    try {
      return await promise
    } finally {
      this.loading.delete(name)
    }
  }

  private async place(name: string, path: string, { defaultScale, bases }: LoadOptions): Promise<RegisteredAdapter> {
    const adapter = await this.loadAdapter(this.model, path)
    const base = adapter.config.baseModelNameOrPath ?? undefined
    if (bases !== undefined && (base === undefined || !bases.includes(base)))
      throw new InvalidAdapterError(
        `the adapter "${path}" is for ${base === undefined ? 'a base that it does not name' : `the base "${base}"`}, but the model here is ${bases.map((each) => `"${each}"`).join(' or ')}`,
      )
    const rank = Math.max(0, ...adapter.targets.map(({ r }) => r))
    const described = { name, id: -1, path, rank, defaultScale: 0, base }
    // What replaces another stands beside it in the set while that is in use.
    const key = `${name}#${++this.versions}`
    const loaded: LoadedAdapter = new LoadedAdapter(described, key, () => this.memory.drop(loaded))
    await this.memory.take(loaded, adapter)
    const old = this.byName.get(name)
    const before = old?.registered
    loaded.registered = {
      ...described,
      id: before?.id ?? this.ids++,
      defaultScale: defaultScale ?? before?.defaultScale ?? 0,
    }
    this.byName.set(name, loaded)
    void old?.retire()
    return loaded.registered
  }
}

function checkScale(name: string, scale: number): void {
  if (!Number.isFinite(scale)) throw new InvalidOptionError(`the scale of "${name}" must be a finite number, got ${scale}`)
}
