/** @file What can be asked of a server: checks, defaults, flags and their help. */
import { atLeast, callback, kind, text, toggle, whole, type Kind } from '../util/option-kinds.js'
import { isObject } from '../util/json.js'
import type { OptionTable, Resolved } from '../util/option-table.js'
import { engineOptionTable, type EngineOptions } from './engine/engine-options.js'
import type { RequestRecord } from './http/request-record.js'

/** How a server answers, and whom. */
export interface ServerOptions extends EngineOptions {
  /** What the base model is called in requests and answers; the last part of its path, or its hub id, by default. */
  readonly modelName?: string
  /** Adapters that are loaded before the first request: a folder or hub id by its name in requests. */
  readonly adapters?: Readonly<Record<string, string>>
  /** How much adapters count in requests that name none, by name; not at all by default. */
  readonly defaultScales?: Readonly<Record<string, number>>
  /** Folder in which adapters lie by their names: one that a request names is loaded when it is first asked for. */
  readonly adaptersFolder?: string
  /** Hub ids of adapters that requests may name, as patterns: `owner/*`. None by default. */
  readonly allowHub?: readonly string[]
  /** Whether requests may load, replace and unload adapters, and set default scales. False by default. */
  readonly allowRuntimeAdapters?: boolean
  /** Keys, one of which a request must show as `Authorization: Bearer KEY`; whoever comes may ask by default. */
  readonly apiKeys?: readonly string[]
  /** Origins whose pages may ask (CORS), `*` for all; none by default. */
  readonly cors?: readonly string[]
  /**
   * Names by which the server may be asked (the header Host, without the port); any by default. A page can give its own name the address
   * of this machine, and then ask as if the server were its own.
   */
  readonly hosts?: readonly string[]
  /** Largest body of a request in bytes, 4194304 by default (4 MiB). */
  readonly maxBodyBytes?: number
  /** Seconds that a body may take to arrive, 30 by default. */
  readonly bodyTimeout?: number
  /** Seconds that a request may take, the wait for its turn included; as long as it takes by default. */
  readonly timeout?: number
  /** Seconds of silence after which a stream sends a comment, 15 by default: proxies close connections that seem unused. */
  readonly keepAlive?: number
  /** Told of each request when it is done. */
  readonly onRequest?: (record: RequestRecord) => void
  /** Told of each mistake that is ours, beside the answer 500 that the client gets. */
  readonly onError?: (error: unknown, record: RequestRecord) => void
}

const texts: Kind<readonly string[], 'texts'> = kind(
  'texts',
  'be a list of texts, none of them empty',
  (value) => Array.isArray(value) && value.every((each) => typeof each === 'string' && each !== ''),
)

const paths: Kind<Readonly<Record<string, string>>, 'texts'> = kind(
  'texts',
  "give folders or hub ids by name, such as { poet: './poet' }",
  (value) =>
    isObject(value) && Object.entries(value).every(([name, path]) => name !== '' && typeof path === 'string' && path !== ''),
)

const numbers: Kind<Readonly<Record<string, number>>, 'mapping'> = kind(
  'mapping',
  'give finite numbers by name, such as { poet: 0.5 }',
  (value) => isObject(value) && Object.values(value).every((each) => Number.isFinite(each)),
)

/** One row an option; the command line reads its flags from here. */
export const serverOptionTable = {
  modelName: {
    is: text,
    flag: { name: 'model-name', value: 'NAME' },
    help: 'What the base model is called in requests; the last part of its path, or its hub id, unless given.',
  },
  adapters: { is: paths, flag: null, help: 'Adapters that are loaded before the first request.' },
  defaultScales: {
    is: numbers,
    flag: { name: 'default-scale', value: 'NAME=X,…' },
    help: 'How much adapters count in requests that name none; not at all unless given.',
  },
  adaptersFolder: {
    is: text,
    flag: { name: 'adapters-dir', value: 'DIR' },
    help: 'Folder in which adapters lie by their names; one that a request names is loaded when it is first asked for.',
  },
  allowHub: {
    is: texts,
    flag: { name: 'allow-hub', value: 'PATTERN…' },
    help: "Hub ids of adapters that requests may name, such as 'me/*'; may be repeated.",
  },
  allowRuntimeAdapters: {
    is: toggle,
    default: false,
    flag: 'allow-runtime-adapters',
    help: 'Requests may load, replace and unload adapters and set default scales; also VLLM_ALLOW_RUNTIME_LORA_UPDATING=1.',
  },
  apiKeys: {
    is: texts,
    flag: { name: 'api-key', value: 'KEY…' },
    help: 'A request must show one of these as a bearer token; may be repeated. Also LOWRANK_API_KEY, which no list of processes shows.',
  },
  cors: { is: texts, flag: { name: 'cors', value: 'ORIGIN…' }, help: 'Origins whose pages may ask, * for all; may be repeated.' },
  ...engineOptionTable,
  hosts: {
    is: texts,
    flag: { name: 'allow-host', value: 'NAME…' },
    help: "Names by which the server may be asked; of one that only this machine reaches, this machine's own unless given.",
  },
  maxBodyBytes: { is: whole(1), default: 4 * 1024 * 1024, flag: 'max-body-bytes', help: 'Largest body of a request in bytes.' },
  bodyTimeout: { is: atLeast(0.001), default: 30, flag: 'body-timeout', help: 'Seconds that a body may take to arrive.' },
  timeout: {
    is: atLeast(0.001),
    flag: 'timeout',
    help: 'Seconds that a request may take, the wait for its turn included; as long as it takes unless given.',
  },
  keepAlive: {
    is: atLeast(0.001),
    default: 15,
    flag: 'keep-alive',
    help: 'Seconds of silence after which a stream sends a comment.',
  },
  onRequest: { effect: callback },
  onError: { effect: callback },
} as const satisfies OptionTable<ServerOptions>

/** The options with their defaults. */
export type ResolvedServerOptions = Resolved<ServerOptions, typeof serverOptionTable>
