/** @file The effects as Node has them. */
import { readFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import type { Environment } from './environment.js'
import { findDataset } from './hub/node-dataset.js'
import { nodeFiles } from './io/node-files.js'
import { nodeRuntime } from './runtime/ort-node.js'
import type { BaseScheme } from './quantize/index.js'
import { runtimeOptionKeys, type RuntimeOptions } from './runtime/runtime.js'
import { checkKeys, type OptionKeys } from './util/option-keys.js'

/** Where a model runs, and how its frozen weights are held. */
export interface EnvironmentOptions extends RuntimeOptions {
  /**
   * `fp32` by default. `int8` and `int4` quantise the frozen weights on first use, keep them in the cache folder, and take
   * a quarter and an eighth of the memory; adapters, norms and the loss stay in float32.
   */
  readonly base?: BaseScheme
  /**
   * Folder for packed weights and the hashes of large files, all of which can be made again. `$LOWRANK_CACHE` by default,
   * else `lowrank` in the user's cache folder (`$XDG_CACHE_HOME`, `~/.cache`, on Windows `%LOCALAPPDATA%`).
   */
  readonly cacheFolder?: string
}

function defaultCacheFolder(): string {
  const { LOWRANK_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env
  if (LOWRANK_CACHE) return resolve(LOWRANK_CACHE)
  if (process.platform === 'win32' && LOCALAPPDATA) return join(LOCALAPPDATA, 'lowrank', 'cache')
  // As the XDG base directory specification says, what is not absolute is ignored.
  if (XDG_CACHE_HOME && isAbsolute(XDG_CACHE_HOME)) return join(XDG_CACHE_HOME, 'lowrank')
  try {
    return join(homedir(), '.cache', 'lowrank')
  } catch {
    // A user whom the system does not know, as in some containers.
    return join(tmpdir(), `lowrank-${process.getuid?.() ?? 'cache'}`)
  }
}

export const environmentOptionKeys = {
  ...runtimeOptionKeys,
  base: true,
  cacheFolder: true,
} satisfies OptionKeys<EnvironmentOptions>

/**
 * Files, runtime, clock, memory and variables of this Node process.
 * @example
 * const environment = nodeEnvironment({ device: 'cpu', threads: 4 })
 * const model = await loadModel('./SmolLM2-135M', { environment })
 */
export function nodeEnvironment(options: EnvironmentOptions = {}): Environment {
  checkKeys(options, environmentOptionKeys, 'nodeEnvironment')
  return {
    files: nodeFiles(),
    cacheFolder: options.cacheFolder ?? defaultCacheFolder(),
    findDataset: (id) => findDataset(id),
    runtime: nodeRuntime(options),
    now: () => performance.now(),
    peakMemoryBytes,
    variables: process.env,
    ...(options.base !== undefined && { base: options.base }),
  }
}

/**
 * Largest resident memory of this process. Linux tells it in /proc; what `getrusage` says there is inherited from the
 * process that started this one, and may be far larger.
 */
function peakMemoryBytes(): number {
  try {
    const kibibytes = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    if (kibibytes !== undefined) return Number(kibibytes) * 1024
  } catch {
    // No /proc: not Linux.
  }
  return process.resourceUsage().maxRSS * 1024
}
