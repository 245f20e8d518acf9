/** @file From what the user typed, a path or a hub id, to a folder on disk. */
import { listFiles, modelInfo, HubApiError } from '@huggingface/hub'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { HubError, FileError, LowrankError } from '../errors.js'
import { authorized } from './authorized.js'
import { askedRepository, explainRefusal, said } from './hub-error.js'
import { checkRevision, parseHubId, type EnvironmentVariables, type HubId, type HubSettings } from './hub-id.js'
import { RepositoryCache } from './node-cache.js'
import { downloadBlob, reasonOf, type RemoteFile } from './node-download.js'
import { bounded, fetchWithin, MAX_ANSWERS, MAX_FILES, unstalled } from './node-limits.js'
import { nodeHubSettings, type NodeHubSettings } from './node-settings.js'
import type { OptionKeys } from '../util/option-keys.js'
import { isFolderToList, selectFiles, shardsOf, type RepositoryKind } from './repository-files.js'
import { callback } from '../util/option-kinds.js'
import { Unreachable } from './unreachable.js'

/** How hub ids are fetched. What is not given comes from Python's variables of the environment: `HF_TOKEN` (else the token of `hf auth login`), `HF_HOME`, `HF_ENDPOINT`, … */
export interface HubOptions {
  /** Branch, tag or commit; goes before `@revision` in the id. */
  readonly revision?: string
  /** Access token of the hub; it is sent to the endpoint alone. */
  readonly token?: string
  /** Folder of the cache, which Python's huggingface_hub shares. */
  readonly cacheDir?: string
  /** Address of the hub. */
  readonly endpoint?: string
  /** Use only the cache. */
  readonly offline?: boolean
  /** Told of every piece that arrives. */
  readonly onProgress?: (progress: DownloadProgress) => void
  /** Told when the hub cannot be reached and the cached copy is used. */
  readonly onWarning?: (message: string) => void
}

export const hubOptionKeys = {
  ...{ revision: true, token: true, cacheDir: true, endpoint: true, offline: true, onProgress: callback, onWarning: callback },
} satisfies OptionKeys<HubOptions>

export interface ResolveOptions extends HubOptions {
  /** A base model (default) or an adapter: decides which files are fetched. */
  readonly kind?: RepositoryKind
  readonly env?: EnvironmentVariables
  readonly fetch?: typeof fetch
  /** Milliseconds without a byte after which a connection counts as broken; a minute by default. */
  readonly stall?: number
  /** Waits before attempt 1, 2, … after a failure; half a second, doubled each time, by default. */
  readonly wait?: (attempt: number) => Promise<void>
}

/** How far the download of one file is. */
export interface DownloadProgress {
  /** Hub id. */
  readonly repository: string
  /** Path of the file in its repository. */
  readonly file: string
  /** Bytes that are here, those of an interrupted download among them. */
  readonly received: number
  /** Bytes of the whole file. */
  readonly size: number
}

export interface Resolved {
  /** Folder or file on this machine. */
  readonly path: string
  /** What the user called it: the hub id without its revision, or the path. */
  readonly id: string
  /** The commit, if it came from the hub. */
  readonly commit?: string
}

/**
 * Finds a model or adapter. An existing file or folder is used as it is; `owner/name[@revision]` is fetched from the
 * Hugging Face Hub into its cache, the one that Python uses, and only what is not there yet. The branch is looked up
 * each time; if the hub cannot be reached, a complete cached copy is used with a warning.
 * @throws FileError if it is neither a path that exists nor a hub id
 * @throws HubError if the hub cannot be reached and the cache has no complete copy, or if the hub refuses
 */
