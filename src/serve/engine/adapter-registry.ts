/** @file The adapters that requests can name: loaded, replaced and unloaded while others are in use. */
import { AdapterSet, InvalidAdapterError, InvalidOptionError, type Adapter, type Model } from '../../public.js'
import { AdapterExistsError, UnknownAdapterError } from './errors.js'
import { LoadedAdapter, type RegisteredAdapter } from './loaded-adapter.js'
import type { UsedAdapter } from './text-request.js'

/** Where an adapter is that nobody has loaded yet. */
export interface FoundAdapter {
  /** A folder or a hub id. */
  readonly path: string
  /** Names of the base that its configuration may have; any by default. */
  readonly bases?: readonly string[]
}

/** How adapters are found and loaded. */
export interface AdapterRegistryOptions {
  /** Loads a folder or a hub id onto the model; a folder among the files of the model's environment by default. */
  readonly loadAdapter?: (model: Model, path: string) => Promise<Adapter>
  /** Finds an adapter by a name that was not loaded; undefined where there is none. */
  readonly findAdapter?: (name: string) => Promise<FoundAdapter | undefined>
}

/** How one is loaded. */
export interface LoadOptions {
  /** Takes the place of the adapter of the name, if there is one: what is written with that ends with that. */
  readonly inPlace?: boolean
  /** How much it counts in requests that name no adapter; 0 by default. */
  readonly defaultScale?: number
  /** Names of the base that its configuration may have; any by default. */
  readonly bases?: readonly string[]
}

/** Loads a folder by way of a set of its own, which every environment can. */
const loadFolder = (model: Model, path: string): Promise<Adapter> => new AdapterSet(model).load('adapter', path)

/** Adapters by name. */
export class AdapterRegistry {
  /** @internal What passes are run with. */
  readonly set: AdapterSet
  private readonly byName = new Map<string, LoadedAdapter>()
  /** Names that are being loaded, and the searches for them. */
  private readonly loading = new Map<string, Promise<RegisteredAdapter | undefined>>()
  private ids = 0
  private versions = 0

  /** @param model of all its adapters */
  constructor(
    private readonly model: Model,
    private readonly options: AdapterRegistryOptions = {},
  ) {
    this.set = new AdapterSet(model)
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
    if (known !== undefined || this.options.findAdapter === undefined) return known
    return this.alone(name, async () => {
      const found = await this.options.findAdapter!(name)
      return found && this.place(name, found.path, found)
    })
  }

  /**
   * Sets how much an adapter counts in requests that name none.
   * @throws UnknownAdapterError if there is none of the name; InvalidOptionError for a scale that is no number
   */
  setDefaultScale(name: string, scale: number): void {
    const adapter = this.find(name)
    if (!Number.isFinite(scale)) throw new InvalidOptionError(`the scale of "${name}" must be a finite number, got ${scale}`)
    adapter.registered = { ...adapter.registered, defaultScale: scale }
  }

  /** The adapters of requests that name none. */
  defaults(): readonly UsedAdapter[] {
    return this.list().flatMap(({ name, defaultScale: scale }) => (scale === 0 ? [] : [{ name, scale }]))
  }

  /** @internal Keeps adapters for a request until they are released. @throws UnknownAdapterError */
  hold(names: readonly string[]): LoadedAdapter[] {
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

  private async place(name: string, path: string, { defaultScale = 0, bases }: LoadOptions): Promise<RegisteredAdapter> {
    const adapter = await (this.options.loadAdapter ?? loadFolder)(this.model, path)
    const base = adapter.config.baseModelNameOrPath ?? undefined
    if (bases !== undefined && (base === undefined || !bases.includes(base)))
      throw new InvalidAdapterError(
        `the adapter "${path}" is for the base ${base === undefined ? 'that it does not name' : `"${base}"`}, but the model here is ${bases.map((each) => `"${each}"`).join(' or ')}`,
      )
    // What replaces another stands beside it while that is in use.
    const key = `${name}, version ${++this.versions}`
    await this.set.add(key, adapter)
    const old = this.byName.get(name)
    const rank = Math.max(0, ...adapter.targets.map(({ r }) => r))
    const registered = { name, id: old?.registered.id ?? this.ids++, path, rank, defaultScale, base }
    this.byName.set(name, new LoadedAdapter(registered, key, () => this.set.remove(key)))
    void old?.retire()
    return registered
  }
}
