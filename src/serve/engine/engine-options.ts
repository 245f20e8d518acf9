/** @file What can be asked of an engine: checks, defaults, flags and their help. */
import type { Adapter, ContinuousBatchOptions, Model } from '../../public.js'
import { callback, whole } from '../../util/option-kinds.js'
import type { OptionTable, Resolved } from '../../util/option-table.js'

/** Where an adapter is that nobody has loaded yet. */
export interface FoundAdapter {
  /** A folder or a hub id. */
  readonly path: string
  /** Names of the base that its configuration may have; any by default. */
  readonly bases?: readonly string[]
}

/** Loads a folder or a hub id onto a model. */
export type LoadAdapter = (model: Model, path: string) => Promise<Adapter>

/** How adapters are found, loaded and held. */
export interface AdapterRegistryOptions {
  /** Loads a folder or a hub id onto the model; a folder among the files of the model's environment by default. */
  readonly loadAdapter?: LoadAdapter
  /** Finds an adapter by a name that was not loaded; undefined where there is none. */
  readonly findAdapter?: (name: string) => Promise<FoundAdapter | undefined>
  /** Most adapters of the texts that are written together, 8 by default; a text of others waits. */
  readonly maxLoras?: number
  /**
   * Most adapters in memory, `maxLoras` at least and 32 by default; those used longest ago make room for others, and are read from their
   * path again when a request names them.
   */
  readonly maxCpuLoras?: number
}

/** How an engine runs. */
export interface EngineOptions extends ContinuousBatchOptions, AdapterRegistryOptions {
  /** Most requests that wait for a place, 256 by default; those above are refused. */
  readonly maxQueue?: number
}

/** One row an option. The defaults of a batch are a server's. */
export const engineOptionTable = {
  maxRows: { is: whole(1), default: 16, flag: 'max-rows', help: 'Most texts that are written together.' },
  prefillTokens: {
    is: whole(1),
    default: 64,
    flag: 'prefill-tokens',
    help: 'Most tokens of prompts that are read between two tokens of the texts that run: more answers sooner, fewer more smoothly.',
  },
  prefixBytes: {
    is: whole(0),
    default: 256 * 1024 * 1024,
    flag: 'prefix-bytes',
    help: 'Bytes of memory for beginnings of prompts, a system prompt for one, that are kept to be used again.',
  },
  maxQueue: { is: whole(0), default: 256, flag: 'max-queue', help: 'Most requests that wait; those above get 429.' },
  maxLoras: {
    is: whole(1),
    default: 8,
    flag: 'max-loras',
    help: 'Most adapters of the texts that are written together; a text of others waits.',
  },
  maxCpuLoras: {
    is: whole(1),
    flag: 'max-cpu-loras',
    help: 'Most adapters in memory, 32 unless given; those used longest ago make room, and are read again when they are named.',
  },
  loadAdapter: { effect: callback },
  findAdapter: { effect: callback },
} as const satisfies OptionTable<EngineOptions>

/** The options with their defaults. */
export type ResolvedEngineOptions = Resolved<EngineOptions, typeof engineOptionTable>
