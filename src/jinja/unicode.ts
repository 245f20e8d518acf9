/** @file Strings as Python sees them: sequences of code points, with Python's notions of space, case and print. */
import type { Meter } from './limits.js'

const SURROGATE = /[\ud800-\udfff]/

/** Whether every code point is one UTF-16 unit, as in nearly all texts. */
export const isPlain = (text: string): boolean => !SURROGATE.test(text)

/** `len(s)`. */
export function lengthOf(text: string): number {
  if (isPlain(text)) return text.length
  let count = 0
  for (let unit = 0; unit < text.length; unit += unitsAt(text, unit)) count++
  return count
}

/** UTF-16 units of the code point that begins at one. */
const unitsAt = (text: string, unit: number): number => ((text.codePointAt(unit) ?? 0) > 0xffff ? 2 : 1)

/** The code points as strings. */
export const points = (text: string): readonly string[] => (isPlain(text) ? text.split('') : Array.from(text))

/** How many UTF-16 units stand before the code point of an index within the text. */
function unitOffset(text: string, index: number): number {
  let unit = 0
  for (let i = 0; i < index && unit < text.length; i++) unit += unitsAt(text, unit)
  return unit
}

/** `s[start:end]` for bounds from 0. */
export const sliceText = (text: string, start: number, end: number): string =>
  isPlain(text) ? text.slice(start, end) : text.slice(unitOffset(text, start), unitOffset(text, end))

/** How many code points stand before a UTF-16 offset. */
export const pointOffset = (text: string, unit: number): number => (isPlain(text) ? unit : lengthOf(text.slice(0, unit)))

/** What `str.isspace` and `\s` of Python's `re` take for white space; JavaScript's own differs by U+001C–001F, U+0085 and U+FEFF. */
export const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
const ALL_SPACE = new RegExp(`^[${SPACE}]+$`)
const IS_SPACE = new RegExp(`[${SPACE}]`)
const SPACES = new RegExp(`[${SPACE}]+`)

/** Which ends `strip`, `lstrip` and `rstrip` look at. */
export type Ends = 'both' | 'left' | 'right'

/** `s.strip(characters)`, of white space where there are none given. */
export function strip(text: string, characters: string | undefined, ends: Ends): string {
  const set = characters === undefined ? undefined : new Set(points(characters))
  const drops = (point: string): boolean => (set === undefined ? IS_SPACE.test(point) : set.has(point))
  let start = 0
  let end = text.length
  if (ends !== 'right') {
    while (start < end) {
      const point = String.fromCodePoint(text.codePointAt(start) ?? 0)
      if (!drops(point)) break
      start += point.length
    }
  }
  if (ends !== 'left') {
    while (end > start) {
      const pair = end - start > 1 ? text.slice(end - 2, end) : ''
      const point = pair !== '' && (pair.codePointAt(0) ?? 0) > 0xffff ? pair : text.slice(end - 1, end)
      if (!drops(point)) break
      end -= point.length
    }
  }
  return text.slice(start, end)
}

export const isSpace = (text: string): boolean => ALL_SPACE.test(text)

/** `s.split()`: words between white space. */
export const words = (text: string): readonly string[] => text.split(SPACES).filter((word) => word !== '')

const LINE_BREAK = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/g

/** `s.splitlines(keepends)`: at every line break that Unicode knows; each is charged. */
export function splitLines(text: string, keepEnds: boolean, meter: Meter): readonly string[] {
  const lines: string[] = []
  let start = 0
  for (const match of text.matchAll(LINE_BREAK)) {
    meter.step()
    lines.push(text.slice(start, keepEnds ? match.index + match[0].length : match.index))
    start = match.index + match[0].length
  }
  if (start < text.length) lines.push(text.slice(start))
  return lines
}

/** Characters whose form at the head of a word is neither themselves nor their upper case. */
const TITLE: Readonly<Record<string, string>> = {
  ...{ Ǆ: 'ǅ', ǅ: 'ǅ', ǆ: 'ǅ', Ǉ: 'ǈ', ǈ: 'ǈ', ǉ: 'ǈ', Ǌ: 'ǋ', ǋ: 'ǋ', ǌ: 'ǋ', Ǳ: 'ǲ', ǲ: 'ǲ', ǳ: 'ǲ' },
  ...{ ß: 'Ss', և: 'Եւ', ﬀ: 'Ff', ﬁ: 'Fi', ﬂ: 'Fl', ﬃ: 'Ffi', ﬄ: 'Ffl', ﬅ: 'St', ﬆ: 'St' },
  ...{ ﬓ: 'Մն', ﬔ: 'Մե', ﬕ: 'Մի', ﬖ: 'Վն', ﬗ: 'Մխ' },
  ...{ '\u1fb2': '\u1fba\u0345', '\u1fb3': '\u1fbc', '\u1fb4': '\u0386\u0345', '\u1fb7': '\u1fbc\u0342', '\u1fbc': '\u1fbc' },
  ...{ '\u1fc2': '\u1fca\u0345', '\u1fc3': '\u1fcc', '\u1fc4': '\u0389\u0345', '\u1fc7': '\u1fcc\u0342', '\u1fcc': '\u1fcc' },
  ...{ '\u1ff2': '\u1ffa\u0345', '\u1ff3': '\u1ffc', '\u1ff4': '\u038f\u0345', '\u1ff7': '\u1ffc\u0342', '\u1ffc': '\u1ffc' },
}

