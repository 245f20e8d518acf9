/** @file One run alone writes into a folder, whichever kind of run it is. */
import type { Files } from './files.js'

/** The sign of it, in the folder. Its name begins what else belongs to it. */
export const LOCK_FILE = '.lowrank.lock'

/** Whether a name in a folder is a lock's own. */
export const isLockFile = (name: string): boolean => name.startsWith(LOCK_FILE)

/**
 * Takes a folder, which is made if it is not there.
 * @returns gives it back, and removes it if it is empty: a run that was refused leaves nothing
 * @throws FileError naming the run that has it
 */
export async function lockFolder(files: Files, folder: string): Promise<() => Promise<void>> {
  const release = await files.lock?.(`${folder}/${LOCK_FILE}`)
  return async () => {
    await release?.()
    if ((await files.isDirectory(folder)) && (await files.list(folder)).length === 0) await files.remove(folder)
  }
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
