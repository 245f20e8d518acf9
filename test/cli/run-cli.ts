/** @file The command line as it is built: a process, or where a process of its own shows nothing more, a call. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll } from 'vitest'
import type * as App from '../../src/cli/app.js'

export const root = resolve(import.meta.dirname, '../..')
export const golden = join(root, 'test/fixtures/golden/peft')

export interface Result {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** stdout as JSON lines. */
  json(): Record<string, unknown>[]
}

/** What Node is given to run the command line. */
export const program = join(root, 'dist/cli/main.js')

/** In the checkout without a network, and without what a developer may have set. */
const OWN = { HF_HUB_OFFLINE: '1', LOWRANK_DEBUG: '', FORCE_COLOR: '', NODE_OPTIONS: '' }

/** How its processes are started. */
export const surroundings = (env: Record<string, string> = {}): { readonly env: NodeJS.ProcessEnv; readonly cwd: string } => ({
  env: { ...process.env, ...OWN, ...env },
  cwd: root,
})

export const startCli = (args: readonly string[], env: Record<string, string> = {}): ChildProcessWithoutNullStreams =>
  spawn(process.execPath, [program, ...args], surroundings(env))

const result = (code: number | null, stdout: string, stderr: string): Result => ({
  code,
  stdout,
  stderr,
  json: () =>
    stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>),
})

export async function finish(child: ChildProcessWithoutNullStreams): Promise<Result> {
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const code = await new Promise<number | null>((done) => child.on('close', done))
  return result(code, stdout, stderr)
}

/** Runs `lowrank …args` to its end in a process of its own: for what the process itself adds (signals, pipes, memory). */
export const runProcess = (args: readonly string[], env: Record<string, string> = {}): Promise<Result> =>
  finish(startCli(args, env))

/** The built command line, without the process around it: its own modules, not those of a test, and loaded once a file. */
let app: Promise<typeof App> | undefined

/**
 * Runs `lowrank …args` to its end, in this process: starting one costs a second, which some hundred runs of the tests would
 * spend. One run at a time where they differ in `env`.
 */
export async function runCli(args: readonly string[], env: Record<string, string> = {}): Promise<Result> {
  app ??= import(/* @vite-ignore */ pathToFileURL(join(root, 'dist/cli/app.js')).href) as Promise<typeof App>
  const { runCli: run } = await app
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  let stdout = ''
  let stderr = ''
  const own = { ...OWN, ...env }
  const before = Object.keys(own).map((name) => [name, process.env[name]] as const)
  Object.assign(process.env, own)
  try {
    const code = await run(args, {
      stdout: { write: (text) => ((stdout += text), true) },
      stderr: { write: (text) => ((stderr += text), true) },
      env: process.env,
      version,
      interrupted: new AbortController().signal,
    })
    return result(code, stdout, stderr)
  } finally {
    for (const [name, value] of before)
      if (value === undefined) Reflect.deleteProperty(process.env, name)
      else process.env[name] = value
  }
}

/** A folder that is removed after the file's tests. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'lowrank-cli-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
