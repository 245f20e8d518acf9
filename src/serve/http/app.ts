/** @file Routes behind one door: names of requests, keys, bodies, errors, the log. */
import { Hono, type Context } from 'hono'
import { cors } from 'hono/cors'
import { FileError, HubError } from '../../public.js'
import type { Service } from '../service.js'
import { ApiError, apiErrorOf, schemaError } from './api-error.js'
import { readJson } from './body.js'
import { checkHost, checkOrigin } from './origin.js'
import type { RequestRecord } from './request-record.js'
import type { Exchange, Route } from './route.js'

/** What of an exchange is there before its body is read. */
type Opened = Omit<Exchange, 'body' | 'holder'>

/** The app of some routes. Whatever goes wrong in it is answered as an error of OpenAI's API is. */
export function createApp(service: Service, routes: readonly Route[]): Hono {
  const app = new Hono()
  const { cors: origins } = service.options
  if (origins !== undefined) {
    const origin = origins.includes('*') ? '*' : [...origins]
    // Headers that are asked for are allowed: clients send some of their own, which name their version and platform.
    app.use(cors({ origin, exposeHeaders: ['x-request-id', 'openai-processing-ms', 'retry-after'], maxAge: 600 }))
  }
  const methods = new Map<string, string[]>()
  for (const route of routes)
    for (const path of [route.path, ...(route.aliases ?? [])]) {
      app.on(route.method, pattern(path), (context) => respond(service, context, route.path, (opened) => answer(route, opened)))
      methods.set(path, [...(methods.get(path) ?? []), route.method.toUpperCase()])
    }
  for (const [path, allowed] of methods)
    app.all(pattern(path), (context) => respond(service, context, path, () => refuseMethod(context.req.method, allowed)))
  app.notFound((context) => respond(service, context, undefined, () => refusePath(context)))
  app.onError((error) => apiErrorOf(error).response())
  return app
}

/** `/v1/models/{model+}` as hono writes it. */
const pattern = (path: string): string =>
  path.replace(/\{(\w+)(\+?)\}/g, (_, name: string, many: string) => `:${name}${many === '' ? '' : '{.+}'}`)

async function answer(route: Route, opened: Opened): Promise<Response> {
  const { service, request, record } = opened
  if (route.open !== true) checkHost(request, service.options)
  const holder = route.open === true ? undefined : await service.keys.holder(request.headers)
  if (holder !== undefined) record.key = holder
  checkOrigin(request, service.options)
  return route.handle({ ...opened, body: await bodyOf(route, opened), holder })
}

async function bodyOf({ body: schema }: Route, { service: { options }, request }: Opened): Promise<unknown> {
  if (schema === undefined) return undefined
  const given = await readJson(request, { maxBodyBytes: options.maxBodyBytes, bodyTimeout: options.bodyTimeout * 1000 })
  const parsed = schema.safeParse(given)
  if (!parsed.success) throw schemaError(parsed.error)
  return parsed.data
}

function refuseMethod(method: string, allowed: readonly string[]): never {
  throw new ApiError(405, `${method} is not allowed here, ${allowed.join(' and ')} is.`, {
    code: 'method_not_allowed',
    headers: { allow: allowed.join(', ') },
  })
}

function refusePath({ req }: Context): never {
  throw new ApiError(404, `Unknown request URL: ${req.method} ${req.path}. GET /openapi.json lists those that are known.`, {
    code: 'unknown_url',
  })
}

/** A name that a proxy in front gave the request. */
const GIVEN_ID = /^[\w.-]{1,128}$/

/** @param endpoint the route's path; undefined where there is none */
async function respond(
  service: Service,
  { req }: Context,
  endpoint: string | undefined,
  work: (opened: Opened) => Promise<Response> | Response,
): Promise<Response> {
  const started = performance.now()
  const given = req.header('x-request-id') ?? ''
  const id = GIVEN_ID.test(given) ? given : `req-${crypto.randomUUID()}`
  const record: RequestRecord = {
    ...{ time: new Date().toISOString(), id, method: req.method },
    ...{ path: endpoint ?? req.path.slice(0, 256), status: 500, milliseconds: 0 },
  }
  const { raw: request } = req
  const abortion = new AbortController()
  const abort = (): void => abortion.abort()
  if (request.signal.aborted) abort()
  request.signal.addEventListener('abort', abort, { once: true })
  let lasting: Promise<void> | undefined
  const opened: Opened = {
    ...{ service, request, record, params: req.param(), signal: abortion.signal, abort },
    lasts: (answer) => {
      lasting = answer
    },
  }
  const finish = (): void => {
    request.signal.removeEventListener('abort', abort)
    if (abortion.signal.aborted) record.aborted = true
    record.milliseconds = Math.round(performance.now() - started)
    service.metrics.done(record, endpoint ?? 'unknown')
    service.options.onRequest?.(record)
  }
  let response: Response
  try {
    response = await work(opened)
  } catch (error) {
    response = tell(error, opened).response()
  }
  record.status = response.status
  response.headers.set('x-request-id', id)
  response.headers.set('openai-processing-ms', String(Math.round(performance.now() - started)))
  if (lasting === undefined) finish()
  else void lasting.then(finish)
  return response
}

/** What a client is told of an error; the log learns of it, and of a mistake of ours all. */
export function tell(thrown: unknown, { service, record }: Pick<Opened, 'service' | 'record'>): ApiError {
  const error = apiErrorOf(thrown, service)
  record.error = error.message
  // Why an adapter could not be read names places of the server, which its owner alone is told.
  const { cause } = error
  if (cause instanceof HubError || cause instanceof FileError) record.error += ` (${cause.name}: ${cause.message})`
  if (error.status === 500) {
    record.error = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
    service.options.onError?.(thrown, record)
  }
  return error
}
