/** @file JSON of strangers: parsed as `JSON.parse` does, but for nesting so deep that whoever walks the value runs out of stack. */
import type { Files } from '../io/files.js'

/** No file that we read is nested by more than a dozen. */
const MAX_DEPTH = 100

/** Whether objects and lists lie deeper in one another than {@link MAX_DEPTH}. */
function isTooDeep(text: string): boolean {
  // Each level takes a bracket at its beginning and one at its end.
  if (text.length <= 2 * MAX_DEPTH) return false
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (inString) {
      if (c === 92) i++
      else if (c === 34) inString = false
    } else if (c === 34) inString = true
    else if (c === 123 || c === 91) {
      if (++depth > MAX_DEPTH) return true
    } else if (c === 125 || c === 93) depth--
  }
  return false
}

/** @throws SyntaxError for a text that is no JSON, or nested too deeply to be a file of ours */
export function parseJson(text: string): unknown {
  if (isTooDeep(text)) throw new SyntaxError(`it is nested more than ${MAX_DEPTH} deep`)
  return JSON.parse(text)
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The error for a file that is not as it should be. */
type Refusal = new (message: string, options?: ErrorOptions) => Error

/** What to do about a damaged file. */
const GET = 'get it again'

function parseFor(text: string, source: string, Refusal: Refusal, remedy: string): unknown {
  try {
    return parseJson(text)
  } catch (cause) {
    throw new Refusal(`${source} is not valid JSON: ${(cause as Error).message}; ${remedy}`, { cause })
  }
}

/**
 * The object that a text of JSON holds.
 * @param source where the text was read, for messages
 * @param remedy what to do about one that is damaged
 * @throws Refusal if it is no JSON, or holds something else
 */
export function parseJsonObject(text: string, source: string, Refusal: Refusal, remedy = GET): Record<string, unknown> {
  const value = parseFor(text, source, Refusal, remedy)
  if (isObject(value)) return value
  throw new Refusal(`${source} must hold a JSON object; ${remedy}`)
}

/** The object in a file of JSON. @throws Refusal as `parseJsonObject` */
export const readJsonObject = async (
  files: Files,
  path: string,
  Refusal: Refusal,
  remedy = GET,
): Promise<Record<string, unknown>> => parseJsonObject(await files.readText(path), path, Refusal, remedy)

/** What a file of JSON holds, whatever it is. @throws Refusal if it is no JSON */
export const readJson = async (files: Files, path: string, Refusal: Refusal): Promise<unknown> =>
  parseFor(await files.readText(path), path, Refusal, GET)
