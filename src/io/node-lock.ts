/**
 * @file Lock files: one process alone writes into a folder.
 *
 * The file names its holder. One whose process is gone is taken over: on the same host the process number and its start
 * tell; of another host, with which the folder is shared, only time does, for the holder writes its file again and again.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync, unlinkSync } from 'node:fs'
import { open, readFile, rm, stat, unlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { FileError } from '../errors.js'
import { inUse } from './files.js'
import { isAlive, startOf, thisHost } from './node-process.js'

/** How often a holder writes its file again. */
const HEARTBEAT_MS = 10_000
/** A holder on another host that was silent for so long is gone; network file systems may tell a minute late. */
const SILENT_MS = 120_000
/** Taking over takes milliseconds: a sign of it that is older was left by a crash. */
const TAKEOVER_MS = 10_000
const RETRY_MS = 30
const TRIES = 100
/** A process that was killed a moment ago, as the others of an MPI job are when one dies, may take so long to be gone. */
const DYING_MS = 2000

interface Holder {
  readonly id: string
  readonly pid: number
  readonly host: string
  readonly started: string
  readonly since: string
}

/** What this process holds, by path. */
const held = new Map<string, string>()
let watching = false

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? ''

/** Who holds the file; undefined if nobody does, or the file is being written. */
async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const { id, pid, host, started, since } = (JSON.parse(await readFile(path, 'utf8')) ?? {}) as Holder
    return { id: String(id), pid: Number(pid), host: String(host), started: String(started), since: String(since) }
  } catch (error) {
    if (error instanceof SyntaxError || codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Milliseconds since the file was written, by the clock of its file system: `reference` was written just now. */
async function ageOf(path: string, reference: string): Promise<number | undefined> {
  try {
    return (await stat(reference)).mtimeMs - (await stat(path)).mtimeMs
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

const isGone = ({ pid, host, started }: Holder, age: number): boolean =>
  host === thisHost() ? !isAlive(pid, started) : age > SILENT_MS

/**
 * Removes the file of a holder that is gone; one at a time, for who looks late would remove the file of who was quicker.
 * @returns the refusal, if the holder lives
 */
async function clear(path: string): Promise<FileError | undefined> {
  const guard = `${path}.takeover`
  try {
    await (await open(guard, 'wx')).close()
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    const age = await stat(guard).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    )
    if (age > TAKEOVER_MS) await rm(guard, { force: true })
    else await sleep(RETRY_MS)
    return undefined
  }
  try {
    const age = await ageOf(path, guard)
    if (age === undefined) return undefined
    const holder = await readHolder(path)
    // Without a word in it, it is being written, or was left by a process that died at that instant.
    if (holder === undefined ? age > TAKEOVER_MS : isGone(holder, age)) await rm(path, { force: true })
    else if (holder === undefined) await sleep(RETRY_MS)
    else {
      const where = holder.host === thisHost() ? '' : ` on ${holder.host}`
      const gone = where === '' ? '' : `. If that process is gone, remove ${path}`
      return new FileError(`${inUse(dirname(path), `process ${holder.pid}${where}, since ${holder.since}`)}${gone}`)
    }
    return undefined
  } finally {
    await rm(guard, { force: true })
  }
}

/** Whatever way the process ends that lets it do anything. */
function removeAtExit(): void {
  for (const [path, id] of held)
    try {
      if (readFileSync(path, 'utf8').includes(id)) unlinkSync(path)
    } catch {
      // It is found to be without a living process.
    }
}

async function create(path: string, content: string): Promise<void> {
  const patience = Date.now() + DYING_MS
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      const handle = await open(path, 'wx')
      try {
        await handle.write(content, 0)
      } finally {
        await handle.close()
      }
      return
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
    const refusal = await clear(path)
    if (refusal === undefined) continue
    if (Date.now() > patience) throw refusal
    await sleep(RETRY_MS)
  }
  throw new FileError(`${path} cannot be taken: other processes come and go there; run again`)
}

/**
 * Takes a lock file; its folder exists.
 * @returns gives it back
 * @throws FileError if a living process holds it, this one included; the error of the file system otherwise
 */
export async function takeLock(file: string): Promise<() => Promise<void>> {
  const path = resolve(file)
  if (held.has(path)) throw new FileError(inUse(dirname(path), 'in this process'))
  const id = randomUUID()
  held.set(path, id)
  const holder: Holder = {
    id,
    pid: process.pid,
    host: thisHost(),
    started: startOf(process.pid),
    since: new Date().toISOString(),
  }
  const content = `${JSON.stringify(holder)}\n`
  try {
    await create(path, content)
  } catch (error) {
    held.delete(path)
    throw error
  }
  if (!watching) process.on('exit', removeAtExit)
  watching = true
  const isOurs = async (): Promise<boolean> => (await readHolder(path).catch(() => undefined))?.id === id
  const beat = async (): Promise<void> => {
    if (!(await isOurs())) return
    const handle = await open(path, 'r+')
    await handle.write(content, 0).finally(() => handle.close())
  }
  const timer = setInterval(() => void beat().catch(() => undefined), HEARTBEAT_MS)
  timer.unref()
  return async () => {
    if (held.get(path) !== id) return
    clearInterval(timer)
    if (await isOurs()) await unlink(path).catch(() => undefined)
    held.delete(path)
  }
}
