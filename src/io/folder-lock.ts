/** @file One run alone writes into a folder, whichever kind of run it is. */
import { InvalidOptionError } from '../errors.js'
import type { Files } from './files.js'
import { baseName, folderOf } from './places.js'

/** The sign of it, in the folder. Its name begins what else belongs to it. */
export const LOCK_FILE = '.lowrank.lock'

/** Whether a name in a folder is a lock's own, or of what a process that was killed had half written: neither is content. */
export const isTransient = (name: string): boolean => name.startsWith(LOCK_FILE) || /^\..*\.tmp$/.test(name)

/** @throws InvalidOptionError for an empty name, under which the root of the file system would be written to */
export function checkFolderName(folder: string): void {
  if (folder.trim() === '') throw new InvalidOptionError('the output folder has an empty name; name a folder, "." for this one')
}

/**
 * Takes a folder, which is made if it is not there, or with `name` a place in it of that name.
 * @returns gives it back, and removes a folder that was made for it and is empty: a run that was refused leaves nothing
 * @throws FileError naming the run that has it
 */
export async function lockFolder(files: Files, folder: string, name?: string): Promise<() => Promise<void>> {
  checkFolderName(folder)
  const wasThere = await files.exists(folder)
  const release = await files.lock?.(`${folder}/${LOCK_FILE}${name === undefined ? '' : `-${name}`}`)
  return async () => {
    await release?.()
    if (!wasThere && (await files.isDirectory(folder)) && (await files.list(folder)).length === 0) await files.remove(folder)
  }
}

/** A folder that is held for long. */
export class FolderLock {
  private constructor(
    private readonly files: Files,
    private readonly folder: string,
    private unlock: () => Promise<void>,
    /** What the sign says; undefined where nobody else can write, and no file is needed. */
    private sign: string | undefined,
  ) {}

  /** @throws FileError naming the run that has it */
  static async take(files: Files, folder: string): Promise<FolderLock> {
    return new FolderLock(files, folder, await lockFolder(files, folder), await signOf(files, folder))
  }

  /**
   * Makes sure that it is held still: the folder may have been removed, with the sign in it, and a process that slept may
   * have been taken for gone.
   * @throws FileError naming the run that has it now
   */
  async keep(): Promise<void> {
    if (this.sign === undefined || (await signOf(this.files, this.folder)) === this.sign) return
    await this.unlock()
    this.unlock = () => Promise.resolve()
    this.unlock = await lockFolder(this.files, this.folder)
    this.sign = await signOf(this.files, this.folder)
  }

  release(): Promise<void> {
    return this.unlock()
  }
}

async function signOf(files: Files, folder: string): Promise<string | undefined> {
  const path = `${folder}/${LOCK_FILE}`
  return (await files.exists(path)) ? files.readText(path) : undefined
}

/** Does something while the folder is this run's. What is no folder is left to the task to refuse. */
export async function whileLocked<T>(files: Files, folder: string, task: () => Promise<T>): Promise<T> {
  if ((await files.exists(folder)) && !(await files.isDirectory(folder))) return task()
  const release = await lockFolder(files, folder)
  try {
    return await task()
  } finally {
    await release()
  }
}

/** Does something while the file is this run's; others may write beside it. */
export async function whileFileLocked<T>(files: Files, path: string, task: () => Promise<T>): Promise<T> {
  const release = await lockFolder(files, folderOf(path), baseName(path))
  try {
    return await task()
  } finally {
    await release()
  }
}
