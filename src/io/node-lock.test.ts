/** @file Locks of folders between processes, and what killed processes leave. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { FileError } from '../errors.js'
import { handleFiles } from './handle-files.js'
import { memoryFiles } from './memory-files.js'
import { nodeFiles } from './node-files.js'
import { isAlive, startOf, thisHost } from './node-process.js'
import { temporaryName } from './node-temporaries.js'

const folder = mkdtempSync(join(tmpdir(), 'lowrank-lock-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let counter = 0
const newLock = (): string => join(folder, `out-${++counter}`, 'lock')
const files = nodeFiles()

/** Runs a script that has `take(path)` in a process of its own; what it printed. */
function child(script: string): {
  readonly output: Promise<string>
  readonly said: (text: string) => Promise<void>
  kill(): void
} {
  const source = `
    import { takeLock } from ${JSON.stringify(join(import.meta.dirname, 'node-lock.ts'))}
    import { setTimeout as sleep } from 'node:timers/promises'
    const take = async (path) => { try { return await takeLock(path) } catch (error) { console.log(error.message) } }
    ${script}`
  const process_ = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', source])
  let text = ''
  const listeners: (() => void)[] = []
  process_.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    for (const listener of listeners) listener()
  })
  process_.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  return {
    output: new Promise((done) => process_.on('close', () => done(text))),
    said: (what) => new Promise((done) => { const look = (): void => { if (text.includes(what)) done() }; listeners.push(look); look() }), // prettier-ignore
    kill: () => void process_.kill('SIGKILL'),
  }
}

const holder = (change: object): string =>
  JSON.stringify({ id: 'x', pid: process.pid, host: thisHost(), started: startOf(process.pid), since: 'then', ...change })

describe('a lock', () => {
  it('is held by one, in this process and among others, and given back', async () => {
    const path = newLock()
    const release = await files.lock!(path)
    const busy = new FileError(`"${join(path, '..')}" is being written by another run (in this process); wait until it ends or stop it, or choose another folder`) // prettier-ignore
    await expect(files.lock!(path)).rejects.toThrow(busy)
    expect(await child(`await take(${JSON.stringify(path)})`).output).toContain(
      `is being written by another run (process ${process.pid}, since `,
    )
    await release()
    expect(readdirSync(join(path, '..'))).toEqual([])
    await (
      await files.lock!(path)
    )()
  })

  it('of a killed process is taken over at once; one that ends takes its own away', async () => {
    const path = newLock()
    mkdirSync(join(path, '..'))
    const killed = child(`await take(${JSON.stringify(path)}); console.log('held'); await sleep(60000)`)
    await killed.said('held')
    await expect(files.lock!(path)).rejects.toThrow('is being written by another run (process ')
    killed.kill()
    await killed.output
    expect(existsSync(path)).toBe(true)
    await (
      await files.lock!(path)
    )()
    expect(await child(`await take(${JSON.stringify(path)}); process.exit(3)`).output).toBe('')
    expect(readdirSync(join(path, '..'))).toEqual([])
  })

  it('of a process that is just ending is waited for', async () => {
    const path = newLock()
    mkdirSync(join(path, '..'))
    const ending = child(`await take(${JSON.stringify(path)}); console.log('held'); await sleep(300); process.exit()`)
    await ending.said('held')
    await (
      await files.lock!(path)
    )()
    await ending.output
  })

  it('of a killed process goes to one of many who come at once', async () => {
    const path = newLock()
    mkdirSync(join(path, '..'))
    writeFileSync(path, holder({ pid: 2 ** 30 }))
    const script = `const release = await take(${JSON.stringify(path)}); if (release) { console.log('got it'); await sleep(5000); await release() }`
    const outputs = await Promise.all([1, 2, 3].map(() => child(script).output))
    expect(outputs.filter((text) => text.includes('got it')).length).toBe(1)
    expect(outputs.filter((text) => text.includes('is being written by another run')).length).toBe(2)
    expect(readdirSync(join(path, '..'))).toEqual([])
  })

  it.each([
    ['a number that was given again', holder({ started: '1' }), 0, process.platform === 'linux'],
    ['this number before this process', holder({ id: 'earlier', started: '2' }), 0, process.platform === 'linux'],
    ['another host that is silent', holder({ host: 'elsewhere' }), 130, true],
    ['nobody: it was cut off', '', 20, true],
    ['nobody: it says nothing', 'null', 130, true],
  ])('of %s is taken over', async (_name, content, seconds, applies) => {
    if (!applies) return
    const path = newLock()
    mkdirSync(join(path, '..'))
    writeFileSync(path, content)
    const then = new Date(Date.now() - seconds * 1000)
    utimesSync(path, then, then)
    await (
      await files.lock!(path)
    )()
  })

  it('of another host that gives signs of life is respected, with what to do', async () => {
    const path = newLock()
    mkdirSync(join(path, '..'))
    writeFileSync(path, holder({ host: 'elsewhere' }))
    await expect(files.lock!(path)).rejects.toThrow(
      `(process ${process.pid} on elsewhere, since then); wait until it ends or stop it, or choose another folder. If that process is gone, remove ${path}`,
    )
    expect(readFileSync(path, 'utf8')).toContain('elsewhere')
  })

  it('of files in memory is held by one run of the page', async () => {
    const page = memoryFiles()
    const release = await page.lock!('out/lock')
    await expect(page.lock!('/out//lock')).rejects.toThrow('"out" is being written by another run (in this page)')
    await release()
    await (
      await page.lock!('out/lock')
    )()
    expect(page.blobs.size).toBe(0)
  })
})

