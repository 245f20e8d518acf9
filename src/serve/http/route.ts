/** @file One endpoint as data: the app, its errors and the OpenAPI document come from a list of these. */
import type { z } from 'zod'
import type { Service } from '../service.js'
import type { RequestRecord } from './request-record.js'

/** A request with all that answers it. */
export interface Exchange<Body = unknown> {
  readonly service: Service
  /** As the route's schema gives it. */
  readonly body: Body
  /** Parts of the path. */
  readonly params: Readonly<Record<string, string>>
  readonly request: Request
  /** Which API key was shown. */
  readonly holder: string | undefined
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal
  /** Ends what runs for the request. */
  abort(): void
  /** What the log will tell. */
  readonly record: RequestRecord
  /** The end of an answer that is still written when its route has returned. */
  lasts(answer: Promise<void>): void
}

/** What an answer is. */
export type Answer =
  | { readonly json: z.ZodType; readonly events?: z.ZodType | undefined }
  /** A media type such as `text/plain`. */
  | { readonly media: string }

/** An endpoint. */
export interface Route<Body = unknown> {
  readonly method: 'get' | 'post'
  /** As OpenAPI writes it: `/v1/models/{model}`; a name ending in `+` takes slashes too. */
  readonly path: string
  /** Other paths of the same. */
  readonly aliases?: readonly string[]
  readonly summary: string
  /** Whether it answers without an API key. */
  readonly open?: true
  readonly body?: z.ZodType<Body>
  readonly answer: Answer
  handle(exchange: Exchange<Body>): Promise<Response> | Response
}

/** Keeps the type of a route's body through the list of routes. */
export const defineRoute = <Body>(route: Route<Body>): Route => route as unknown as Route
