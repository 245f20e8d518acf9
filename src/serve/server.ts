/** @file A server of a model: an app for requests, and the engine behind it. */
import { InvalidOptionError, type Adapter, type Model } from '../public.js'
import { checkKeys, pickKeys } from '../util/option-keys.js'
import { resolveOptions } from '../util/option-table.js'
import { AdapterPlaces } from './adapter-places.js'
import { OneByOne } from './encode/one-by-one.js'
import { Engine } from './engine/engine.js'
import { engineOptionTable } from './engine/engine-options.js'
import { ApiKeys } from './http/api-keys.js'
import { createApp } from './http/app.js'
import { serverOptionTable, type ResolvedServerOptions, type ServerOptions } from './options.js'
import { routes } from './routes/index.js'
import { ServerMetrics } from './server-metrics.js'
import type { Service } from './service.js'
import { secondsNow } from './text/answer-header.js'
import { publicName } from './text/model-name.js'
import { warmUp } from './warm-up.js'

/** A server that is told of requests by whoever has them: a socket, a service worker, a test. */
export interface Server {
  /** Answers a request. Never rejects: what goes wrong is an answer too. */
  fetch(request: Request): Promise<Response>
  /** What the base model is called in requests. */
  readonly modelName: string
  /** What writes the texts, and the adapters. */
  readonly engine: Engine
  /**
   * Makes the first request as quick as the others: what is compiled at first use is compiled now. `/ready` says yes after it.
   * @throws what the runtime throws
   */
  warmUp(): Promise<void>
  /** Takes no more requests. @returns when all that were taken are answered; the model stays open */
  close(): Promise<void>
}

/**
 * Serves a model and its adapters over HTTP, as clients of OpenAI, vLLM and llama.cpp ask for them.
 * @param model what answers; a language model for texts, one with a head for embeddings, classes, tags and answers
 * @throws InvalidOptionError for options that are unknown or out of range; what loading the adapters throws
 * @example
 * const server = await createServer(await loadModel('./SmolLM2-135M-Instruct'), { adapters: { sql: './sql-adapter' } })
 * await server.warmUp()
 * const answer = await server.fetch(
 *   new Request('http://localhost/v1/chat/completions', {
 *     method: 'POST',
 *     body: JSON.stringify({ model: 'sql', messages: [{ role: 'user', content: 'How many users are there?' }] }),
 *   }),
 * )
 */
export async function createServer(model: Model, options: ServerOptions = {}): Promise<Server> {
  checkKeys(options, serverOptionTable, 'createServer')
  const resolved = resolveOptions(serverOptionTable, options, 'createServer')
  const service = await openService(model, resolved)
  const app = createApp(service, routes)
  return {
    fetch: async (request) => app.fetch(request),
    modelName: service.modelName,
    engine: service.engine,
    async warmUp() {
      await warmUp(service)
      if (service.state === 'warming') service.state = 'ready'
    },
    async close() {
      service.state = 'draining'
      await Promise.all([service.engine.drain(), service.encoders.drain()])
    },
  }
}

async function openService(given: Model, options: ResolvedServerOptions): Promise<Service> {
  const adapters = Object.entries(options.adapters ?? {})
  const model = await modelOf(given, options, adapters)
  const modelName = options.modelName ?? publicName(model.id)
  const taken = adapters.find(([name]) => name === modelName)
  if (taken !== undefined)
    throw new InvalidOptionError(`adapters: "${modelName}" is the name of the base model; choose another, or give modelName`)
  const places = new AdapterPlaces(model.environment.files, options.adaptersFolder, options.allowHub ?? [], [
    ...new Set([model.id, modelName]),
  ])
  const engine = new Engine(model, {
    ...pickKeys(options, engineOptionTable),
    findAdapter: options.findAdapter ?? ((name) => places.find(name)),
  })
  const { defaultScales = {} } = options
  const strange = Object.keys(defaultScales).find((name) => options.adapters?.[name] === undefined)
  if (strange !== undefined) throw new InvalidOptionError(`defaultScales: there is no adapter "${strange}" in adapters`)
  for (const [name, path] of adapters) await engine.adapters.load(name, path, { defaultScale: defaultScales[name] ?? 0 })
  return {
    ...{ engine, model, modelName, options, places },
    tokenizer: await model.tokenizer(),
    keys: new ApiKeys(options.apiKeys ?? []),
    metrics: new ServerMetrics(engine),
    encoders: new OneByOne(options.maxQueue),
    created: secondsNow(),
    state: 'warming',
  }
}

/** The model that the adapters stand on: one that brings a head brings the model with that head. */
async function modelOf(
  model: Model,
  { loadAdapter }: ResolvedServerOptions,
  [first]: readonly (readonly [name: string, path: string])[],
): Promise<Model> {
  if (first === undefined || loadAdapter === undefined || model.task.name === 'causal-lm') return model
  const adapter: Adapter = await loadAdapter(model, first[1])
  return adapter.model
}
