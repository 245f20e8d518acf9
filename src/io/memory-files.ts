/** @file Files in memory: what a page was given (dropped files, downloads) and what it writes. */
import { FileError } from '../errors.js'
import { chunksOf, missing, normalPath, readBlob, toBlob } from './blobs.js'
import { inUse, type Files } from './files.js'
import { decodeUtf8, decodeUtf8Chunks } from './utf8.js'

/** `Files` in memory, with the blobs themselves for a page to offer as downloads. */
export interface MemoryFiles extends Files {
  /** Every file by its path, `File` objects as they were given: they are read where and when they are needed. */
  readonly blobs: ReadonlyMap<string, Blob>
}

/** Blobs never change: each has a number. */
const numbers = new WeakMap<Blob, string>()
let counted = 0

function numberOf(blob: Blob): string {
  const known = numbers.get(blob) ?? `blob ${++counted}`
  numbers.set(blob, known)
  return known
}

/**
 * A file system in memory.
 * @param initial files by path; a `File` of an `<input type="file">` stays on disk until it is read
 * @example memoryFiles({ 'model/config.json': file, 'rows.jsonl': '{"text":"…"}\n' })
 */
export function memoryFiles(initial: Readonly<Record<string, Blob | Uint8Array | string>> = {}): MemoryFiles {
  const blobs = new Map<string, Blob>()
  const folders = new Set<string>([''])
  const locks = new Set<string>()
  const isFolder = (key: string): boolean => folders.has(key)

  const makeFolder = (key: string): void => {
    for (let folder = key; folder !== ''; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/')))) {
      if (blobs.has(folder)) throw new FileError(`${folder} is a file, a folder is needed`)
      folders.add(folder)
    }
  }
  const put = (path: string, blob: Blob): void => {
    const key = normalPath(path)
    if (isFolder(key)) throw new FileError(`${path} is a folder, a file is needed`)
    makeFolder(key.slice(0, Math.max(0, key.lastIndexOf('/'))))
    blobs.set(key, blob)
  }
  const get = (path: string): Blob => {
    const key = normalPath(path)
    const blob = blobs.get(key)
    if (blob === undefined) throw isFolder(key) ? new FileError(`${path} is a folder, a file is needed`) : missing(path)
    return blob
  }
  const remove = (path: string): void => {
    const key = normalPath(path)
    for (const held of [...blobs.keys()]) if (held === key || held.startsWith(`${key}/`)) blobs.delete(held)
    for (const held of [...folders]) if (held !== '' && (held === key || held.startsWith(`${key}/`))) folders.delete(held)
  }
  for (const [path, content] of Object.entries(initial))
    put(path, content instanceof Blob ? content : new Blob([content as Uint8Array<ArrayBuffer> | string]))

  return {
    blobs,
    read: async (path, range) => readBlob(get(path), path, range),
    readText: async (path) => decodeUtf8(await readBlob(get(path), path), path),
    size: async (path) => get(path).size,
    exists: async (path) => blobs.has(normalPath(path)) || isFolder(normalPath(path)),
    isDirectory: async (path) => isFolder(normalPath(path)),
    list: async (folder) => {
      const key = normalPath(folder)
      if (!isFolder(key)) throw missing(folder)
      const prefix = key === '' ? '' : `${key}/`
      const inside = [...blobs.keys(), ...folders].filter((held) => held !== '' && held.startsWith(prefix))
      return [...new Set(inside.map((held) => held.slice(prefix.length).split('/')[0]!))].filter((n) => n !== '').sort()
    },
    streamText: async function* (path) {
      yield* decodeUtf8Chunks(chunksOf(get(path).stream()), path)
    },
    write: async (path, content) => put(path, await toBlob(content)),
    append: async (path, content) =>
      put(path, new Blob([...(blobs.has(normalPath(path)) ? [get(path)] : []), content as Uint8Array<ArrayBuffer> | string])),
    makeFolder: async (path) => makeFolder(normalPath(path)),
    remove: async (path) => remove(path),
    move: async (from, to) => {
      const [source, target] = [normalPath(from), normalPath(to)]
      const moved = [...blobs].filter(([held]) => held === source || held.startsWith(`${source}/`))
      if (moved.length === 0 && !isFolder(source)) throw missing(from)
      const wasFolder = isFolder(source)
      remove(from)
      remove(to)
      if (wasFolder) makeFolder(target)
      for (const [held, blob] of moved) put(target + held.slice(source.length), blob)
    },
    realPath: async (path) => normalPath(path),
    version: async (path) => numberOf(get(path)),
    // Nobody but this page has these files: no file is needed to tell others.
    lock: async (path) => {
      const key = normalPath(path)
      if (locks.has(key)) throw new FileError(inUse(key.slice(0, Math.max(0, key.lastIndexOf('/'))), 'in this page'))
      locks.add(key)
      return async () => void locks.delete(key)
    },
  }
}