export async function resolveModel(idOrPath: string, options: ResolveOptions = {}): Promise<Resolved> {
  if (existsSync(idOrPath)) return { path: idOrPath, id: idOrPath }
  const parsed = parseHubId(idOrPath)
  if (parsed === undefined)
    throw new FileError(
      `"${idOrPath}" does not exist; expected a folder, a file or a hub id such as owner/name or owner/name@revision`,
    )
  if (options.revision !== undefined) checkRevision(options.revision, idOrPath)
  const id = options.revision === undefined ? parsed : { ...parsed, revision: options.revision }
  const settings = nodeHubSettings(options)
  const kind = options.kind ?? 'model'
  const cache = new RepositoryCache(settings.cacheDir, id.name)
  if (settings.offline) return fromCache(id, kind, cache, settings, 'HF_HUB_OFFLINE is set, so nothing was downloaded')
  const hub = new Hub(id, settings, options)
  try {
    return await fetchAll(id, kind, cache, hub, options)
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error
    const why = `${settings.endpoint} could not be reached: ${error.message}`
    const resolved = await fromCache(id, kind, cache, settings, why)
    options.onWarning?.(`${why}; using the copy of ${id.name} in ${cache.folder} (commit ${resolved.commit})`)
    return resolved
  }
}

/** Requests to one repository. */
class Hub {
  private readonly fetch: typeof fetch
  private readonly stall: number | undefined
  /** How many descriptions were asked for. */
  private answers = 0

  constructor(
    readonly id: HubId,
    readonly settings: NodeHubSettings,
    options: ResolveOptions,
  ) {
    const base = authorized(options.fetch ?? fetch, settings)
    const stall = (this.stall = options.stall)
    this.fetch = async (input, init) => {
      try {
        return await fetchWithin(base, input, init, stall)
      } catch (cause) {
        throw new Unreachable(reasonOf(cause), { cause })
      }
    }
  }

  refused(status: number, said: string): Error {
    if (status === 429 || status >= 500) return new Unreachable(`status ${status}${said === '' ? '' : `: ${said}`}`)
    const { endpoint, token, tokenFrom } = this.settings
    return explainRefusal({ status, said }, askedRepository(this.id), endpoint, token === undefined ? undefined : tokenFrom)
  }

  private async asking<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request()
    } catch (error) {
      if (error instanceof HubApiError) throw this.refused(error.statusCode, said(error.data))
      if (error instanceof LowrankError || error instanceof Unreachable) throw error
      throw new HubError(`${this.settings.endpoint} gave an answer that is none of the hub's: ${reasonOf(error)}`, {
        cause: error,
      })
    }
  }

  /** Requests whose answers are descriptions, not files. */
  private get request(): { hubUrl: string; fetch: typeof fetch } {
    const { endpoint } = this.settings
    const asked: typeof fetch = async (input, init) => {
      if (++this.answers > MAX_ANSWERS)
        throw new HubError(`${endpoint} lists "${this.id.name}" in more than ${MAX_ANSWERS} pages`)
      const response = await this.fetch(input, init)
      try {
        return await bounded(response, endpoint, this.stall)
      } catch (cause) {
        if (cause instanceof LowrankError) throw cause
        throw new Unreachable(reasonOf(cause), { cause })
      }
    }
    return { hubUrl: endpoint, fetch: asked }
  }

  async commit(): Promise<string> {
    const { name, revision } = this.id
    const { sha } = await this.asking(() => modelInfo({ ...this.request, name, revision, additionalFields: ['sha'] }))
    if (typeof sha !== 'string' || !/^[0-9a-f]{40}$/.test(sha))
      throw new HubError(`${this.settings.endpoint} named no commit for "${name}" at "${revision}"`)
    return sha
  }

  async list(commit: string): Promise<Map<string, RemoteFile>> {
    return this.asking(async () => {
      const files = new Map<string, RemoteFile>()
      await this.listFolder(commit, undefined, files)
      return files
    })
  }

  /** A listing names what lies in one folder; those that hold files of ours are looked into. */
  private async listFolder(commit: string, folder: string | undefined, files: Map<string, RemoteFile>): Promise<void> {
    const where = { repo: this.id.name, revision: commit, ...(folder !== undefined && { path: folder }) }
    for await (const { type, path, size, oid, lfs } of listFiles({ ...this.request, ...where })) {
      if (files.size >= MAX_FILES) throw new HubError(`repository "${this.id.name}" has more than ${MAX_FILES} files`)
      const etag = lfs?.oid ?? oid
      const bytes: unknown = lfs?.size ?? size
      if (type === 'file' && !(Number.isSafeInteger(bytes) && (bytes as number) >= 0))
        throw new HubError(`${this.settings.endpoint} names no size of "${path}" in "${this.id.name}"`)
      // The hash becomes a file name in the cache.
      if (type === 'file' && etag !== undefined && /^[0-9a-f]{40,64}$/.test(etag))
        files.set(path, { path, size: bytes as number, etag, large: lfs !== undefined })
      if (type === 'directory' && folder === undefined && isFolderToList(path)) await this.listFolder(commit, path, files)
    }
  }

  async open(commit: string, file: string, offset: number): Promise<{ body: AsyncIterable<Uint8Array>; offset: number }> {
    const url = `${this.settings.endpoint}/${this.id.name}/resolve/${commit}/${file.split('/').map(encodeURIComponent).join('/')}`
    // Content-coding would make the offsets those of the packed bytes.
    const headers = { 'Accept-Encoding': 'identity', ...(offset > 0 && { Range: `bytes=${offset}-` }) }
    const response = await this.fetch(url, { headers })
    if (!response.ok || response.body === null) {
      const body: unknown = await bounded(response, this.settings.endpoint, this.stall)
        .then((read) => read.json())
        .catch(() => undefined)
      throw this.refused(response.status, said(body))
    }
    const start = /^bytes (\d+)-/.exec(response.headers.get('Content-Range') ?? '')?.[1]
    return {
      body: unstalled(response.body, this.stall),
      offset: response.status === 206 ? Number(start ?? offset) : 0,
    }
  }
}