describe("a lock of a page's private files", () => {
  afterEach(() => void vi.unstubAllGlobals())
  const root = (name: string): FileSystemDirectoryHandle => ({ name }) as FileSystemDirectoryHandle

  it('is held by one tab, by the Web Locks API, and folders of one name that users picked are not one', async () => {
    const taken = new Set<string>()
    type Ask = (name: string, options: object, then: (lock: object | null) => unknown) => Promise<void>
    const request: Ask = async (name, _, then) => {
      if (taken.has(name)) return void (await then(null))
      taken.add(name)
      await then({ name })
      taken.delete(name)
    }
    vi.stubGlobal('navigator', { locks: { request } })
    const [tab, other] = [handleFiles(root('')), handleFiles(root(''))]
    const release = await tab.lock!('out/lock')
    await expect(tab.lock!('out/lock')).rejects.toThrow('"out" is being written by another run (in this page)')
    await expect(other.lock!('/out/lock')).rejects.toThrow('"out" is being written by another run (in another tab)')
    await release()
    await new Promise((go) => setTimeout(go))
    await (
      await other.lock!('out/lock')
    )()
    const picked = await handleFiles(root('work')).lock!('out/lock')
    await (
      await handleFiles(root('work')).lock!('out/lock')
    )()
    await picked()
  })

  it('without that API is held by one run of the page', async () => {
    vi.stubGlobal('navigator', {})
    const files_ = handleFiles(root(''))
    const release = await files_.lock!('out/lock')
    await expect(files_.lock!('out/lock')).rejects.toThrow('in this page')
    await release()
    await (
      await files_.lock!('out/lock')
    )()
  })
})

describe('temporary files', () => {
  it('of dead processes are removed by the next write into their folder, others are not', async () => {
    const here = join(folder, 'temporaries')
    mkdirSync(here)
    const own = temporaryName('model.safetensors')
    const named = (pid: number, time = Date.now()): string =>
      own.replace(/-\d+-[0-9a-z]+-(\d+)\.tmp$/, `-${pid}-${time.toString(36)}-$1.tmp`)
    const foreign = own.replace(/\.[0-9a-f]{8}-/, '.00000000-')
    const [dead, before, living] = [named(2 ** 30), named(process.pid, 1e12), named(process.ppid)]
    const kept = [own, living, foreign, '.a.12345678.tmp', 'model.tmp']
    for (const name of [dead, before, ...kept]) writeFileSync(join(here, name), 'x')
    await files.write(join(here, 'other.txt'), 'text')
    expect(readdirSync(here).sort()).toEqual([...kept, 'other.txt'].sort())
    const yesterday = new Date(Date.now() - 25 * 3600e3)
    for (const name of [foreign, living]) utimesSync(join(here, name), yesterday, yesterday)
    await files.write(join(here, 'other.txt'), 'text')
    expect(readdirSync(here)).not.toContain(foreign)
    expect(readdirSync(here)).not.toContain(living)
  })

  it('a process is told by its number and start', () => {
    expect(isAlive(process.pid, startOf(process.pid))).toBe(true)
    expect(isAlive(2 ** 30)).toBe(false)
    if (process.platform === 'linux') expect(isAlive(process.pid, '1')).toBe(false)
  })
  it.runIf(process.platform === 'linux')('a zombie is not alive', async () => {
    // The parent becomes a program that never asks how its child ended.
    const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'])
    try {
      const pid = Number(await new Promise<string>((done) => parent.stdout.setEncoding('utf8').once('data', done)))
      await vi.waitFor(() => expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toContain(') Z '), { timeout: 10_000 })
      expect(isAlive(pid)).toBe(false)
    } finally {
      parent.kill()
    }
  })
})
