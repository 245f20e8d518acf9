/** @file Runs cases of the fuzzer and judges them: which error, how long, how much memory, which paths. */
import { posix } from 'node:path'
import { LowrankError } from '../../src/errors.js'
import type { Files } from '../../src/io/files.js'
import { memoryFiles } from '../../src/io/memory-files.js'
import { randomOf } from './random.js'
import { targets, type Content, type Target } from './targets.js'

/** What one case did. */
export interface Outcome {
  readonly format: string
  readonly number: number
  /** Bytes of the files given. */
  readonly bytes: number
  readonly milliseconds: number
  /** Growth of heap and buffers, in bytes, at the end of the case: what was made and not yet collected. */
  readonly memory: number
  /** Name of our error, or `read`. */
  readonly result: string
  /** What is wrong with it; undefined if all is well. */
  readonly failure: string | undefined
}

const polluted = (): boolean => 'polluted' in {} || Object.keys(Object.prototype).length > 0

/** Files in memory that note every path outside the model's folder. */
function watched(content: Content): { readonly files: Files; readonly escaped: Set<string> } {
  const escaped = new Set<string>()
  const files = new Proxy(memoryFiles(content), {
    get: (target, name: keyof Files) => {
      const method = target[name] as (...args: readonly unknown[]) => unknown
      return (...args: readonly unknown[]) => {
        const path = posix.normalize(String(args[0]).replaceAll('\\', '/'))
        if (path !== 'model' && !path.startsWith('model/')) escaped.add(String(args[0]))
        return method.apply(target, [...args])
      }
    },
  })
  return { files, escaped }
}

const memoryNow = (): number => {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Runs the case of a number. */
export async function runCase(format: string, target: Target, seed: number, number: number): Promise<Outcome> {
  const content = target.make(randomOf(seed, number))
  const { files, escaped } = watched(content)
  const before = memoryNow()
  const start = performance.now()
  let result = 'read'
  let failure: string | undefined
  try {
    await target.read(files)
  } catch (error) {
    result = error instanceof Error ? error.constructor.name : typeof error
    if (!(error instanceof LowrankError)) failure = `no error of ours: ${error instanceof Error ? error.stack : String(error)}`
    else if (error.message.trim() === '') failure = 'an error without a message'
  }
  const milliseconds = performance.now() - start
  if (escaped.size > 0) failure = `paths outside the folder: ${[...escaped].join(', ')}`
  if (polluted()) failure = 'Object.prototype was changed'
  const bytes = Object.values(content).reduce((sum, part) => sum + part.length, 0)
  return { format, number, bytes, milliseconds, memory: memoryNow() - before, result, failure }
}

/** The cases of a run, the formats mixed by their shares. */
export async function* runCases(cases: number, seed: number, only?: string): AsyncGenerator<Outcome> {
  const made = Object.entries(targets).filter(([name]) => only === undefined || name === only).map(([name, make]) => [name, make()] as const) // prettier-ignore
  const deck = made.flatMap(([name, target]) => Array<readonly [string, Target]>(target.share).fill([name, target]))
  for (let number = 0; number < cases; number++) {
    const [name, target] = deck[randomOf(seed, -2 - number).below(deck.length)]!
    yield await runCase(name, target, seed, number)
  }
}
