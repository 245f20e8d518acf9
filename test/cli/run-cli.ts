/** @file The command line as a process, as it is built. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
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

/** How its processes are started: in the checkout, without a network, and without what a developer may have set. */
export const surroundings = (env: Record<string, string> = {}): { readonly env: NodeJS.ProcessEnv; readonly cwd: string } => ({
  env: { ...process.env, HF_HUB_OFFLINE: '1', LOWRANK_DEBUG: '', FORCE_COLOR: '', NODE_OPTIONS: '', ...env },
  cwd: root,
})

export const startCli = (args: readonly string[], env: Record<string, string> = {}): ChildProcessWithoutNullStreams =>
  spawn(process.execPath, [program, ...args], surroundings(env))

export async function finish(child: ChildProcessWithoutNullStreams): Promise<Result> {
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const code = await new Promise<number | null>((done) => child.on('close', done))
  return {
    code,
    stdout,
    stderr,
    json: () =>
      stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  }
}

/** Runs `lowrank …args` to its end. */
export const runCli = (args: readonly string[], env: Record<string, string> = {}): Promise<Result> => finish(startCli(args, env))

/** A folder that is removed after the file's tests. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'lowrank-cli-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
