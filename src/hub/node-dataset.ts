/**
 * @file Data sets of the hub as files on disk: their Parquet files, downloaded into the hub's cache, continued where an earlier
 * attempt stopped, and fetched again only where the hub has others.
 */
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseDatasetId, type DatasetId } from '../data/dataset-id.js'
import { HubError, messageOf } from '../errors.js'
import { chooseFiles, listingUrl, readListing, urlAt, type DatasetPart } from './dataset-files.js'
import { authorized } from './authorized.js'
import { askedDataset, explainRefusal, said } from './hub-error.js'
import type { HubSettings } from './hub-id.js'
import { writingCache } from './node-cache.js'
import { downloadBlob, reasonOf, type RemoteFile } from './node-download.js'
import { bounded, fetchWithin, unstalled } from './node-limits.js'
import type { ResolveOptions } from './node-resolve.js'
import { nodeHubSettings, type NodeHubSettings } from './node-settings.js'
import { Unreachable } from './unreachable.js'

/** Answers that lead elsewhere before a file counts as lost. */
const MOST_REDIRECTS = 5

/** What of a listing and its files lies in the cache, for the time when the hub cannot be reached. */
interface Kept {
  readonly listing: unknown
}

/**
 * Paths of the Parquet files of `hf:owner/name[:config][@split]`, in order.
 * @throws InvalidOptionError if it is written wrongly, or config or split are not there, naming those that are
 * @throws HubError if the hub refuses, or cannot be reached and the cache has no complete copy
 */
export async function findDataset(text: string, options: ResolveOptions = {}): Promise<readonly string[]> {
  const id = parseDatasetId(text)
  const settings = nodeHubSettings(options)
  const folder = join(settings.cacheDir, ['datasets', ...id.name.split('/')].join('--'), 'parquet')
  if (settings.offline) return fromCache(id, folder, settings, 'HF_HUB_OFFLINE is set, so nothing was downloaded')
  try {
    return await fetchFiles(id, folder, new DatasetHub(id, settings, options), options)
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error
    const why = `${settings.endpoint} could not be reached: ${error.message}`
    const paths = await fromCache(id, folder, settings, why)
    options.onWarning?.(`${why}; using the copy of the data set ${id.name} in ${folder}`)
    return paths
  }
}

/** What the server says of a file before it sends it. */
interface FileHead extends RemoteFile {
  readonly key: string
}

/** Requests about one data set. */
class DatasetHub {
  private readonly base: typeof fetch
  private readonly stall: number | undefined

  constructor(
    readonly id: DatasetId,
    readonly settings: NodeHubSettings,
    options: ResolveOptions,
  ) {
    this.base = authorized(options.fetch ?? fetch, settings)
    this.stall = options.stall
  }

  /**
   * Follows redirects by hand: the hash of a file is told by the hub, its bytes come from elsewhere, where the token must not go.
   * @returns the last answer, and the hash if one was told
   * @throws Unreachable if the network fails, HubError if the hub refuses
   */
  private async ask(url: string, headers: Record<string, string>): Promise<{ response: Response; sha256: string | undefined }> {
    let at = url
    let sha256: string | undefined
    for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
      let response: Response
      try {
        response = await fetchWithin(this.base, at, { headers, redirect: 'manual' }, this.stall)
      } catch (cause) {
        throw new Unreachable(reasonOf(cause), { cause })
      }
      const linked = (response.headers.get('X-Linked-ETag') ?? '').replace(/^W\/|"/g, '')
      if (/^[0-9a-f]{64}$/.test(linked)) sha256 = linked
      const location = response.headers.get('Location')
      if (response.status < 300 || response.status >= 400 || location === null) {
        if (!response.ok) throw await this.refusal(response)
        return { response, sha256 }
      }
      await response.body?.cancel()
      at = new URL(location, at).href
      if (!/^https?:/.test(at)) break
    }
    throw new HubError(`${url} leads nowhere, after more than ${MOST_REDIRECTS} redirects`)
  }

  private async refusal(response: Response): Promise<Error> {
    const { endpoint, token, tokenFrom } = this.settings
    const body: unknown = await bounded(response, endpoint, this.stall)
      .then((read) => read.json())
      .catch(() => undefined)
    const { status } = response
    if (status === 429 || status >= 500) return new Unreachable(`status ${status}${said(body) === '' ? '' : `: ${said(body)}`}`)
    return explainRefusal(
      { status, said: said(body) },
      askedDataset(this.id),
      endpoint,
      token === undefined ? undefined : tokenFrom,
    )
  }

  async listing(): Promise<unknown> {
    const { endpoint } = this.settings
    const { response } = await this.ask(listingUrl(endpoint, this.id), { Accept: 'application/json' })
    let text: string
    try {
      text = await (await bounded(response, endpoint, this.stall)).text()
    } catch (cause) {
      if (cause instanceof HubError) throw cause
      throw new Unreachable(reasonOf(cause), { cause })
    }
    try {
      return JSON.parse(text)
    } catch (cause) {
      throw new HubError(`${endpoint} gave an answer that is none of the hub's: ${messageOf(cause)}`, { cause })
    }
  }

