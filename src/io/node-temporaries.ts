/** @file Names of files that are being written, and the removal of those that killed processes left: some are as large as a model. */
import { createHash } from 'node:crypto'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isAlive, thisHost } from './node-process.js'

/** A file that nobody wrote to for so long is nobody's any more, whoever the name says: a number may be another process's by now. */
export const ABANDONED_MS = 24 * 3600e3

let counter = 0
let tag: string | undefined

const hostTag = (): string => (tag ??= createHash('sha256').update(thisHost()).digest('hex').slice(0, 8))

/** A name that no other process or call uses: hidden, with who writes it and since when. */
export const temporaryName = (name: string): string =>
  `.${name}.${hostTag()}-${process.pid}-${Date.now().toString(36)}-${++counter}.tmp`

const TEMPORARY = /^\..+\.([0-9a-f]{8})-(\d+)-([0-9a-z]+)-\d+\.tmp$/

/** Whether the process that began the file is gone. */
async function isLeft(path: string, [, host, pid, time]: RegExpExecArray): Promise<boolean> {
  if (host === hostTag()) {
    // In a container that starts again every process may have the number it had before.
    if (Number(pid) === process.pid) return parseInt(time!, 36) < performance.timeOrigin
    if (!isAlive(Number(pid))) return true
  }
  return Date.now() - (await stat(path)).mtimeMs > ABANDONED_MS
}

/** Removes what killed processes left half written in a folder. What cannot be judged or removed stays. */
export async function sweepTemporaries(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  for (const name of names) {
    const match = TEMPORARY.exec(name)
    const path = join(folder, name)
    if (match !== null && (await isLeft(path, match).catch(() => false))) await rm(path, { force: true }).catch(() => undefined)
  }
}
