/** @file A download on its way: a file that one process alone writes, and that the next may take over. */
import { constants } from 'node:fs'
import { lstat, open, readdir, rename, rm, type FileHandle } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { isAlive } from '../io/node-process.js'
import { ABANDONED_MS } from '../io/node-temporaries.js'

/** What a partial file of nobody is called: its process gave up, and said so. */
const KEPT = '.kept.incomplete'

/** `BLOB.HOST-PROCESS-NUMBER.incomplete`: by its name another process tells whether the writer still lives. */
const OWNED = /\.([\w-]*)-(\d+)-\d+\.incomplete$/

const host = hostname().replace(/[^\w]/g, '').slice(0, 40)
let counter = 0

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? ''

/** Whether nobody writes a partial file any more. Of another machine's processes only time tells. */
async function isAbandoned(path: string): Promise<boolean> {
  if (path.endsWith(KEPT)) return true
  const [, owner, pid] = OWNED.exec(path) ?? []
  if (pid === undefined) return false
  if (owner === host && !isAlive(Number(pid))) return true
  const found = await lstat(path).catch(() => undefined)
  return found !== undefined && Date.now() - found.mtimeMs > ABANDONED_MS
}

/** Partial files beside a blob that nobody writes. */
async function abandoned(blob: string): Promise<string[]> {
  const paths: string[] = []
  for (const name of await readdir(dirname(blob))) {
    const path = join(dirname(blob), name)
    if (name.startsWith(`${basename(blob)}.`) && (await isAbandoned(path))) paths.push(path)
  }
  return paths
}

/** A file that will become a blob. */
export class PartialFile {
  private constructor(
    private readonly blob: string,
    private readonly path: string,
    readonly handle: FileHandle,
  ) {}

  /** Takes over what an earlier process left, the longest, or begins an empty file. Nobody else has it. */
  static async open(blob: string): Promise<PartialFile> {
    const path = `${blob}.${host}-${process.pid}-${++counter}.incomplete`
    const sizes = new Map<string, number>()
    for (const left of await abandoned(blob)) {
      const found = await lstat(left).catch(() => undefined)
      // A link is not followed: the file that it leads to is none of ours. Nor is a file with a second name.
      if (found?.isFile() === true && found.nlink === 1) sizes.set(left, found.size)
    }
    for (const [left] of [...sizes].sort(([, a], [, b]) => b - a)) {
      try {
        await rename(left, path)
        return new PartialFile(blob, path, await open(path, constants.O_RDWR | constants.O_NOFOLLOW))
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') throw error // another process was quicker
      }
    }
    return new PartialFile(blob, path, await open(path, 'wx+'))
  }

  /** Where {@link keep} puts what came. */
  get kept(): string {
    return this.blob + KEPT
  }

  async size(): Promise<number> {
    return (await this.handle.stat()).size
  }

  /** Leaves what came to whoever tries next. */
  async keep(): Promise<void> {
    const empty = (await this.size()) === 0
    await this.handle.close()
    if (empty) await rm(this.path, { force: true })
    else await rename(this.path, this.kept)
  }

  /** Gives the file the blob's name; one of the same name has the same content. Others' leavings are swept. */
  async publish(): Promise<void> {
    await this.handle.close()
    try {
      await rename(this.path, this.blob)
    } catch (error) {
      // Where a file that is open cannot be replaced, another process's copy stays.
      if (!['EPERM', 'EACCES', 'EBUSY'].includes(codeOf(error)) || !(await lstat(this.blob).catch(() => undefined))?.isFile())
        throw error
      await rm(this.path, { force: true })
    }
    for (const left of await abandoned(this.blob)) await rm(left, { force: true })
  }
}
