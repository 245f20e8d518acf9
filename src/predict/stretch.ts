/** @file Stretches of a text. */

/** A stretch [start, end) of a text, in UTF-16 units. */
export interface Stretch {
  readonly start: number
  readonly end: number
}

/** A stretch without white space at its ends, which many tokenizers count to the word behind it. */
export function trimmed(text: string, { start, end }: Stretch): Stretch {
  const inside = text.slice(start, end)
  const first = start + inside.length - inside.trimStart().length
  return { start: first, end: Math.max(first, start + inside.trimEnd().length) }
}
