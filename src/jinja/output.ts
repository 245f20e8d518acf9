/** @file What a template writes, and which stretches of it are the assistant's. */
import type { Meter } from './limits.js'

/** Unicode noncharacters: marks around a stretch whose place is not known yet, since it is inside of what a macro or a block collects. */
const OPEN = '\ufdd0'
const CLOSE = '\ufdd1'
export const MARKS = /[\ufdd0\ufdd1]/g

/** A stretch of text, in UTF-16 units: [start, end). */
export interface Stretch {
  readonly start: number
  readonly end: number
}

/** What a loop wrote while it was at one of the items that are watched. */
export interface Visit extends Stretch {
  /** Number of the item. */
  readonly index: number
}

export class Output {
  readonly parts: string[] = []
  length = 0
  readonly stretches: Stretch[] = []
  readonly visits: Visit[] = []

  /** @param isRoot whether this is the text itself, not what a block collects to change or to keep */
  constructor(
    private readonly meter: Meter,
    readonly isRoot = false,
  ) {}

  write(text: string): void {
    if (text === '') return
    this.length += text.length
    this.meter.text(this.length)
    this.meter.copy(text.length)
    this.parts.push(text)
  }

  /** What `{% generation %}` encloses. */
  writeGeneration(text: string): void {
    if (this.isRoot) {
      this.stretches.push({ start: this.length, end: this.length + text.length })
      this.write(text)
    } else this.write(OPEN + text + CLOSE)
  }

  text(): string {
    return this.parts.join('')
  }
}

/** The text without marks, and the outermost stretches, those marked and those noted. */
export function withoutMarks(
  marked: string,
  noted: readonly Stretch[],
): { readonly text: string; readonly stretches: readonly Stretch[] } {
  const found: Stretch[] = []
  const places: number[] = []
  const open: number[] = []
  for (const match of marked.matchAll(MARKS)) {
    const place = match.index - places.length
    places.push(match.index)
    if (match[0] === OPEN) open.push(place)
    else {
      const start = open.pop()
      if (start !== undefined) found.push({ start, end: place })
    }
  }
  // The noted ones lie one behind the other, so every mark is passed once.
  let passed = 0
  const shift = (place: number): number => {
    while (passed < places.length && (places[passed] as number) < place) passed++
    return place - passed
  }
  const all = [...found, ...noted.map(({ start, end }) => ({ start: shift(start), end: shift(end) }))]
  all.sort((a, b) => a.start - b.start || b.end - a.end)
  const outermost: Stretch[] = []
  for (const stretch of all) if (stretch.end > (outermost.at(-1)?.end ?? -1)) outermost.push(stretch)
  return { text: marked.replace(MARKS, ''), stretches: outermost }
}