/** The form of a code point at the head of a word. */
function titleCase(point: string): string {
  const listed = TITLE[point]
  if (listed !== undefined) return listed
  // Georgian has capitals, but no word begins with one.
  if (/[\u10d0-\u10ff]/.test(point)) return point
  // Greek letters with an iota below: the capital with its own iota stands 8 places on.
  if (/[\u1f80-\u1faf]/.test(point)) return String.fromCodePoint((point.codePointAt(0) ?? 0) | 8)
  return point.toUpperCase()
}

/** `s.capitalize()`. */
export function capitalize(text: string): string {
  const [first] = text
  // Lowered whole, since the form of a sigma depends on what stands before it.
  return first === undefined ? '' : titleCase(first) + text.toLowerCase().slice(first.toLowerCase().length)
}

/** `s.title()`: a head and lower case for every run of letters. */
export function titleWords(text: string): string {
  let inWord = false
  return mapCase(text, (point, lower) => {
    const wasInWord = inWord
    inWord = isCased(point)
    return !inWord ? point : wasInWord ? lower : titleCase(point)
  })
}

const isCased = (point: string): boolean => /[\p{Lowercase}\p{Uppercase}\p{Lt}]/u.test(point)

/** `s.swapcase()`. */
export const swapCase = (text: string): string =>
  mapCase(text, (point, lower) =>
    /\p{Uppercase}/u.test(point) ? lower : /\p{Lowercase}/u.test(point) ? point.toUpperCase() : point,
  )

/** A text of what is made of each of its code points and the lower case of that. */
function mapCase(text: string, change: (point: string, lower: string) => string): string {
  // A sigma's lower case depends on what stands around it (Unicode's Final_Sigma), so the text is lowered whole, and once;
  // only sigmas become sigmas there, so the n-th of one text is the n-th of the other.
  const sigmas = text.includes('Σ') ? (text.toLowerCase().match(/[σς]/g) ?? []) : []
  let met = 0
  let result = ''
  for (const point of text) {
    const isSigma = point === 'Σ' || point === 'σ' || point === 'ς'
    result += change(point, (isSigma ? sigmas[met++] : undefined) ?? point.toLowerCase())
  }
  return result
}

/** `s.islower()` and its like: one cased character, and none of the other case. */
export const isLower = (text: string): boolean => /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text)
export const isUpper = (text: string): boolean => /\p{Uppercase}/u.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text)

/** `s.istitle()`. */
export function isTitle(text: string): boolean {
  let found = false
  let inWord = false
  for (const point of text) {
    if (/[\p{Uppercase}\p{Lt}]/u.test(point)) {
      if (inWord) return false
      found = inWord = true
    } else if (/\p{Lowercase}/u.test(point)) {
      if (!inWord) return false
    } else inWord = false
  }
  return found
}

/** Digits that are no decimals: superscripts, circled and the like (Unicode's Numeric_Type=Digit). */
const DIGIT =
  '\\u00b2\\u00b3\\u00b9\\u1369-\\u1371\\u19da\\u2070\\u2074-\\u2079\\u2080-\\u2089\\u2460-\\u2468\\u2474-\\u247c\\u2488-\\u2490' +
  '\\u24ea\\u24f5-\\u24fd\\u24ff\\u2776-\\u277e\\u2780-\\u2788\\u278a-\\u2792\\u{10a40}-\\u{10a43}\\u{10e60}-\\u{10e68}' +
  '\\u{11052}-\\u{1105a}\\u{1f100}-\\u{1f10a}'
/** Ideographs that are numbers (Unicode's kPrimaryNumeric and its like). */
const NUMERALS =
  '㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零' +
  '\\uf96b\\uf973\\uf978\\uf9b2\\uf9d1\\uf9d3\\uf9fd𠀁𠁤𠃢𠄡𠤪𠦃𠦌𠦜𠫪𠫽𠬙𢎐𢦘𣬛𦉭\\u{2f890}'

const every = (characters: string): ((text: string) => boolean) => {
  const pattern = new RegExp(`^[${characters}]+$`, 'u')
  return (text) => pattern.test(text)
}
export const isAlpha = every('\\p{L}')
export const isDecimal = every('\\p{Nd}')
export const isDigit = every(`\\p{Nd}${DIGIT}`)
export const isNumeric = every(`\\p{N}${NUMERALS}`)
export const isAlnum = every('\\p{L}\\p{N}')
export const isAscii = (text: string): boolean => /^[\0-\x7f]*$/.test(text)
export const isIdentifier = (text: string): boolean => /^[\p{XID_Start}_]\p{XID_Continue}*$/u.test(text)

/** Whether nothing in it would be escaped by `repr`. */
export const isPrintable = (text: string): boolean => !/[\p{C}\p{Z}]/u.test(text.replaceAll(' ', ''))

/** `repr(s)`: single quotes unless there are only such inside; what cannot be printed is escaped. */
export function reprText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const body = text.replace(/[\\'"\p{C}\p{Z}]/gu, (point) => {
    if (point === ' ') return point
    if (point === '\\') return '\\\\'
    if (point === "'" || point === '"') return point === quote ? `\\${point}` : point
    if (point === '\n') return '\\n'
    if (point === '\r') return '\\r'
    if (point === '\t') return '\\t'
    return escapeCode(point)
  })
  return quote + body + quote
}

/** A code point as Python's escapes write it: \xhh, \uhhhh or \Uhhhhhhhh. */
export function escapeCode(point: string): string {
  const code = point.codePointAt(0) ?? 0
  const hex = code.toString(16)
  return code < 0x100
    ? `\\x${hex.padStart(2, '0')}`
    : code < 0x10000
      ? `\\u${hex.padStart(4, '0')}`
      : `\\U${hex.padStart(8, '0')}`
}
