/** @file Compiled graphs that several runs share: each is released when it is out of use and the last run on it has ended. */
import type { Session } from './runtime.js'

/** A compiled graph, while it is compiled and after. */
export class SharedSession<Compiled extends { readonly session: Session }> {
  #running = 0
  #onIdle: (() => void) | undefined

  constructor(readonly compiled: Promise<Compiled>) {}

  /** Whether no run is on it. */
  get isIdle(): boolean {
    return this.#running === 0
  }

  /** Runs something on the session; it stays until that has ended, whatever happens meanwhile. */
  async use<T>(run: (compiled: Compiled) => Promise<T>): Promise<T> {
    this.#running++
    try {
      return await run(await this.compiled)
    } finally {
      this.#running--
      if (this.isIdle) this.#onIdle?.()
    }
  }

  /** Gives the session back once nothing runs on it. Nothing may be begun on it afterwards. */
  async release(): Promise<void> {
    if (!this.isIdle) await new Promise<void>((resolve) => (this.#onIdle = resolve))
    // What could not be compiled has nothing to release; who asked for it is told.
    const compiled = await this.compiled.catch(() => undefined)
    await compiled?.session.release()
  }
}

/** Shared sessions by key, the one that was used last at the end. */
export class SessionStore<Entry extends SharedSession<{ readonly session: Session }>> {
  readonly #entries = new Map<string, Entry>()
  readonly #leaving = new Set<Promise<void>>()

  /** Sessions that are held, in use or not. */
  get size(): number {
    return this.#entries.size + this.#leaving.size
  }

  /** Keys and entries, the one that was used longest ago first. */
  get entries(): [string, Entry][] {
    return [...this.#entries]
  }

  /** The entry of a key, without using it. */
  peek(key: string): Entry | undefined {
    return this.#entries.get(key)
  }

  /** Puts an entry at the end: a new one, or one that is used again. One that cannot be compiled leaves by itself. */
  put(key: string, entry: Entry): Entry {
    const isNew = this.#entries.get(key) !== entry
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    if (isNew)
      entry.compiled.catch(() => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key)
      })
    return entry
  }

  /** Takes an entry out of use. @returns when its session is released */
  retire(key: string): Promise<void> {
    const entry = this.#entries.get(key)
    if (entry === undefined) return Promise.resolve()
    this.#entries.delete(key)
    const released: Promise<void> = entry.release().finally(() => this.#leaving.delete(released))
    this.#leaving.add(released)
    return released
  }

  /** Releases every session; what is running ends first. */
  async dispose(): Promise<void> {
    for (const key of [...this.#entries.keys()]) void this.retire(key)
    await Promise.all(this.#leaving)
  }
}
