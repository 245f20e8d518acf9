/** @file `Files` on Node's file system: whole files appear atomically, and every failure says what to do. */
import { constants } from 'node:fs'
import { access, mkdir, open, readdir, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { FileError, messageOf } from '../errors.js'
import type { Files } from './files.js'
import { takeLock } from './node-lock.js'
import { sweepTemporaries, temporaryName } from './node-temporaries.js'
import { decodeUtf8, decodeUtf8Chunks } from './utf8.js'

/** Bytes read at once: large enough for full disk speed, far below Node's limit of 2 GiB a call. */
const CHUNK = 4 << 20
const TEXT_CHUNK = 1 << 18
const MAX_READ = 1 << 30

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : ''

const isMissing = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(codeOf(error))

const plural = (bytes: number): string => `${bytes} byte${bytes === 1 ? '' : 's'}`

/** What went wrong and what to do about it, by the operating system's error code. */
function explain(
  error: unknown,
  verb: 'reading' | 'making' | 'writing' | 'removing' | 'renaming' | 'listing',
  path: string,
  bytes?: number,
): FileError {
  if (error instanceof FileError) return error
  const what = bytes === undefined ? `${verb} ${path}` : `${verb} ${path} (${plural(bytes)})`
  const changes = verb !== 'reading' && verb !== 'listing'
  const untouched = verb === 'writing' ? '; the previous file is untouched' : ''
  const reasons: Record<string, string> = {
    ENOENT: changes
      ? `cannot finish ${what}: a folder on the way does not exist; create it and run again`
      : `${path} does not exist; check the path`,
    ENOTDIR: `cannot finish ${what}: a part of the path is a file where a folder is needed; choose another path`,
    EEXIST: `cannot finish ${what}: a file is where a folder is needed; choose another path`,
    ENOTEMPTY: `cannot finish ${what}: the folder in its place is not empty; choose another path`,
    EACCES: `no permission for ${what}${untouched}; change the permissions of the file or its folder, or choose another path`,
    EPERM: `${what} is not permitted${untouched}; change the permissions or the owner of the file or its folder, or choose another path`,
    EROFS: `the file system is read-only: cannot finish ${what}; choose a path on a writable one`,
    EFBIG: `the file is too large for the file system or the limit of this process: cannot finish ${what}${untouched}; choose another disk or raise the limit (ulimit -f)`,
    ENOSPC: `no space left on the device while ${what}${untouched}; free space and run again`,
    EDQUOT: `disk quota exceeded while ${what}${untouched}; free space or raise the quota and run again`,
    EISDIR: `${path} is a folder, a file is needed; choose another path`,
    EMFILE: `too many open files while ${what}; raise the limit (ulimit -n) and run again`,
  }
  const reason = reasons[codeOf(error)] ?? `failed while ${what}: ${messageOf(error)}`
  return new FileError(reason, { cause: error })
}

/** Fills `target` from `position` of the file; returns the bytes read, fewer only at the end of the file. */
async function readInto(handle: FileHandle, target: Uint8Array, position: number): Promise<number> {
  let done = 0
  while (done < target.length) {
    const { bytesRead } = await handle.read(target, done, Math.min(MAX_READ, target.length - done), position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}

async function readFile(path: string, range?: { readonly offset: number; readonly length: number }): Promise<Uint8Array> {
  try {
    // A pipe that nobody writes to would otherwise keep its reader, and with it the process, for good.
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    try {
      const info = await handle.stat()
      if (info.isDirectory()) throw new FileError(`${path} is a folder, a file is needed; choose another path`)
      if (info.isFIFO()) throw new FileError(`${path} is a pipe, a file is needed; choose another path`)
      const offset = range?.offset ?? 0
      const bytes = new Uint8Array(range?.length ?? info.size)
      const read = await readInto(handle, bytes, offset)
      if (read < bytes.length)
        throw new FileError(
          `${path} ends too early: ${plural(bytes.length)} from offset ${offset} are needed, the file has ${plural(info.size)}; ` +
            'the file is truncated, get it again',
        )
      return bytes
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw explain(error, 'reading', path)
  }
}

async function* readChunks(path: string): AsyncIterable<Uint8Array> {
  let handle: FileHandle
  try {
    handle = await open(path, constants.O_RDONLY)
  } catch (error) {
    throw explain(error, 'reading', path)
  }
  try {
    for (let position = 0; ;) {
      const buffer = new Uint8Array(TEXT_CHUNK)
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, position).catch((error: unknown) => {
        throw explain(error, 'reading', path)
      })
      if (bytesRead === 0) return
      position += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}

/** Flushes a folder, so that a rename inside it survives a power cut. Windows has no such call. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Creates a folder and those above it. Not `recursive: true`: that never returns where a pseudo file system answers ENOENT. */
async function createFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder)
  } catch (error) {
    if (codeOf(error) === 'EEXIST' && (await stat(folder)).isDirectory()) return
    const parent = dirname(folder)
    if (codeOf(error) !== 'ENOENT' || parent === folder || (await stat(parent).catch(() => undefined)) !== undefined) throw error
    await createFolder(parent)
    await mkdir(folder).catch((e: unknown) => {
      if (codeOf(e) !== 'EEXIST') throw e
    })
  }
  await syncFolder(dirname(folder))
}

async function makeFolder(folder: string): Promise<void> {
  try {
    if (!(await stat(folder).catch(() => undefined))?.isDirectory()) await createFolder(resolve(folder))
  } catch (error) {
    throw explain(error, 'making', folder)
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(CHUNK, bytes.length - done))
    done += bytesWritten
  }
}

/** Clocks of file systems tick this seldom at most: a file may have changed twice within that time and look the same. */
const COARSEST_CLOCK_MS = 2_000

/** What tells a file and its state; undefined while that is uncertain. */
async function versionOf(path: string): Promise<string | undefined> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
  const newest = Number((mtimeNs > ctimeNs ? mtimeNs : ctimeNs) / 1_000_000n)
  return Date.now() - newest < COARSEST_CLOCK_MS ? undefined : [dev, ino, size, mtimeNs, ctimeNs].join(':')
}

