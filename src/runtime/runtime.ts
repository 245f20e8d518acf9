/** @file What lowrank needs of a runtime. The implementations are the only files that import onnxruntime. */
import type { Graph } from '../graph/graph.js'
import type { HostTensor } from '../graph/types.js'
import type { OptionKeys } from '../util/option-keys.js'
import { callback } from '../util/option-kinds.js'

/** Where graphs run. `cpu` and `cuda` are of Node, `wasm` is WebAssembly, `webgpu` a page's or Node's GPU. */
export type Device = 'cpu' | 'webgpu' | 'wasm' | 'cuda'

export const devices: readonly Device[] = ['cpu', 'webgpu', 'wasm', 'cuda']

/** Where graphs run. */
export interface RuntimeOptions {
  /** Where the graph runs; `cpu` by default. */
  readonly device?: Device
  /** Threads inside one operator; the runtime's own choice (all cores; in WebAssembly half of them, at most 4) by default. */
  readonly threads?: number
  /** Told what a device leaves to the CPU, for example. */
  readonly onWarning?: (message: string) => void
}

export const runtimeOptionKeys = { device: true, threads: true, onWarning: callback } satisfies OptionKeys<RuntimeOptions>

/** How a graph is compiled. */
export interface SessionOptions {
  /** Write the runtime's profile (JSON trace) to files that start with this path. */
  readonly profile?: string
  /** Keep weights once instead of also packed for each product: less memory, slower products. */
  readonly disablePrepacking?: boolean
}

/** A compiled graph. */
export interface Session {
  /**
   * Runs the graph once.
   * @param feeds a tensor for every graph input
   * @returns the graph's outputs by name
   */
  run(feeds: Readonly<Record<string, HostTensor>>): Promise<Record<string, HostTensor>>
  /** Frees it. */
  release(): Promise<void>
}

/** What runs ONNX graphs. */
export interface Runtime {
  /** Where it runs them. */
  readonly device: Device
  /** Compiles a graph. @throws RuntimeError if the runtime refuses it */
  createSession(graph: Graph, options?: SessionOptions): Promise<Session>
}
