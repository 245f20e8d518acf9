/** @file `JSON.parse` keeps the last of two equal keys in silence; here they are found. */

/** How many keys a JSON text has: strings before a colon. */
function keysInText(text: string): number {
  let count = 0
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at)) {
    let end = text.indexOf('"', at + 1)
    // A quote behind an odd number of backslashes is no end.
    for (let slashes = 0; text.charCodeAt(end - 1) === 92; end = text.indexOf('"', end + 1), slashes = 0) {
      while (text.charCodeAt(end - 1 - slashes) === 92) slashes++
      if (slashes % 2 === 0) break
    }
    at = end + 1
    while (text.charCodeAt(at) <= 32) at++
    if (text.charCodeAt(at) === 58) count++
  }
  return count
}

/** How many keys the objects of a value have, at any depth. */
function keysIn(value: unknown): number {
  let count = 0
  const open: unknown[] = [value]
  while (open.length > 0) {
    const next = open.pop()
    if (typeof next !== 'object' || next === null) continue
    const inner = Object.values(next)
    if (!Array.isArray(next)) count += inner.length
    for (const item of inner) if (typeof item === 'object' && item !== null) open.push(item)
  }
  return count
}

/**
 * The first key that occurs twice in one object of a JSON text, or undefined.
 * @param text valid JSON
 * @param value what `JSON.parse` made of it
 */
export function duplicateKey(text: string, value: unknown): string | undefined {
  // To find which it is takes longer than to find that there is none.
  if (keysInText(text) === keysIn(value)) return undefined
  /** Keys of each open object; undefined for an open array. */
  const open: (Set<string> | undefined)[] = []
  const token = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const [found] = match
    if (found === '{') open.push(new Set())
    else if (found === '[') open.push(undefined)
    else if (found === '}' || found === ']') open.pop()
    else if (match[1] !== undefined) {
      const key = JSON.parse(found.slice(0, -match[1].length)) as string
      const keys = open[open.length - 1]
      if (keys?.has(key) === true) return key
      keys?.add(key)
    }
  }
  return undefined
}