async function fetchAll(
  id: HubId,
  kind: RepositoryKind,
  cache: RepositoryCache,
  hub: Hub,
  options: ResolveOptions,
): Promise<Resolved> {
  const commit = await hub.commit()
  const listed = await hub.list(commit)
  const get = async (path: string): Promise<void> => {
    const file = listed.get(path)
    if (file === undefined) throw new HubError(`repository "${id.name}" lacks the shard ${path} that its index names`)
    if (await cache.has(commit, path, file.size)) return
    if (!(await cache.hasBlob(file.etag, file.size)))
      await cache.writing(() =>
        downloadBlob(file, cache.blob(file.etag), {
          open: (offset) => hub.open(commit, path, offset),
          onProgress: (received, size) => options.onProgress?.({ repository: id.name, file: path, received, size }),
          wait: options.wait ?? (async (attempt) => setTimeout(250 * 2 ** attempt)),
        }),
      )
    await cache.link(commit, path, file.etag)
  }
  const { files, index } = selectFiles(kind, new Set(listed.keys()), id.name)
  for (const file of files) await get(file)
  if (index !== undefined) {
    const path = join(cache.snapshot(commit), index)
    for (const shard of shardsOf(await readFile(path, 'utf8'), path)) await get(shard)
  }
  // Last, so that a branch points to a commit only when all of it is here.
  await cache.setCommit(id.revision, commit)
  return { path: cache.snapshot(commit), id: id.name, commit }
}

async function fromCache(
  id: HubId,
  kind: RepositoryKind,
  cache: RepositoryCache,
  settings: HubSettings,
  why: string,
): Promise<Resolved> {
  const advice = `pass a local folder, or fetch "${id.name}" once while ${settings.endpoint} can be reached`
  const commit = await cache.commitOf(id.revision)
  if (commit === undefined)
    throw new HubError(
      `"${id.name}" is no file or folder here; ${why}; the cache ${cache.folder} has no revision "${id.revision}": ${advice}`,
    )
  const missing = await cache.missing(kind, commit)
  if (missing.length > 0)
    throw new HubError(
      `${why}; the copy of "${id.name}" in ${cache.folder} is incomplete, it lacks ${missing.join(', ')}: ${advice}`,
    )
  return { path: cache.snapshot(commit), id: id.name, commit }
}
