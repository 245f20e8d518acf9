/** @file `lowrank/serve`: a model and its adapters behind a fetch handler, in any runtime. */
export { createServer, type Server } from './server.js'
export type { ServerOptions } from './options.js'
export type { RequestRecord } from './http/request-record.js'
export { Engine, type EngineOptions } from './engine/engine.js'
export { AdapterRegistry, type AdapterRegistryOptions, type FoundAdapter, type LoadOptions } from './engine/adapter-registry.js'
export type { RegisteredAdapter } from './engine/loaded-adapter.js'
export type { TextRequest, TextRequestOptions, TextResult, UsedAdapter } from './engine/text-request.js'
export { AdapterExistsError, DeadlineError, DrainingError, QueueFullError, UnknownAdapterError } from './engine/errors.js'