  /** Size and identity of a file, asked with its first byte: some servers know no HEAD. */
  async head(url: string): Promise<FileHead> {
    const { response, sha256 } = await this.ask(url, { 'Accept-Encoding': 'identity', Range: 'bytes=0-0' })
    await response.body?.cancel()
    const { headers, status } = response
    const total = status === 206 ? /\/(\d+)$/.exec(headers.get('Content-Range') ?? '')?.[1] : headers.get('Content-Length')
    const size = Number(total ?? Number.NaN)
    if (!Number.isSafeInteger(size)) throw new HubError(`${this.settings.endpoint} names no size of ${url}`)
    const etag = sha256 ?? (headers.get('ETag') ?? headers.get('Last-Modified') ?? '').replace(/^W\/|"/g, '')
    const key = `${size}-${etag.replace(/[^A-Za-z0-9]+/g, '_').slice(0, 80)}`
    return { path: new URL(url).pathname, size, etag, large: true, ...(sha256 === undefined && { unchecked: true }), key }
  }

  async open(url: string, offset: number): Promise<{ body: AsyncIterable<Uint8Array>; offset: number }> {
    const headers = { 'Accept-Encoding': 'identity', ...(offset > 0 && { Range: `bytes=${offset}-` }) }
    const { response } = await this.ask(url, headers)
    if (response.body === null) throw new Unreachable('the answer has no content')
    const start = /^bytes (\d+)-/.exec(response.headers.get('Content-Range') ?? '')?.[1]
    return { body: unstalled(response.body, this.stall), offset: response.status === 206 ? Number(start ?? offset) : 0 }
  }
}

const partFolder = (folder: string, { config, split }: Pick<DatasetPart, 'config' | 'split'>): string =>
  join(folder, encodeURIComponent(config), encodeURIComponent(split))

async function fetchFiles(id: DatasetId, folder: string, hub: DatasetHub, options: ResolveOptions): Promise<readonly string[]> {
  const { endpoint } = hub.settings
  const listing = readListing(await hub.listing(), endpoint, id)
  const part = chooseFiles(listing, id)
  const paths: string[] = []
  for (const [index, url] of part.urls.entries()) {
    const source = urlAt(endpoint, url)
    const file = await hub.head(source)
    // The extension says how it is read; the key changes when the file does.
    const path = join(partFolder(folder, part), `${index}-${file.key}.parquet`)
    paths.push(path)
    if (await isWhole(path, file.size)) continue
    const name = `${part.config}/${part.split}/${index}.parquet`
    await writingCache(folder, () =>
      downloadBlob(file, path, {
        open: (offset) => hub.open(source, offset),
        onProgress: (received, size) => options.onProgress?.({ repository: id.name, file: name, received, size }),
        wait: options.wait ?? (async (attempt) => setTimeout(250 * 2 ** attempt)),
      }),
    )
  }
  // Last, so that a copy counts as one only when all of it is here.
  await writingCache(folder, async () => {
    await writeJson(join(folder, 'listing.json'), { listing } satisfies Kept)
    await writeJson(
      join(partFolder(folder, part), 'files.json'),
      paths.map((path) => basename(path)),
    )
  })
  return paths
}

async function fromCache(id: DatasetId, folder: string, settings: HubSettings, why: string): Promise<readonly string[]> {
  const advice = `give files of rows, or fetch hf:${id.name} once while ${settings.endpoint} can be reached`
  const lacks = (what: string): HubError =>
    new HubError(`the data set "${id.name}" is not here; ${why}; the cache ${folder} ${what}: ${advice}`)
  const kept = (await readJson(join(folder, 'listing.json'))) as Kept | undefined
  if (kept === undefined) throw lacks('has no copy')
  const part = chooseFiles(readListing(kept.listing, settings.endpoint, id), id)
  const names = await readJson(join(partFolder(folder, part), 'files.json'))
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string'))
    throw lacks(`has no copy of config "${part.config}", split "${part.split}"`)
  // By name alone: a cache may be moved, and named from another folder.
  const paths = names.map((name) => join(partFolder(folder, part), basename(name)))
  for (const path of paths) if (!(await isWhole(path))) throw lacks(`lacks ${path}`)
  return paths
}

async function isWhole(path: string, size?: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found !== undefined && (size === undefined || found.size === size)
}

async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  try {
    return text === undefined ? undefined : (JSON.parse(text) as unknown)
  } catch {
    return undefined
  }
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.${process.pid}.tmp`
  await writeFile(temporary, `${JSON.stringify(value)}\n`)
  await rename(temporary, path)
}
