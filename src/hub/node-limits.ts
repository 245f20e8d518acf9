/** @file Bounds on what a server may send: how much, how often and how slowly. */
import { HubError } from '../errors.js'

/** Largest answer that is not a file: lists of files come in pages of a thousand, under 1 MB each. */
const MAX_ANSWER = 32 * 2 ** 20

/** Largest error that is read; its message is a sentence. */
const MAX_ERROR = 64 * 2 ** 10

/** Answers that one look at a repository may take: pages of its list, mainly. */
export const MAX_ANSWERS = 500

/** Files that are looked at. */
export const MAX_FILES = 100_000

/** Milliseconds without a byte after which a connection counts as broken. */
const STALL = 60_000

/** Thrown where a server stops sending. */
const stalled = (stall: number): Error => new Error(`the server sent nothing for ${stall / 1000} seconds`)

/** A request that is given up when no answer begins within `stall` milliseconds. */
export async function fetchWithin(
  base: typeof fetch,
  input: RequestInfo | URL,
  init: RequestInit | undefined,
  stall = STALL,
): Promise<Response> {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(stalled(stall)), stall)
  try {
    return await base(input, { ...init, signal: controller.signal })
  } finally {
    clearTimeout(timer)
  }
}

/** The chunks of a body; ends in an error where none comes within `stall` milliseconds. */
export async function* unstalled(body: ReadableStream<Uint8Array>, stall = STALL): AsyncGenerator<Uint8Array> {
  const reader = body.getReader()
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(stalled(stall)), stall)))
      const { value, done } = await Promise.race([reader.read(), late]).finally(() => clearTimeout(timer))
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** The same answer with its body read, for a body of bounded size. @throws HubError if it is larger */
export async function bounded(response: Response, what: string, stall = STALL): Promise<Response> {
  if (response.body === null) return response
  const limit = response.ok ? MAX_ANSWER : MAX_ERROR
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of unstalled(response.body, stall)) {
    parts.push(part)
    size += part.length
    if (size <= limit) continue
    if (response.ok)
      throw new HubError(`${what} answered with more than ${limit / 2 ** 20} MiB where a list or a description was asked for`)
    // An error of that size says nothing: the status does.
    parts.length = 0
    break
  }
  const { status, statusText } = response
  const headers = size > limit ? new Headers() : response.headers
  const body = Buffer.concat(parts)
  const result = new Response(status === 204 || status === 304 ? null : body, { status, statusText, headers })
  Object.defineProperty(result, 'url', { value: response.url })
  return result
}
