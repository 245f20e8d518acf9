/** @file The body of a request as JSON: no larger and no slower than is allowed. */
import { ApiError, invalidRequest } from './api-error.js'

/** How large a body may be, and how long it may take. */
export interface BodyLimits {
  /** Bytes. */
  readonly maxBodyBytes: number
  /** Milliseconds from the headers to the last byte. */
  readonly bodyTimeout: number
}

/**
 * @throws ApiError 413 for one that is too large, 408 for one that is too slow, 400 for one that is no JSON in UTF-8, or nests too deep
 */
export async function readJson(request: Request, limits: BodyLimits): Promise<unknown> {
  const text = await readText(request, limits)
  if (text.trim() === '') throw invalidRequest('The body is empty; a JSON object was expected.')
  const value = parse(text)
  if (isDeeperThan(value, DEEPEST))
    throw new ApiError(400, `The body nests lists and objects more than ${DEEPEST} deep.`, { code: 'json_too_deep' })
  return value
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ApiError(400, `The body is not valid JSON (${(cause as SyntaxError).message}).`, { code: 'invalid_json', cause })
  }
}

/** Lists and objects in each other, at most: what walks schemas, tools and messages does so by recursion, whose stack has an end. */
const DEEPEST = 256

/** Goes level by level. */
function isDeeperThan(value: unknown, most: number): boolean {
  let level = [value].filter(isNode)
  for (let depth = 0; level.length > 0; depth++) {
    if (depth === most) return true
    level = level.flatMap((node) => Object.values(node).filter(isNode))
  }
  return false
}

const isNode = (value: unknown): value is object => typeof value === 'object' && value !== null

async function readText(request: Request, { maxBodyBytes, bodyTimeout }: BodyLimits): Promise<string> {
  const tooLarge = (): ApiError =>
    new ApiError(413, `The body has more than the ${maxBodyBytes} bytes that this server takes.`, {
      code: 'body_too_large',
      headers: { connection: 'close' },
    })
  const length = request.headers.get('content-length')
  if (length !== null && Number(length) > maxBodyBytes) throw tooLarge()
  if (request.body === null) return ''
  const reader = request.body.getReader()
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      // The client is not to send it again at once, as after a 408 it would.
      reject(
        new ApiError(408, `The body took longer than ${bodyTimeout} ms.`, {
          code: 'body_timeout',
          headers: { connection: 'close', 'x-should-retry': 'false' },
        }),
      )
    }, bodyTimeout)
  })
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true })
    let [text, bytes] = ['', 0]
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late])
      if (done) return text + decoder.decode()
      bytes += value.byteLength
      if (bytes > maxBodyBytes) throw tooLarge()
      text += decoder.decode(value, { stream: true })
    }
  } catch (cause) {
    // What is still to come is not waited for.
    reader.cancel().catch(() => undefined)
    if (cause instanceof TypeError) throw new ApiError(400, 'The body is not valid UTF-8, or it broke off.', { cause })
    throw cause
  } finally {
    clearTimeout(timer)
  }
}