async function writeFile(path: string, content: Uint8Array | string | AsyncIterable<Uint8Array>): Promise<void> {
  const folder = dirname(resolve(path))
  await makeFolder(folder)
  const there = await stat(path).catch(() => undefined)
  // A file takes the place of what is there: of a device or a pipe nothing would be left.
  if (there !== undefined && !there.isFile() && !there.isDirectory())
    throw new FileError(`${path} is a device or a pipe, which a file would replace; choose the name of a file`)
  await sweepTemporaries(folder)
  const temporary = join(dirname(path), temporaryName(basename(path)))
  const whole =
    typeof content === 'string' ? new TextEncoder().encode(content) : content instanceof Uint8Array ? content : undefined
  let bytes = whole?.length ?? 0
  let handle: FileHandle | undefined
  try {
    handle = await open(temporary, 'wx')
    if (whole !== undefined) await writeAll(handle, whole)
    else
      for await (const chunk of content as AsyncIterable<Uint8Array>) {
        bytes += chunk.length
        try {
          await writeAll(handle, chunk)
        } catch (error) {
          throw explain(error, 'writing', path, bytes)
        }
      }
    await handle.sync()
    await handle.close()
    handle = undefined
    await rename(temporary, path)
    await syncFolder(dirname(resolve(path)))
  } catch (error) {
    await handle?.close().catch(() => undefined)
    await rm(temporary, { force: true }).catch(() => undefined)
    // Errors of the source of the bytes (a damaged tensor, say) pass as they are.
    throw codeOf(error) === '' ? error : explain(error, 'writing', path, bytes)
  }
}

/** The `Files` of Node. */
export function nodeFiles(): Files {
  return {
    read: readFile,
    readText: async (path) => decodeUtf8(await readFile(path), path),
    size: async (path) => {
      try {
        return (await stat(path)).size
      } catch (error) {
        throw explain(error, 'reading', path)
      }
    },
    exists: async (path) => {
      try {
        await access(path)
        return true
      } catch (error) {
        if (isMissing(error)) return false
        throw explain(error, 'reading', path)
      }
    },
    isDirectory: async (path) => {
      try {
        return (await stat(path)).isDirectory()
      } catch (error) {
        if (isMissing(error)) return false
        throw explain(error, 'reading', path)
      }
    },
    list: async (folder) => {
      try {
        return (await readdir(folder)).sort()
      } catch (error) {
        throw explain(error, 'listing', folder)
      }
    },
    streamText: (path) => decodeUtf8Chunks(readChunks(path), path),
    write: writeFile,
    append: async (path, content) => {
      await makeFolder(dirname(resolve(path)))
      const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
      try {
        const handle = await open(path, 'a')
        try {
          await writeAll(handle, bytes)
        } finally {
          await handle.close()
        }
      } catch (error) {
        throw new FileError(
          explain(error, 'writing', path, bytes.length).message.replace('; the previous file is untouched', ''),
          {
            cause: error,
          },
        )
      }
    },
    makeFolder,
    remove: async (path) => {
      try {
        await rm(path, { recursive: true, force: true })
      } catch (error) {
        throw explain(error, 'removing', path)
      }
    },
    move: async (from, to) => {
      try {
        await rename(from, to)
        await syncFolder(dirname(resolve(to)))
      } catch (error) {
        throw explain(error, 'renaming', `${from} to ${to}`)
      }
    },
    version: async (path) => {
      try {
        return await versionOf(path)
      } catch (error) {
        throw explain(error, 'reading', path)
      }
    },
    lock: async (path) => {
      await makeFolder(dirname(resolve(path)))
      try {
        return await takeLock(path)
      } catch (error) {
        throw explain(error, 'writing', path)
      }
    },
    realPath: async (path) => {
      const absolute = resolve(path)
      // The deepest part that exists is resolved; the rest is appended, so that `link/new` is seen for what it is.
      for (let existing = absolute; ; existing = dirname(existing)) {
        try {
          return join(await realpath(existing), absolute.slice(existing.length))
        } catch (error) {
          if (!isMissing(error)) throw explain(error, 'reading', path)
          if (dirname(existing) === existing) return absolute
        }
      }
    },
  }
}
