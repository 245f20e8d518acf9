/** @file The effects that the library needs, gathered so that they come in as one argument. */
import type { Files } from './io/files.js'
import type { BaseScheme } from './quantize/index.js'
import type { Runtime } from './runtime/runtime.js'

/** Files, a runtime and a clock: all the effects that the library has. */
export interface Environment {
  /** Where models, rows and results lie. */
  readonly files: Files
  /** What runs graphs. */
  readonly runtime: Runtime
  /** How the frozen weights of models are held while they run; `fp32` by default. */
  readonly base?: BaseScheme
  /** Folder for what is made from models and can be made again; beside the model without it. */
  readonly cacheFolder?: string
  /**
   * The files of a data set of the hub, `hf:owner/name[:config][@split]`, as paths or addresses that `files` can read. Without
   * it such data is refused.
   */
  readonly findDataset?: (id: string) => Promise<readonly string[]>
  /** Milliseconds from any fixed point, for throughput. */
  readonly now: () => number
  /** Largest resident memory of the process so far, 0 where the platform does not tell. */
  readonly peakMemoryBytes: () => number
  /** Variables by their names, which say where trackers are (`MLFLOW_TRACKING_URI`); none by default. */
  readonly variables?: Readonly<Record<string, string | undefined>>
}
