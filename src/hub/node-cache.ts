/**
 * @file The hub's cache on disk, in the layout that Python's huggingface_hub uses and shares:
 * `models--owner--name/{refs/REVISION, blobs/ETAG, snapshots/COMMIT/FILE -> ../../blobs/ETAG}`.
 */
import { mkdir, readFile, rename, stat, symlink, copyFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { FileError } from '../errors.js'
import { configFile, requiredFiles, weightFiles, type RepositoryKind } from './repository-files.js'

const COMMIT = /^[0-9a-f]{40}$/

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? ''

/** Makes the names of temporary files differ within this process. */
let counter = 0

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return false
    throw error
  }
}

async function textOf(path: string): Promise<string | undefined> {
  return (await exists(path)) ? readFile(path, 'utf8') : undefined
}

/** The folder of one repository in the cache. */
export class RepositoryCache {
  readonly folder: string

  constructor(cacheDir: string, repository: string) {
    this.folder = join(cacheDir, ['models', ...repository.split('/')].join('--'))
  }

  blob(etag: string): string {
    return join(this.folder, 'blobs', etag)
  }

  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit)
  }

  /** Whether the snapshot has the file, and its blob is there too, of that size where it is known. */
  async has(commit: string, file: string, size?: number): Promise<boolean> {
    const path = join(this.snapshot(commit), file)
    return (await exists(path)) && (size === undefined || (await stat(path)).size === size)
  }

  /** Whether the blob is there, whole. */
  async hasBlob(etag: string, size: number): Promise<boolean> {
    const path = this.blob(etag)
    return (await exists(path)) && (await stat(path)).size === size
  }

  /** The commit that a revision had when it was last looked up. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (COMMIT.test(revision)) return (await exists(this.snapshot(revision))) ? revision : undefined
    const commit = (await textOf(join(this.folder, 'refs', revision)))?.trim()
    return commit !== undefined && COMMIT.test(commit) ? commit : undefined
  }

  /** Remembers the commit of a branch or tag. */
  async setCommit(revision: string, commit: string): Promise<void> {
    if (revision === commit) return
    await this.writing(async () => {
      const path = join(this.folder, 'refs', revision)
      await mkdir(dirname(path), { recursive: true })
      const temporary = `${path}.${process.pid}-${++counter}.tmp`
      await writeFile(temporary, commit)
      await rename(temporary, path)
    })
  }

  /** Makes the file of a snapshot point to its blob; a copy where the system has no symbolic links. */
  async link(commit: string, file: string, etag: string): Promise<void> {
    await this.writing(async () => {
      const path = join(this.snapshot(commit), file)
      await mkdir(dirname(path), { recursive: true })
      // Made beside and renamed, so that no other process ever finds the file gone.
      const temporary = `${path}.${process.pid}-${++counter}.tmp`
      try {
        await symlink(relative(dirname(path), this.blob(etag)), temporary)
      } catch (error) {
        if (!['EPERM', 'ENOSYS', 'ENOTSUP', 'EINVAL'].includes(codeOf(error))) throw error
        await copyFile(this.blob(etag), temporary)
      }
      await rename(temporary, path)
    })
  }

  /** Files that a complete snapshot would have and this one lacks. */
  async missing(asked: RepositoryKind, commit: string): Promise<string[]> {
    const kind = asked === 'any' ? ((await this.has(commit, configFile.adapter)) ? 'adapter' : 'model') : asked
    const folder = this.snapshot(commit)
    const there = new Set<string>()
    for (const file of [...weightFiles, ...Object.values(configFile)]) if (await this.has(commit, file)) there.add(file)
    const required = await requiredFiles(kind, there, (index) => readFile(join(folder, index), 'utf8'))
    const missing = []
    for (const file of required) if (!(await this.has(commit, file))) missing.push(file)
    return missing
  }

  /** {@link writingCache} of this repository. */
  writing<T>(work: () => Promise<T>): Promise<T> {
    return writingCache(this.folder, work)
  }
}

/** Runs file work of a folder of the cache; @throws FileError with the folder and the way out when the disk refuses. */
export async function writingCache<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const code = codeOf(cause)
    const why = { ENOSPC: 'no space left on the device', EACCES: 'no permission', EROFS: 'the disk is read-only' }[code]
    if (why === undefined) throw cause
    throw new FileError(`writing the hub cache ${folder}: ${why}; set HF_HUB_CACHE to another folder`, { cause })
  }
}
