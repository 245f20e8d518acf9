/** @file Texts that remember which characters of the user's text they were made from, through normalizing and cutting. */

/** A text, and for each of its UTF-16 units where in the first text the characters begin and end that it stands for. */
export interface Traced {
  readonly text: string
  readonly starts: readonly number[]
  readonly ends: readonly number[]
}

/** What stands for a stretch [start, end) of a text. */
export interface Rewrite {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** Calls back with the beginning and the end of each code point. */
export function eachPoint(text: string, use: (start: number, end: number) => void): void {
  for (let at = 0; at < text.length;) {
    const end = at + (text.codePointAt(at)! > 0xffff ? 2 : 1)
    use(at, end)
    at = end
  }
}

/** A text as it is, which begins at a place of the first text. */
export function traced(text: string, offset = 0): Traced {
  const starts: number[] = []
  const ends: number[] = []
  eachPoint(text, (start, end) => {
    for (let i = start; i < end; i++) {
      starts.push(offset + start)
      ends.push(offset + end)
    }
  })
  return { text, starts, ends }
}

/** A stretch of a text. */
export const sliceTraced = ({ text, starts, ends }: Traced, start: number, end: number): Traced => ({
  text: text.slice(start, end),
  starts: starts.slice(start, end),
  ends: ends.slice(start, end),
})

/** A text made of stretches of another, in order. What stands for none has the place of the character before it, or of the
 * first. */
export function rewriteTraced(from: Traced, rewrites: Iterable<Rewrite>): Traced {
  let text = ''
  const starts: number[] = []
  const ends: number[] = []
  for (const { start, end, text: made } of rewrites) {
    text += made
    const place = Math.max(0, start - 1)
    const [first, last] =
      start < end ? [from.starts[start]!, from.ends[end - 1]!] : [from.starts[place] ?? 0, from.ends[place] ?? 0]
    for (let i = 0; i < made.length; i++) {
      starts.push(first)
      ends.push(last)
    }
  }
  return { text, starts, ends }
}

/** Each code point as a function makes it. */
export function pointwise(from: Traced, map: (character: string) => string): Traced {
  const rewrites: Rewrite[] = []
  eachPoint(from.text, (start, end) => rewrites.push({ start, end, text: map(from.text.slice(start, end)) }))
  return rewriteTraced(from, rewrites)
}
