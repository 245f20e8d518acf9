/** @file What a client is told that went wrong: a status and a body as OpenAI's clients read it. */
import type { z } from 'zod'
import { InvalidAdapterError, InvalidDataError, InvalidOptionError, LowrankError } from '../../public.js'
import { AdapterExistsError, DeadlineError, DrainingError, QueueFullError, UnknownAdapterError } from '../engine/errors.js'

/** What of an error is more than its status and message. */
export interface ApiErrorDetails {
  /** Kind of error, `invalid_request_error` by default. */
  readonly type?: string
  /** Field of the request that it is about. */
  readonly param?: string
  /** For programs: `model_not_found`, … */
  readonly code?: string | number
  readonly headers?: Readonly<Record<string, string>>
  readonly cause?: unknown
}

/** An error that a client is told. */
export class ApiError extends LowrankError {
  private readonly details: ApiErrorDetails

  constructor(
    readonly status: number,
    message: string,
    { cause, ...details }: ApiErrorDetails = {},
  ) {
    super(message, { cause })
    this.details = details
  }

  /** The body: `{"error": {"message", "type", "param", "code"}}`. */
  get body(): { readonly error: Readonly<Record<'message' | 'type' | 'param' | 'code', string | number | null>> } {
    const { type = 'invalid_request_error', param = null, code = null } = this.details
    return { error: { message: this.message, type, param, code } }
  }

  /** The answer as a whole. */
  response(): Response {
    return Response.json(this.body, { status: this.status, headers: { ...this.details.headers } })
  }
}

/** A request that cannot be honoured as it is. @param param the field that it is about */
export const invalidRequest = (message: string, param?: string, code?: string): ApiError =>
  new ApiError(400, message, { ...(param !== undefined && { param }), ...(code !== undefined && { code }) })

/** An unknown name under `model` or in `lora`. */
export const modelNotFound = (name: string, param = 'model', cause?: unknown): ApiError =>
  new ApiError(404, `The model \`${name}\` does not exist. GET /v1/models lists those that do.`, {
    param,
    code: 'model_not_found',
    cause,
  })

/** Clients of OpenAI try again after statuses from 500 on; this tells them not to. */
const NO_RETRY = { 'x-should-retry': 'false' }

/** What messages of the library name that a client is not to learn: where models and adapters lie. */
interface Private {
  readonly model: { readonly path: string }
  readonly modelName: string
  readonly options: { readonly adaptersFolder?: string }
}

/** A message of the library as a client may read it. A path of one part is a word, which says of no place and may be in any text. */
export const withoutPlaces = (message: string, { model, modelName, options: { adaptersFolder } }: Private): string => {
  const hidden = /[/\\]/.test(model.path) ? message.replaceAll(model.path, modelName) : message
  return adaptersFolder === undefined ? hidden : hidden.replaceAll(`${adaptersFolder.replace(/\/+$/, '')}/`, '')
}

/** What a client is told of anything that was thrown. Of our own mistakes it learns nothing but that they happened. */
export function apiErrorOf(error: unknown, hidden?: Private): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof QueueFullError)
    return new ApiError(429, error.message, {
      type: 'rate_limit_error',
      code: 'queue_full',
      headers: { 'retry-after': String(Math.max(1, Math.ceil(error.retryAfter))) },
      cause: error,
    })
  if (error instanceof UnknownAdapterError) return modelNotFound(error.adapter, 'model', error)
  if (error instanceof DeadlineError)
    return new ApiError(504, error.message, { type: 'timeout_error', code: 'timeout', headers: NO_RETRY, cause: error })
  if (error instanceof DrainingError) return unavailable(error.message, error)
  if (error instanceof InvalidOptionError || error instanceof InvalidDataError || error instanceof InvalidAdapterError) {
    const message = hidden === undefined ? error.message : withoutPlaces(error.message, hidden)
    return new ApiError(400, message, { cause: error })
  }
  if (error instanceof AdapterExistsError)
    return new ApiError(400, error.message, { type: 'InvalidUserInput', code: 400, cause: error })
  return new ApiError(500, 'The server had an error while it answered the request; its log says which, under the x-request-id.', {
    type: 'server_error',
    code: 'internal_error',
    headers: NO_RETRY,
    cause: error,
  })
}

/** The server takes no requests now. */
export const unavailable = (message: string, cause?: unknown): ApiError =>
  new ApiError(503, message, { type: 'unavailable_error', code: 503, headers: { 'retry-after': '1' }, cause })

/** The first thing that a schema objects to, with the field as a program would write it: `messages[0].content`. */
export function schemaError(error: z.ZodError): ApiError {
  const issue = deepest(error.issues[0]!)
  const param = pathOf(issue.path)
  return invalidRequest(`${param === '' ? 'The body' : `\`${param}\``}: ${issue.message}`, param === '' ? undefined : param)
}

/** Of a union that nothing fits, the objection of the member that came furthest; of a key what is wrong with it. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code === 'invalid_key') return { ...issue, message: issue.issues[0]?.message ?? issue.message }
  if (issue.code !== 'invalid_union') return issue
  const inner = issue.errors.flatMap((issues) => issues.slice(0, 1)).map(deepest)
  const best = inner.reduce<z.core.$ZodIssue | undefined>(
    (found, each) => (each.path.length > (found?.path.length ?? 0) ? each : found),
    undefined,
  )
  return best === undefined ? issue : { ...best, path: [...issue.path, ...best.path] }
}

const pathOf = (path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`),
    '',
  )
