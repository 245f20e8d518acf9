/** @file Measurements that are one process from start to end: graph building, and the command line's first step. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { nodeArguments } from './child.js'
import type { Case } from './cases.js'

export interface GraphBuilding {
  readonly seconds: number
  readonly peakBytes: number
  readonly parameters: number
  readonly nodes: number
  /** Size of the encoded graph. */
  readonly bytes: number
}

export function measureGraphBuilding(): GraphBuilding {
  const { status, stdout, stderr } = spawnSync(process.execPath, nodeArguments('graph-building.ts'), { encoding: 'utf8' })
  if (status !== 0) throw new Error(`graph building failed:\n${stderr}`)
  return JSON.parse(stdout) as GraphBuilding
}

const repository = dirname(dirname(fileURLToPath(import.meta.url)))

/** The built command, as `npx lowrank` runs it; undefined before `npm run build`. */
function command(): string | undefined {
  const { bin } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { bin?: string | Record<string, string> }
  const path = typeof bin === 'string' ? bin : bin?.['lowrank']
  const absolute = path === undefined ? undefined : join(repository, path)
  return absolute !== undefined && existsSync(absolute) ? absolute : undefined
}

/** Seconds from the command to the event of its first step, the step included; undefined where nothing is built. */
export async function measureFirstStep(spec: Case, threads: number): Promise<number | undefined> {
  const path = command()
  if (path === undefined) return undefined
  const flags = [
    '--model',
    spec.model,
    '--data',
    spec.data,
    '--out',
    `${spec.data}.out`,
    '--overwrite',
    '--steps',
    '1',
    '--batch-size',
    String(spec.batchSize),
  ]
  const started = performance.now()
  const child = spawn(process.execPath, [path, 'train', ...flags, '--threads', String(threads), '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  let seconds: number | undefined
  for await (const line of createInterface({ input: child.stdout }))
    if ((JSON.parse(line) as { event?: string }).event === 'step') seconds ??= (performance.now() - started) / 1000
  await ended
  if (seconds === undefined) throw new Error(`"lowrank train" gave no step:\n${errors}`)
  return seconds
}
