/** @file JSON over HTTP, as trackers take it: short, with one word for "will not take this". */
import { Refused } from './outbox.js'

/** Milliseconds that an answer may take. */
const TIMEOUT_MS = 5000

/** A tracker's address and how it knows us. */
export interface Endpoint {
  /** Without a `/` at its end. */
  readonly base: string
  readonly headers: Readonly<Record<string, string>>
}

/** An answer that is no success. */
export class HttpRefused extends Refused {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

/**
 * Sends JSON and reads JSON.
 * @param body makes it a POST
 * @throws HttpRefused if the server will not take it, whenever it is asked again; Error if it may another time
 */
export async function askJson(
  { base, headers }: Endpoint,
  path: string,
  signal: AbortSignal,
  body?: object,
): Promise<Record<string, unknown>> {
  const response = await fetch(`${base}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { ...headers, ...(body !== undefined && { 'Content-Type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    // Tokens are for this address alone.
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
  }).catch((cause: unknown) => {
    throw new Error(`${base} cannot be reached`, { cause })
  })
  const text = await response.text()
  if (response.ok) return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
  const message = `${base}${path} answers ${response.status}: ${text.slice(0, 300)}`
  const passing = response.status >= 500 || response.status === 408 || response.status === 429
  throw passing ? new Error(message) : new HttpRefused(response.status, message)
}

/** JSON has no number that is not finite; servers in Python read these words. */
export const jsonNumber = (value: number): number | string =>
  Number.isFinite(value) ? value : Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity'
