/** @file Where requests may have adapters loaded from: a folder, and hub ids by pattern. Nothing else is ever looked at. */
import type { Files } from '../public.js'
import type { FoundAdapter } from './engine/engine-options.js'

/** A part of a path that stays where it is: no `..`, nothing hidden, nothing that a file system reads otherwise. */
const PART = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/

const HUB_ID = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*(@[\w.-]+)?$/

/** The places, as the server's options name them. */
export class AdapterPlaces {
  private readonly patterns: readonly RegExp[]

  /**
   * @param folder undefined is none
   * @param hub patterns such as `owner/*`
   * @param bases names of the model that adapters of the hub must name as their base
   */
  constructor(
    private readonly files: Files,
    private readonly folder: string | undefined,
    hub: readonly string[],
    private readonly bases: readonly string[],
  ) {
    this.patterns = hub.map(
      (pattern) => new RegExp(`^${pattern.replace(/[\\^$.+?()[\]{}|/-]/g, '\\$&').replaceAll('*', '[^/@]*')}(@[\\w.-]+)?$`),
    )
  }

  /** The adapter of a name that nobody has loaded. */
  async find(name: string): Promise<FoundAdapter | undefined> {
    const path = await this.inFolder(name)
    if (path !== undefined) return { path }
    return this.isAllowed(name) ? { path: name, bases: this.bases } : undefined
  }

  /** What a request may load by `path`: the path in full or within the folder, or a hub id; undefined where it may not. */
  async allowed(path: string): Promise<FoundAdapter | undefined> {
    const { folder } = this
    const within = folder !== undefined && path.startsWith(`${folder.replace(/\/+$/, '')}/`) ? path.slice(folder.replace(/\/+$/, '').length + 1) : path // prettier-ignore
    return this.find(within.replace(/\/+$/, ''))
  }

  private isAllowed(id: string): boolean {
    return HUB_ID.test(id) && !id.includes('..') && this.patterns.some((pattern) => pattern.test(id))
  }

  /** A folder of the folder, where no link leads out of it. */
  private async inFolder(name: string): Promise<string | undefined> {
    if (this.folder === undefined || !name.split('/').every((part) => PART.test(part) && !part.includes('..'))) return undefined
    const path = `${this.folder}/${name}`
    if (!(await this.files.exists(`${path}/adapter_config.json`))) return undefined
    const [root, real] = await Promise.all([this.files.realPath(this.folder), this.files.realPath(path)])
    return real.startsWith(`${root}/`) ? path : undefined
  }
}
