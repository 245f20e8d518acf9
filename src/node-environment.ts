/** @file The effects as Node has them. */
import type { Environment } from './core/environment.js'
import { nodeFiles } from './io/node-files.js'
import { nodeRuntime } from './runtime/ort-node.js'
import type { RuntimeOptions } from './runtime/runtime.js'

/** Files, runtime, clock and memory of this Node process. */
export const nodeEnvironment = (options: RuntimeOptions = {}): Environment => ({
  files: nodeFiles(),
  runtime: nodeRuntime(options),
  now: () => performance.now(),
  peakMemoryBytes: () => process.resourceUsage().maxRSS * 1024,
})
