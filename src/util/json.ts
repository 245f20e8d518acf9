/** @file JSON of strangers: parsed as `JSON.parse` does, but for nesting so deep that whoever walks the value runs out of stack. */

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
