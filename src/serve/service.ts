/** @file What the routes of a server share. */
import type { Model, Tokenizer } from '../public.js'
import type { AdapterPlaces } from './adapter-places.js'
import type { OneByOne } from './encode/one-by-one.js'
import type { Engine } from './engine/engine.js'
import type { ApiKeys } from './http/api-keys.js'
import type { ResolvedServerOptions } from './options.js'
import type { ServerMetrics } from './server-metrics.js'

/** A server from within. */
export interface Service {
  readonly engine: Engine
  readonly model: Model
  /** What the base model is called. */
  readonly modelName: string
  readonly tokenizer: Tokenizer | undefined
  readonly options: ResolvedServerOptions
  readonly keys: ApiKeys
  readonly metrics: ServerMetrics
  /** Where requests may have adapters loaded from. */
  readonly places: AdapterPlaces
  /** What encoders are asked. */
  readonly encoders: OneByOne
  /** When it began, in seconds since 1970. */
  readonly created: number
  /** Where it is between its beginning and its end. */
  state: 'warming' | 'ready' | 'draining'
}
