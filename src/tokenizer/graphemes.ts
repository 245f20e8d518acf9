/** @file Where a user sees one character: extended grapheme clusters, as far as short ones go. */
import { setNamed, type CodePoints } from './unicode/code-points.js'

interface Sets {
  readonly control: CodePoints
  readonly extend: CodePoints
  readonly prepend: CodePoints
  readonly pictographic: CodePoints
}

let sets: Sets | undefined

const ZWJ = 0x200d

/**
 * Ends of the grapheme clusters of a text (Unicode Standard Annex 29). Clusters of several Hangul jamo, of two regional
 * indicators or of joined Indic consonants are given as several: each is longer than five bytes, and the only one who
 * asks takes longer ones apart anyway.
 */
export function* clusterEnds(text: string): Generator<number> {
  sets ??= {
    control: setNamed('break_control'),
    extend: setNamed('break_extend'),
    prepend: setNamed('break_prepend'),
    pictographic: setNamed('Extended_Pictographic'),
  }
  const { control, extend, prepend, pictographic } = sets
  const breaks = (point: number): boolean => point === 0x0d || point === 0x0a || control.has(point)
  let before = -1
  /** Whether an emoji stands before, with nothing but extensions behind it. */
  let emoji = false
  for (let at = 0; at < text.length;) {
    const point = text.codePointAt(at)!
    const joins: boolean =
      before >= 0 &&
      ((before === 0x0d && point === 0x0a) ||
        (!breaks(before) &&
          !breaks(point) &&
          (extend.has(point) || prepend.has(before) || (emoji && before === ZWJ && pictographic.has(point)))))
    if (before >= 0 && !joins) yield at
    emoji = pictographic.has(point) || (emoji && joins && extend.has(point))
    before = point
    at += point > 0xffff ? 2 : 1
  }
  if (text.length > 0) yield text.length
}
