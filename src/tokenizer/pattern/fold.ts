/** @file Letters that are one where case is ignored. */
import { CodePoints, lowerOf } from '../unicode/code-points.js'

/** No letter with a case lies beyond. */
const LAST_CASED = 0x1e943

/**
 * Letters whose other case is several letters (ß and ss, ﬁ and fi). Oniguruma matches the several, too, which a
 * JavaScript pattern of single characters cannot.
 */
const withLongCase = CodePoints.of(
  0xdf,
  0x130,
  0x149,
  0x1f0,
  0x390,
  0x3b0,
  0x587,
  [0x1e96, 0x1e9a],
  0x1e9e,
  0x1f50,
  0x1f52,
  0x1f54,
  0x1f56,
  [0x1f80, 0x1faf],
  [0x1fb2, 0x1fb4],
  [0x1fb6, 0x1fb7],
  0x1fbc,
  [0x1fc2, 0x1fc4],
  [0x1fc6, 0x1fc7],
  0x1fcc,
  [0x1fd2, 0x1fd3],
  [0x1fd6, 0x1fd7],
  [0x1fe2, 0x1fe4],
  [0x1fe6, 0x1fe7],
  [0x1ff2, 0x1ff4],
  [0x1ff6, 0x1ff7],
  0x1ffc,
  [0xfb00, 0xfb06],
  [0xfb13, 0xfb17],
)

/** Second letters of those several, by their first: where they follow one another, ß and its like would match. */
const longCases: Readonly<Record<string, string>> = {
  s: 'st',
  f: 'fil',
  i: '\u0307',
  ʼ: 'n',
  j: '\u030c',
  h: '\u0331',
  t: '\u0308',
  w: '\u030a',
  y: '\u030a',
  a: 'ʾ',
}

let classes: Map<number, number[]> | undefined

/** The letter that stands for all its cases. */
function representative(point: number): number {
  // A dotless i has no other case where case is ignored.
  if (point === 0x131) return point
  const upper = String.fromCodePoint(point).toUpperCase()
  const [single] = [upper.codePointAt(0)!]
  return lowerOf(upper.length === String.fromCodePoint(single).length ? single : point)
}

function classOf(point: number): readonly number[] {
  if (classes === undefined) {
    classes = new Map()
    for (let c = 0x41; c <= LAST_CASED; c++) {
      if (c === 0xd800) c = 0xe000
      const key = representative(c)
      if (key === c && lowerOf(c) === c && String.fromCodePoint(c).toUpperCase() === String.fromCodePoint(c)) continue
      const members = classes.get(key)
      if (members === undefined) classes.set(key, [...new Set([key, c])])
      else if (!members.includes(c)) members.push(c)
    }
  }
  return classes.get(representative(point)) ?? [point]
}

/** A set with all cases of its letters; `refuse` is told what cannot be done. */
export function foldSet(set: CodePoints, refuse: (what: string) => never): CodePoints {
  if (!set.and(withLongCase).isEmpty) {
    // A set of nearly everything holds them, too, and needs no other case.
    return refuse('letters such as ß, whose other case is two letters, in a part that ignores case')
  }
  const extra = new Set<number>()
  for (const [first, last] of set.ranges())
    for (let c = first; c <= Math.min(last, LAST_CASED); c++) for (const other of classOf(c)) extra.add(other)
  return set.or(toSet(extra))
}

/** One letter with all its cases. */
export const foldLetter = (point: number, refuse: (what: string) => never): CodePoints => foldSet(CodePoints.of(point), refuse)

const folded = (...points: readonly number[]): string => String.fromCodePoint(...points.map(representative))

/** Whether two letters that follow one another are the other case of a third, as ss of ß. */
export const isLongCase = (first: number, second: number): boolean => (longCases[folded(first)] ?? '').includes(folded(second))

/** Letters that match two where case is ignored. */
const singles: Readonly<Record<string, CodePoints>> = {
  ss: CodePoints.of(0xdf, 0x1e9e),
  st: CodePoints.of([0xfb05, 0xfb06]),
  ff: CodePoints.of(0xfb00),
  fi: CodePoints.of(0xfb01),
  fl: CodePoints.of(0xfb02),
}

/** The letters that two letters match, too, as ß and its capital for ss; undefined where it is not known how. */
export const singlesOf = (first: number, second: number): CodePoints | undefined => singles[folded(first, second)]

function toSet(points: ReadonlySet<number>): CodePoints {
  const borders: number[] = []
  for (const point of [...points].sort((a, b) => a - b)) {
    if (borders.at(-1) === point) borders[borders.length - 1] = point + 1
    else borders.push(point, point + 1)
  }
  return new CodePoints(borders)
}
