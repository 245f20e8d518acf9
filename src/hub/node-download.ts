/**
 * @file One file from the hub into the cache, continued where an earlier attempt stopped.
 *
 * `downloadFileToCacheDir` of `@huggingface/hub` starts from zero each time, does not look at what it got and hides the
 * server's status, so this part is ours: a ranged request, an append, a hash.
 */
import { createHash, type Hash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { FileError, HubError } from '../errors.js'
import { PartialFile } from './node-partial-file.js'

export interface RemoteFile {
  readonly path: string
  readonly size: number
  /** SHA-256 of the content for large files, SHA-1 of the git object for the others; also the blob's name. */
  readonly etag: string
  /** Whether `etag` is a SHA-256. */
  readonly large: boolean
  /** Nothing tells the hash of the content: only its size is checked. */
  readonly unchecked?: boolean
}

export interface DownloadOptions {
  /**
   * Opens the content from an offset on; says where it really starts, for some proxies ignore ranges.
   * @throws HubError if the server refuses for good
   */
  readonly open: (offset: number) => Promise<{ readonly body: AsyncIterable<Uint8Array>; readonly offset: number }>
  readonly onProgress?: (received: number, size: number) => void
  /** Waits before attempt 1, 2, … after a failure. */
  readonly wait: (attempt: number) => Promise<void>
  /** Failures in a row, without a byte in between, before giving up. */
  readonly attempts?: number
}

const startHash = (file: RemoteFile): Hash =>
  file.large ? createHash('sha256') : createHash('sha1').update(`blob ${file.size}\0`)

/** The reason behind `fetch failed`, which undici hides in the cause. */
export function reasonOf(error: unknown): string {
  if (typeof error === 'string') return error
  const { message, cause } = error as Error
  const inner = cause as (Error & { code?: string }) | undefined
  return inner === undefined
    ? message
    : `${message} (${inner.code ?? ''}${inner.code && inner.message ? ': ' : ''}${inner.message ?? ''})`
}

/** Thrown inside an attempt when the disk, not the network, failed. */
const isDiskError = (error: unknown): boolean =>
  ['ENOSPC', 'EACCES', 'EROFS', 'EIO', 'EDQUOT', 'EPERM'].includes((error as NodeJS.ErrnoException | undefined)?.code ?? '')

/**
 * Downloads into `blob`, by way of a file of this process's own beside it: two processes that download one file write two,
 * and what gets the name `blob` is the very file whose bytes were hashed. What an earlier process left is taken over.
 * @throws HubError if the connection keeps failing (what came is kept) or the content has another hash twice
 */
export async function downloadBlob(file: RemoteFile, blob: string, options: DownloadOptions): Promise<void> {
  const attempts = options.attempts ?? 5
  await mkdir(dirname(blob), { recursive: true })
  const part = await PartialFile.open(blob)
  try {
    let restarted = false
    for (let failures = 0; ;) {
      const before = await part.size()
      try {
        const hash = await receive(file, part, before > file.size ? 0 : before, options)
        if (file.unchecked === true || hash === file.etag) break
        await part.handle.truncate(0)
        if (restarted)
          throw new HubError(`"${file.path}" arrived damaged twice: expected hash ${file.etag}, got ${hash}; try again later`)
        restarted = true // what an interrupted run left may have been damaged
      } catch (error) {
        if (error instanceof HubError || error instanceof FileError || isDiskError(error)) throw error
        const now = await part.size()
        failures = now > before ? 1 : failures + 1
        if (failures >= attempts)
          throw new HubError(
            `downloading "${file.path}" stopped at ${now} of ${file.size} bytes: ${reasonOf(error)}; what came is kept in ${part.kept}, run the same command again to continue`,
            { cause: error },
          )
        await options.wait(failures)
      }
    }
  } catch (error) {
    await part.keep()
    throw error
  }
  await part.publish()
}

/** One attempt: hashes what is there, appends the rest. @returns the hash of the whole */
async function receive(file: RemoteFile, { handle }: PartialFile, wanted: number, options: DownloadOptions): Promise<string> {
  const content = wanted < file.size ? await options.open(wanted) : undefined
  const start = content?.offset ?? wanted
  const hash = startHash(file)
  const buffer = Buffer.alloc(1 << 20)
  for (let at = 0; at < start;) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, start - at), at)
    if (bytesRead === 0) throw new Error(`what an earlier run left ends at ${at} of ${start} bytes`)
    hash.update(buffer.subarray(0, bytesRead))
    at += bytesRead
  }
  let position = start
  await handle.truncate(position)
  options.onProgress?.(position, file.size)
  for await (const chunk of content?.body ?? []) {
    if (position + chunk.length > file.size)
      throw new HubError(`"${file.path}": the server sent more than the ${file.size} bytes it announced`)
    for (let done = 0; done < chunk.length;) {
      done += (await handle.write(chunk, done, chunk.length - done, position + done)).bytesWritten
    }
    hash.update(chunk)
    position += chunk.length
    options.onProgress?.(position, file.size)
  }
  if (position < file.size) throw new Error(`the connection closed at ${position} of ${file.size} bytes`)
  await handle.sync()
  return hash.digest('hex')
}
