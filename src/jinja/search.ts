/** @file Where a text stands in another: in time that grows with the sum of their lengths, never with the product. */

/** JavaScript's own search may compare all of a part at every place, so it is for parts up to this length. */
const SHORT = 64

/** Where a part, which is not empty, stands in a text: places that do not overlap, from the left or from the right. */
export function* occurrences(text: string, part: string, fromRight = false): Generator<number, void> {
  if (part.length > text.length) return
  if (part.length > SHORT) return yield* longOccurrences(text, part, fromRight)
  if (fromRight) {
    let end = text.length
    while (end >= part.length) {
      const at = text.lastIndexOf(part, end - part.length)
      if (at < 0) return
      yield at
      end = at
    }
  } else for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) yield at
}

/** The first place, or from the right the last; -1 where there is none. An empty part stands at the outermost end. */
export function find(text: string, part: string, fromRight = false): number {
  if (part === '') return fromRight ? text.length : 0
  return occurrences(text, part, fromRight).next().value ?? -1
}

/** The search of Knuth, Morris and Pratt: no character of the text is looked at again. */
function* longOccurrences(text: string, part: string, fromRight: boolean): Generator<number, void> {
  const at = (whole: string, i: number): number => whole.charCodeAt(fromRight ? whole.length - 1 - i : i)
  /** For each beginning of the part, the length of its longest proper beginning that is also its end. */
  const borders = new Int32Array(part.length)
  const extended = (matched: number, unit: number): number => {
    let length = matched
    while (length > 0 && at(part, length) !== unit) length = borders[length - 1] as number
    return at(part, length) === unit ? length + 1 : length
  }
  for (let i = 1; i < part.length; i++) borders[i] = extended(borders[i - 1] as number, at(part, i))
  let matched = 0
  for (let i = 0; i < text.length; i++) {
    matched = extended(matched, at(text, i))
    if (matched < part.length) continue
    yield fromRight ? text.length - 1 - i : i + 1 - part.length
    matched = 0
  }
}
