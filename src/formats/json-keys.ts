/** @file `JSON.parse` keeps the last of two equal keys in silence; here they are found. */

/**
 * The first key that occurs twice in one object of a JSON text, or undefined.
 * @param text valid JSON (checked by `JSON.parse` before)
 */
export function duplicateKey(text: string): string | undefined {
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
