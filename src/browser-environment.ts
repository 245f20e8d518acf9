/** @file The effects as a page has them. */
import type { Environment } from './environment.js'
import { InvalidOptionError } from './errors.js'
import { findDatasetUrls } from './hub/dataset-urls.js'
import type { Files } from './io/files.js'
import { memoryFiles } from './io/memory-files.js'
import { urlFiles } from './io/url-files.js'
import { webRuntime } from './runtime/ort-web.js'
import { runtimeOptionKeys, type RuntimeOptions } from './runtime/runtime.js'
import { checkKeys, type OptionKeys } from './util/option-keys.js'

/** Where a page runs models and where its files lie. */
export interface BrowserOptions extends RuntimeOptions {
  /** `webgpu` or `wasm`; `wasm` by default. */
  readonly device?: 'wasm' | 'webgpu'
  /**
   * Folder (URL with `/` at its end) of the runtime's `.mjs` and `.wasm` files, where a bundler does not place them beside
   * its output. Copies of `node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded*`.
   */
  readonly wasmPaths?: string
  /** Where paths that are not URLs lie: `memoryFiles`, which is the default, or `handleFiles`. */
  readonly files?: Files
}

export const browserOptionKeys = { ...runtimeOptionKeys, wasmPaths: true, files: true } satisfies OptionKeys<BrowserOptions>

/**
 * Files, runtime and clock of this page. Paths that start with `https:` or `blob:` are fetched, all others are in `files`.
 * @throws InvalidOptionError for a device that a page does not have
 * @example
 * const environment = browserEnvironment({ device: 'webgpu', files: memoryFiles() })
 */
export function browserEnvironment(options: BrowserOptions = {}): Environment {
  checkKeys(options, browserOptionKeys, 'browserEnvironment')
  const { device = 'wasm', files: store = memoryFiles(), ...rest } = options
  if (device !== 'wasm' && device !== 'webgpu')
    throw new InvalidOptionError(`device "${device as string}" does not exist in a browser; expected wasm or webgpu`)
  const files = urlFiles(store)
  return {
    files,
    findDataset: (id) => findDatasetUrls(id),
    runtime: webRuntime({ ...rest, device, files }),
    now: () => performance.now(),
    peakMemoryBytes: () => 0,
  }
}
