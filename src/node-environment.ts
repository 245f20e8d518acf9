/** @file The effects as Node has them. */
import { readFileSync } from 'node:fs'
import type { Environment } from './core/environment.js'
import { nodeFiles } from './io/node-files.js'
import { nodeRuntime } from './runtime/ort-node.js'
import type { RuntimeOptions } from './runtime/runtime.js'

/** Files, runtime, clock and memory of this Node process. */
export const nodeEnvironment = (options: RuntimeOptions = {}): Environment => ({
  files: nodeFiles(),
  runtime: nodeRuntime(options),
  now: () => performance.now(),
  peakMemoryBytes,
})

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
