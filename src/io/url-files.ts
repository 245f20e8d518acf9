/** @file Files at URLs, read by `fetch`; everything else in the files of another file system. */
import { FileError } from '../errors.js'
import { chunksOf, missing, tooShort } from './blobs.js'
import type { Files } from './files.js'
import { decodeUtf8, decodeUtf8Chunks } from './utf8.js'

const isUrl = (path: string): boolean => /^(https?|blob):/i.test(path)

/** Not found, gone, and what object stores answer for a file that is not there to who may not list it. */
const ABSENT: ReadonlySet<number> = new Set([403, 404, 410])

/**
 * Whether a server answered with a page where a file was asked for: servers of single-page apps (Vite, most hosts of static
 * sites) send their index.html, with status 200, for every path that they do not have.
 */
function isPageInstead(path: string, { headers }: Response): boolean {
  const type = headers.get('content-type') ?? ''
  return /^(text\/html|application\/xhtml\+xml)\b/i.test(type.trim()) && !/\.x?html?$/i.test(path.replace(/[?#].*$/, ''))
}

/** What makes a URL a folder: a server has none, but these lie in every folder that lowrank reads. */
const FOLDER_FILES = ['config.json', 'adapter_config.json']

/**
 * Reads `https:` and `blob:` paths by `fetch` and leaves all others to `store`. Parts of a file are asked for as ranges.
 * @throws FileError on reading what the server does not give, and on writing to a URL
 */
export function urlFiles(store: Files, fetcher: typeof fetch = (...args) => fetch(...args)): Files {
  const fetched = async (path: string, init?: RequestInit): Promise<Response> => {
    try {
      return await fetcher(path, init)
    } catch (cause) {
      throw new FileError(
        `${path} could not be fetched: ${(cause as Error).message}; is the address right, and does its server allow this page (CORS)?`,
        { cause },
      )
    }
  }
  const checked = (path: string, response: Response): Response => {
    if (ABSENT.has(response.status) || isPageInstead(path, response)) throw missing(path)
    if (!response.ok) throw new FileError(`${path} could not be fetched: the server answered ${response.status}`)
    return response
  }
  const ask = async (path: string, init?: RequestInit): Promise<Response> => checked(path, await fetched(path, init))
  const bytes = async (path: string): Promise<Uint8Array> => new Uint8Array(await (await ask(path)).arrayBuffer())
  /** What a server says of a file without sending it. Some know no HEAD: they are asked for the first byte. */
  const head = async (path: string): Promise<Response> => {
    const response = await fetched(path, { method: 'HEAD' })
    if (response.status !== 405 && response.status !== 501) return checked(path, response)
    const first = await ask(path, { headers: { Range: 'bytes=0-0' } })
    await first.body?.cancel()
    return first
  }
  const exists = async (path: string): Promise<boolean> => {
    try {
      await head(path)
      return true
    } catch (error) {
      if (error instanceof FileError && error.message === missing(path).message) return false
      throw error
    }
  }
  const readRange = async (path: string, range: { offset: number; length: number }): Promise<Uint8Array> => {
    const { offset, length } = range
    if (length === 0) return new Uint8Array()
    const response = await ask(path, { headers: { Range: `bytes=${offset}-${offset + length - 1}` } })
    const data = new Uint8Array(await response.arrayBuffer())
    // A server without ranges sends all of it.
    const part = response.status === 206 ? data : data.slice(offset, offset + length)
    if (part.length !== length) throw tooShort(path, range, response.status === 206 ? offset + part.length : data.length)
    return part
  }
  const local = (path: string): string => {
    if (isUrl(path)) throw new FileError(`${path} is a URL, which can only be read; write to a path instead`)
    return path
  }

  return {
    read: (path, range) => (!isUrl(path) ? store.read(path, range) : range === undefined ? bytes(path) : readRange(path, range)),
    readText: async (path) => (isUrl(path) ? decodeUtf8(await bytes(path), path) : store.readText(path)),
    size: async (path) => {
      if (!isUrl(path)) return store.size(path)
      const { status, headers } = await head(path)
      const length =
        status === 206 ? (/\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1] ?? null) : headers.get('content-length')
      // A compressed answer has another length than the file.
      if (length !== null && headers.get('content-encoding') === null) return Number(length)
      return (await bytes(path)).length
    },
    exists: async (path) => (isUrl(path) ? exists(path) : store.exists(path)),
    isDirectory: async (path) => {
      if (!isUrl(path)) return store.isDirectory(path)
      for (const name of FOLDER_FILES) if (await exists(`${path}/${name}`)) return true
      return false
    },
    list: async (folder) => {
      if (!isUrl(folder)) return store.list(folder)
      throw new FileError(`${folder} is a URL, whose files cannot be listed; name the file`)
    },
    streamText: (path) =>
      isUrl(path)
        ? decodeUtf8Chunks(
            (async function* () {
              const { body } = await ask(path)
              if (body !== null) yield* chunksOf(body)
            })(),
            path,
          )
        : store.streamText(path),
    write: async (path, content) => store.write(local(path), content),
    append: async (path, content) => store.append(local(path), content),
    makeFolder: async (path) => store.makeFolder(local(path)),
    remove: async (path) => store.remove(local(path)),
    move: async (from, to) => store.move(local(from), local(to)),
    realPath: async (path) => (isUrl(path) ? path : store.realPath(path)),
    version: async (path) => (isUrl(path) ? undefined : store.version?.(path)),
    lock: async (path) => (await store.lock?.(local(path))) ?? (async () => undefined),
  }
}
