/** @file Files of a folder by patterns: `*.txt`, `logs/**`. */

/** Everything but letters stands for itself. */
const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`)

/** One part of a path; what begins with a point is hidden, and must be named as such. */
const ofPart = (part: string): string =>
  (/^[*?]/.test(part) ? String.raw`(?!\.)` : '') +
  [...part].map((character) => (character === '*' ? '[^/]*' : character === '?' ? '[^/]' : literal(character))).join('')

/**
 * Whether a path, with `/` between folders, is one of a pattern. `*` and `?` stand for what is in a name, `**` as a part of its
 * own for folders, none or several, and at the end for all that is in them.
 */
export function matches(path: string, pattern: string): boolean {
  const parts = pattern.replace(/^\.\//, '').replace(/\/$/, '/**').split('/')
  const last = parts.length - 1
  const text = parts.map((part, index) => {
    if (part !== '**') return ofPart(part) + (index === last ? '' : '/')
    return index === last ? String.raw`(?:(?!\.)[^/]+/)*(?!\.)[^/]+` : String.raw`(?:(?!\.)[^/]+/)*`
  })
  return new RegExp(`^${text.join('')}$`).test(path)
}
