/** @file Files behind directory handles: a page's private file system (OPFS), or a folder that the user picked. */
import { FileError } from '../errors.js'
import { chunksOf, missing, normalPath, readBlob, toBlob } from './blobs.js'
import { inUse, type Files } from './files.js'
import { decodeUtf8, decodeUtf8Chunks } from './utf8.js'

/** The asynchronous iterator of a directory, which TypeScript's DOM library leaves out. */
type Directory = FileSystemDirectoryHandle & { keys(): AsyncIterable<string> }

const nameOf = (error: unknown): string => (error instanceof DOMException ? error.name : '')
const isMissing = (error: unknown): boolean => ['NotFoundError', 'TypeMismatchError'].includes(nameOf(error))

/** The browser's error in our words. */
function explain(error: unknown, doing: string, path: string): FileError {
  const name = nameOf(error)
  const what: Readonly<Record<string, string>> = {
    NotFoundError: `${path} does not exist; check the path`,
    TypeMismatchError: `${doing} ${path}: a file is where a folder is needed, or a folder where a file is`,
    NotAllowedError: `no permission for ${doing} ${path}; ask the user for access to the folder again`,
    QuotaExceededError: `no space left for ${doing} ${path}: the browser's quota for this page is used up; the previous file is untouched`,
  }
  return new FileError(what[name] ?? `${doing} ${path} failed: ${(error as Error).message}`, { cause: error })
}

/**
 * Holds a name among all pages of the origin until it is given back; undefined if another holds it. Without the Web Locks
 * API (outside of secure contexts) there is nothing to ask.
 */
async function takeName(name: string): Promise<(() => void) | undefined> {
  const locks = (globalThis.navigator as Navigator | undefined)?.locks
  if (locks === undefined) return () => undefined
  return new Promise((answer, fail) => {
    locks
      .request(name, { ifAvailable: true }, (lock) =>
        lock === null ? answer(undefined) : new Promise<void>((release) => answer(release)),
      )
      .catch(fail)
  })
}

/**
 * The files below a directory handle.
 * @example handleFiles(await navigator.storage.getDirectory()) // survives a reload of the page
 * @example handleFiles(await showDirectoryPicker({ mode: 'readwrite' }))
 */
export function handleFiles(root: FileSystemDirectoryHandle): Files {
  const locks = new Set<string>()
  const split = (path: string): [string[], string] => {
    const parts = normalPath(path).split('/')
    return [parts.slice(0, -1), parts[parts.length - 1]!]
  }
  const folderOf = async (parts: readonly string[], create = false): Promise<FileSystemDirectoryHandle> => {
    let folder = root
    for (const part of parts) if (part !== '') folder = await folder.getDirectoryHandle(part, { create })
    return folder
  }
  const blob = async (path: string): Promise<File> => {
    const [parts, name] = split(path)
    try {
      return await (await (await folderOf(parts)).getFileHandle(name)).getFile()
    } catch (error) {
      throw explain(error, 'reading', path)
    }
  }
  const isFolder = async (path: string): Promise<boolean> => {
    try {
      await folderOf(normalPath(path).split('/'))
      return true
    } catch (error) {
      if (isMissing(error)) return false
      throw explain(error, 'reading', path)
    }
  }
  const isFile = async (path: string): Promise<boolean> => {
    const [parts, name] = split(path)
    try {
      await (await folderOf(parts)).getFileHandle(name)
      return true
    } catch (error) {
      if (name === '' || isMissing(error)) return false
      throw explain(error, 'reading', path)
    }
  }
  const write = async (path: string, content: Uint8Array | string | AsyncIterable<Uint8Array>): Promise<void> => {
    const whole = await toBlob(content)
    const [parts, name] = split(path)
    try {
      const writable = await (await (await folderOf(parts, true)).getFileHandle(name, { create: true })).createWritable()
      // The browser writes beside the file and puts it in place on close.
      try {
        await writable.write(whole)
      } catch (error) {
        await writable.abort().catch(() => undefined)
        throw error
      }
      await writable.close()
    } catch (error) {
      throw explain(error, 'writing', path)
    }
  }
  const remove = async (path: string): Promise<void> => {
    const [parts, name] = split(path)
    try {
      await (await folderOf(parts)).removeEntry(name, { recursive: true })
    } catch (error) {
      if (!isMissing(error)) throw explain(error, 'removing', path)
    }
  }
  const list = async (folder: string): Promise<string[]> => {
    const names: string[] = []
    try {
      for await (const name of ((await folderOf(normalPath(folder).split('/'))) as Directory).keys()) names.push(name)
    } catch (error) {
      throw explain(error, 'listing', folder)
    }
    return names.sort()
  }
  const move = async (from: string, to: string): Promise<void> => {
    if (await isFolder(from)) {
      await folderOf(normalPath(to).split('/'), true)
      for (const name of await list(from)) await move(`${from}/${name}`, `${to}/${name}`)
    } else if (await isFile(from)) await write(to, chunksOf((await blob(from)).stream()))
    else throw missing(from)
    await remove(from)
  }

  return {
    read: async (path, range) => readBlob(await blob(path), path, range),
    readText: async (path) => decodeUtf8(await readBlob(await blob(path), path), path),
    size: async (path) => (await blob(path)).size,
    exists: async (path) => (await isFile(path)) || isFolder(path),
    isDirectory: isFolder,
    list,
    streamText: async function* (path) {
      yield* decodeUtf8Chunks(chunksOf((await blob(path)).stream()), path)
    },
    write,
    append: async (path, content) => {
      const before = (await isFile(path)) ? [await blob(path)] : []
      await write(path, chunksOf(new Blob([...before, content as Uint8Array<ArrayBuffer> | string]).stream()))
    },
    makeFolder: async (path) => {
      try {
        await folderOf(normalPath(path).split('/'), true)
      } catch (error) {
        throw explain(error, 'making', path)
      }
    },
    remove,
    move,
    realPath: async (path) => normalPath(path),
    lock: async (path) => {
      const key = normalPath(path)
      const folder = key.slice(0, Math.max(0, key.lastIndexOf('/')))
      if (locks.has(key)) throw new FileError(inUse(folder, 'in this page'))
      locks.add(key)
      // The page's private file system has no name and is the same in all tabs; folders that users picked may share theirs.
      const release = root.name === '' ? await takeName(`lowrank:${key}`) : () => undefined
      if (release === undefined) {
        locks.delete(key)
        throw new FileError(inUse(folder, 'in another tab'))
      }
      return async () => {
        locks.delete(key)
        release()
      }
    },
  }
}
