/** @file Patterns of Oniguruma, which tokenizer.json is written in, as a tree. */
import {
  CodePoints,
  categories,
  scriptNamed,
  scriptNames,
  setNamed,
  whiteSpace,
  word,
  wordInBrackets,
} from '../unicode/code-points.js'
import type { SetName } from '../unicode/code-points.js'
import { foldSet } from './fold.js'

export type PatternNode =
  /** One character of a set; `folds` where case is ignored. */
  | { readonly kind: 'set'; readonly set: CodePoints; readonly folds: boolean }
  | { readonly kind: 'literal'; readonly point: number; readonly folds: boolean }
  | { readonly kind: 'sequence'; readonly parts: readonly PatternNode[] }
  | { readonly kind: 'choice'; readonly options: readonly PatternNode[] }
  | { readonly kind: 'capture'; readonly body: PatternNode; readonly index: number }
  | { readonly kind: 'atomic'; readonly body: PatternNode }
  | { readonly kind: 'look'; readonly body: PatternNode; readonly behind: boolean; readonly negative: boolean }
  | { readonly kind: 'repeat'; readonly body: PatternNode; readonly min: number; readonly max: number; readonly lazy: boolean }
  | { readonly kind: 'anchor'; readonly anchor: Anchor }
  | { readonly kind: 'back'; readonly index: number; readonly folds: boolean }

export type Anchor = 'lineStart' | 'lineEnd' | 'textStart' | 'textEnd' | 'textEndOrNewline' | 'border' | 'noBorder'

/** A pattern that we cannot run as Oniguruma does. */
export class UnsupportedPattern extends Error {}

/** Deeper nesting is refused: every level is a call. */
const MAX_DEPTH = 200

/** Counts beyond this are refused, as Oniguruma refuses them. */
const MAX_REPEAT = 100_000

const hexadecimal = CodePoints.of([0x30, 0x39], [0x41, 0x46], [0x61, 0x66])
const newline = CodePoints.of(0x0a)
const anything = new CodePoints([0, 0x110000])

interface Options {
  readonly ignoreCase: boolean
  readonly extended: boolean
  readonly dotAll: boolean
}

/** Reads a pattern. @throws UnsupportedPattern naming what is not supported, or where it is damaged */
export function parsePattern(source: string): PatternNode {
  return new Parser(source).parse()
}

class Parser {
  private readonly points: readonly string[]
  private at = 0
  private depth = 0
  private captures = 0
  private readonly names = new Map<string, number>()
  /** With named groups, plain parentheses do not capture. */
  private readonly hasNames: boolean

  constructor(source: string) {
    this.points = [...source]
    this.hasNames = /(?<!\\)\(\?<[\p{L}_]/u.test(source)
  }

  parse(): PatternNode {
    const node = this.choice({ ignoreCase: false, extended: false, dotAll: false })
    if (this.at < this.points.length) this.fail('a ")" that nothing opened')
    return node
  }

  private fail(what: string): never {
    throw new UnsupportedPattern(`${what} at character ${this.at + 1}`)
  }

  private peek(text: string): boolean {
    for (let i = 0; i < text.length; i++) if (this.points[this.at + i] !== text[i]) return false
    return true
  }

  private take(text: string): boolean {
    if (!this.peek(text)) return false
    this.at += text.length
    return true
  }

  /** Everything up to the end of the group. */
  private choice(options: Options): PatternNode {
    if (++this.depth > MAX_DEPTH) this.fail('groups nested too deeply')
    const alternatives: PatternNode[] = []
    let parts: PatternNode[] = []
    const close = (): void => {
      alternatives.push(parts.length === 1 ? parts[0]! : { kind: 'sequence', parts })
      parts = []
    }
    while (this.at < this.points.length && !this.peek(')')) {
      if (this.take('|')) {
        close()
        continue
      }
      if (options.extended && this.skipped()) continue
      const switched = this.switchedOptions(options)
      if (switched !== undefined) {
        // Options in the middle hold for the rest of the group, alternatives included: a(?i)b|c is a(?i:b|c).
        parts.push(this.choice(switched))
        break
      }
      const node = this.quantified(options)
      if (node !== undefined) parts.push(node)
    }
    close()
    this.depth--
    return alternatives.length === 1 ? alternatives[0]! : { kind: 'choice', options: alternatives }
  }

  /** White space and comments of an extended pattern. */
  private skipped(): boolean {
    const char = this.points[this.at]!
    if (/\s/.test(char)) {
      this.at++
      return true
    }
    if (char !== '#') return false
    while (this.at < this.points.length && this.points[this.at] !== '\n') this.at++
    return true
  }

  /** `(?i)` and the like, without a body. */
  private switchedOptions(options: Options): Options | undefined {
    const match = /^\(\?([imx]*)(?:-([imx]*))?\)/.exec(this.points.slice(this.at, this.at + 12).join(''))
    if (match === null || match[0] === '(?)') return undefined
    this.at += match[0].length
    return switchOptions(options, match[1]!, match[2] ?? '')
  }

  private quantified(options: Options): PatternNode | undefined {
    let node = this.atom(options)
    for (;;) {
      if (options.extended) while (this.at < this.points.length && this.skipped());
      const counts = this.counts()
      if (counts === undefined) return node
      if (node === undefined) this.fail('a quantifier of nothing')
      if (node.kind === 'anchor' || node.kind === 'look')
        this.fail('a quantifier of an anchor or a lookaround, which is not supported,')
      const { min, max, interval } = counts
      // Behind {n} a question mark makes the whole optional, behind {n,m} it makes it lazy; behind both a plus repeats the whole.
      if (this.peek('?') && !(interval && min === max)) {
        this.at++
        node = { kind: 'repeat', body: node, min, max, lazy: true }
      } else if (this.peek('+') && !interval) {
        this.at++
        node = { kind: 'atomic', body: { kind: 'repeat', body: node, min, max, lazy: false } }
      } else node = { kind: 'repeat', body: node, min, max, lazy: false }
    }
  }

  private counts(): { min: number; max: number; interval: boolean } | undefined {
    if (this.take('*')) return { min: 0, max: Infinity, interval: false }
    if (this.take('+')) return { min: 1, max: Infinity, interval: false }
    if (this.take('?')) return { min: 0, max: 1, interval: false }
    const match = /^\{(?:(\d+)(,(\d*))?|,(\d+))\}/.exec(this.points.slice(this.at, this.at + 16).join(''))
    if (match === null) return undefined
    this.at += match[0].length
    const [, from, comma, to, upTo] = match
    const min = from === undefined ? 0 : Number(from)
    const max = upTo !== undefined ? Number(upTo) : comma === undefined ? min : to === '' ? Infinity : Number(to)
    if (min > MAX_REPEAT || (max !== Infinity && max > MAX_REPEAT)) this.fail('a repetition of more than 100000')
    if (min > max) this.fail(`{${min},${max}}, which Oniguruma takes for a possessive repetition and is not supported,`)
    return { min, max, interval: true }
  }

  private atom(options: Options): PatternNode | undefined {
    const char = this.points[this.at]!
    const set = (found: CodePoints): PatternNode => ({ kind: 'set', set: found, folds: false })
    this.at++
    switch (char) {
      case '(':
        return this.group(options)
      case '[':
        // An inverted set has been folded already.
        return { kind: 'set', folds: options.ignoreCase && !this.peek('^'), set: this.brackets(options) }
      case '.':
        return set(options.dotAll ? anything : newline.not())
      case '^':
        return { kind: 'anchor', anchor: 'lineStart' }
      case '$':
        return { kind: 'anchor', anchor: 'lineEnd' }
      case '\\':
        return this.escape(options)
      case '*':
      case '+':
      case '?':
        this.at--
        return this.fail('a quantifier of nothing')
      default:
        return { kind: 'literal', point: char.codePointAt(0)!, folds: options.ignoreCase }
    }
  }

  private group(options: Options): PatternNode | undefined {
    const body = (inner = options): PatternNode => {
      const node = this.choice(inner)
      if (!this.take(')')) this.fail('a group that is not closed')
      // A letter in a group is no neighbour of the letters around it: (?i:s)(?i:t) is not ﬆ, as (?i:st) is.
      return node.kind === 'literal' ? { kind: 'sequence', parts: [node] } : node
    }
    if (!this.take('?')) {
      if (this.peek('*')) this.fail('a callout "(*…)", which is not supported,')
      if (this.hasNames) return body()
      const index = ++this.captures
      return { kind: 'capture', index, body: body() }
    }
    if (this.take('#')) {
      while (this.at < this.points.length && !this.peek(')')) this.at++
      if (!this.take(')')) this.fail('a comment that is not closed')
      return undefined
    }
    if (this.take(':')) return body()
    if (this.take('=')) return { kind: 'look', behind: false, negative: false, body: body() }
    if (this.take('!')) return { kind: 'look', behind: false, negative: true, body: body() }
    if (this.take('>')) return { kind: 'atomic', body: body() }
    if (this.take('<=')) return { kind: 'look', behind: true, negative: false, body: body() }
    if (this.take('<!')) return { kind: 'look', behind: true, negative: true, body: body() }
    const rest = this.points.slice(this.at, this.at + 80).join('')
    const name = /^<([\p{L}_][\p{L}\p{N}_]*)>/u.exec(rest)
    if (name !== null) {
      this.at += [...name[0]].length
      const index = ++this.captures
      this.names.set(name[1]!, index)
      return { kind: 'capture', index, body: body() }
    }
    const inline = /^([imx]*)(?:-([imx]*))?:/.exec(rest)
    if (inline !== null) {
      this.at += inline[0].length
      return body(switchOptions(options, inline[1]!, inline[2] ?? ''))
    }
    return this.fail(`"(?${rest.slice(0, 3)}…", which is not supported,`)
  }

  /** What a backslash begins outside of brackets. */
  private escape(options: Options): PatternNode {
    const char = this.points[this.at]
    if (char === undefined) this.fail('a lone backslash')
    const anchors: Readonly<Record<string, Anchor>> = {
      A: 'textStart',
      z: 'textEnd',
      Z: 'textEndOrNewline',
      b: 'border',
      B: 'noBorder',
    }
    const anchor = anchors[char]
    if (anchor !== undefined) {
      this.at++
      return { kind: 'anchor', anchor }
    }
    if (/[1-9]/.test(char)) return this.backReference(options)
    if (char === 'k') {
      const match = /^k<([^>]+)>/.exec(this.points.slice(this.at, this.at + 80).join(''))
      const index = match === null ? undefined : this.names.get(match[1]!)
      if (match === null || index === undefined) this.fail('a reference to a group that is not known')
      this.at += [...match[0]].length
      return { kind: 'back', index, folds: options.ignoreCase }
    }
    if ('RXKGyYg'.includes(char)) this.fail(`"\\${char}", which is not supported,`)
    if (char === 'N' || char === 'O') {
      this.at++
      return { kind: 'set', set: char === 'N' ? newline.not() : anything, folds: false }
    }
    const outside: Readonly<Record<string, () => CodePoints>> = { w: word, W: () => word().not() }
    const set = outside[char]
    if (set !== undefined) {
      this.at++
      return { kind: 'set', set: set(), folds: false }
    }
    const found = this.characterOrSet()
    return found instanceof CodePoints
      ? { kind: 'set', set: found, folds: options.ignoreCase }
      : { kind: 'literal', point: found, folds: options.ignoreCase }
  }

  private backReference(options: Options): PatternNode {
    const digits = /^\d+/.exec(this.points.slice(this.at, this.at + 4).join(''))![0]
    const index = Number(digits)
    if (index > Math.max(9, this.captures)) {
      // More than there are groups: a character in octal digits.
      const point = this.characterOrSet()
      if (typeof point === 'number') return { kind: 'literal', point, folds: options.ignoreCase }
    }
    if (this.hasNames) this.fail('a numbered reference beside named groups')
    if (index > this.captures) this.fail(`"\\${digits}", a reference to a group that is not closed before it,`)
    this.at += digits.length
    return { kind: 'back', index, folds: options.ignoreCase }
  }

  /** A character or a set that a backslash begins, in brackets or not; the place is behind the backslash. */
  private characterOrSet(): number | CodePoints {
    const char = this.points[this.at++]!
    switch (char) {
      case 's':
        return whiteSpace
      case 'S':
        return whiteSpace.not()
      case 'd':
        return categories('Nd')
      case 'D':
        return categories('Nd').not()
      case 'h':
        return hexadecimal
      case 'H':
        return hexadecimal.not()
      case 'w':
        return wordInBrackets()
      case 'W':
        return wordInBrackets().not()
      case 'p':
      case 'P':
        return this.peek('{') ? this.property(char === 'P') : char.codePointAt(0)!
      case 't':
        return 0x09
      case 'n':
        return 0x0a
      case 'v':
        return 0x0b
      case 'f':
        return 0x0c
      case 'r':
        return 0x0d
      case 'a':
        return 0x07
      case 'e':
        return 0x1b
      case 'x':
      case 'u':
        return this.hex(char)
      case '0':
      case '1':
      case '2':
      case '3':
      case '4':
      case '5':
      case '6':
      case '7': {
        const digits = /^[0-7]{1,3}/.exec(this.points.slice(this.at - 1, this.at + 2).join(''))![0]
        this.at += digits.length - 1
        return parseInt(digits, 8)
      }
      default:
        if (/[cCM]/.test(char)) this.fail(`"\\${char}", which is not supported,`)
        return char.codePointAt(0)!
    }
  }

  private hex(kind: 'x' | 'u'): number {
    const rest = this.points.slice(this.at, this.at + 12).join('')
    const match =
      kind === 'u' ? /^([0-9a-f]{4})/i.exec(rest) : (/^\{([0-9a-f]{1,8})\}/i.exec(rest) ?? /^([0-9a-f]{1,2})/i.exec(rest))
    if (match === null) this.fail(`"\\${kind}" without digits`)
    this.at += match[0].length
    const point = parseInt(match[1]!, 16)
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) this.fail('a code point that does not exist')
    return point
  }

  /** `{Name}` or `{^Name}` behind `\p`. */
  private property(negative: boolean): CodePoints {
    const end = this.points.indexOf('}', this.at)
    if (end < 0) this.fail('a property that is not closed')
    const written = this.points.slice(this.at + 1, end).join('')
    this.at = end + 1
    const inverse = written.startsWith('^')
    const found = findProperty(inverse ? written.slice(1) : written)
    if (found === undefined) this.fail(`\\p{${written}}, a property that is not known,`)
    return negative !== inverse ? found.not() : found
  }

  /** A set in brackets; the place is behind the first one. */
  private brackets(options: Options): CodePoints {
    if (++this.depth > MAX_DEPTH) this.fail('brackets nested too deeply')
    const negative = this.take('^')
    let whole: CodePoints | undefined
    let set = new CodePoints([])
    let first = true
    for (;;) {
      if (this.at >= this.points.length) this.fail('brackets that are not closed')
      if (!first && this.take(']')) break
      if (this.take('&&')) {
        whole = whole === undefined ? set : whole.and(set)
        set = new CodePoints([])
        first = false
        continue
      }
      const from = this.member(options)
      first = false
      if (
        typeof from === 'number' &&
        this.peek('-') &&
        this.points[this.at + 1] !== ']' &&
        !this.points.slice(this.at + 1, this.at + 3).every((c) => c === '&')
      ) {
        this.at++
        const to = this.member(options)
        if (typeof to !== 'number' || to < from) this.fail('a range that has no end or is empty')
        set = set.or(CodePoints.of([from, to]))
      } else set = set.or(typeof from === 'number' ? CodePoints.of(from) : from)
    }
    this.depth--
    const found = whole === undefined ? set : whole.and(set)
    // Oniguruma folds before it inverts.
    const folded = options.ignoreCase && negative ? foldSet(found, (what) => this.fail(what)) : found
    return negative ? folded.not() : folded
  }

  private member(options: Options): number | CodePoints {
    const char = this.points[this.at++]
    if (char === undefined) this.fail('brackets that are not closed')
    if (char === '\\') {
      if (this.at >= this.points.length) this.fail('a lone backslash')
      if (this.take('b')) return 0x08
      if ('RXKGyYgNO'.includes(this.points[this.at]!))
        this.fail(`"\\${this.points[this.at]}" in brackets, which is not supported,`)
      return this.characterOrSet()
    }
    if (char !== '[') return char.codePointAt(0)!
    const posix = /^:(\^?)([A-Za-z]+):\]/.exec(this.points.slice(this.at, this.at + 20).join(''))
    if (posix === null) return this.brackets(options)
    this.at += posix[0].length
    const found = posixSet(posix[2]!)
    if (found === undefined) this.fail(`[:${posix[2]}:], which is not known,`)
    return posix[1] === '^' ? found.not() : found
  }
}

function switchOptions(options: Options, on: string, off: string): Options {
  const holds = (letter: string, before: boolean): boolean => (off.includes(letter) ? false : on.includes(letter) || before)
  return {
    ignoreCase: holds('i', options.ignoreCase),
    extended: holds('x', options.extended),
    dotAll: holds('m', options.dotAll),
  }
}

function posixSet(name: string): CodePoints | undefined {
  const known: Readonly<Record<string, () => CodePoints>> = {
    alnum: () => setNamed('Alphabetic').or(categories('Nd')),
    alpha: () => setNamed('Alphabetic'),
    ascii: () => CodePoints.of([0, 0x7f]),
    blank: () => categories('Zs').or(CodePoints.of(0x09)),
    cntrl: () => categories('Cc'),
    digit: () => categories('Nd'),
    graph: () => setNamed('posix_graph'),
    lower: () => setNamed('Lowercase'),
    print: () => setNamed('posix_print'),
    punct: () => setNamed('posix_punct'),
    space: () => whiteSpace,
    upper: () => setNamed('Uppercase'),
    word: wordInBrackets,
    xdigit: () => hexadecimal,
  }
  return Object.hasOwn(known, name) ? known[name]!() : undefined
}

const longCategories: Readonly<Record<string, readonly string[]>> = {
  letter: ['L'],
  uppercaseletter: ['Lu'],
  lowercaseletter: ['Ll'],
  titlecaseletter: ['Lt'],
  casedletter: ['Lu', 'Ll', 'Lt'],
  lc: ['Lu', 'Ll', 'Lt'],
  modifierletter: ['Lm'],
  otherletter: ['Lo'],
  mark: ['M'],
  combiningmark: ['M'],
  nonspacingmark: ['Mn'],
  spacingmark: ['Mc'],
  enclosingmark: ['Me'],
  number: ['N'],
  decimalnumber: ['Nd'],
  letternumber: ['Nl'],
  othernumber: ['No'],
  punctuation: ['P'],
  connectorpunctuation: ['Pc'],
  dashpunctuation: ['Pd'],
  openpunctuation: ['Ps'],
  closepunctuation: ['Pe'],
  initialpunctuation: ['Pi'],
  finalpunctuation: ['Pf'],
  otherpunctuation: ['Po'],
  symbol: ['S'],
  mathsymbol: ['Sm'],
  currencysymbol: ['Sc'],
  modifiersymbol: ['Sk'],
  othersymbol: ['So'],
  separator: ['Z'],
  spaceseparator: ['Zs'],
  lineseparator: ['Zl'],
  paragraphseparator: ['Zp'],
  control: ['Cc'],
  format: ['Cf'],
  privateuse: ['Co'],
}

const shortCategories = 'L M N P S Z Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co'.split(
  ' ',
)

const binaryProperties: readonly SetName[] = [
  'Alphabetic',
  'Uppercase',
  'Lowercase',
  'Ideographic',
  'Emoji',
  'Emoji_Presentation',
  'Emoji_Modifier',
  'Emoji_Modifier_Base',
  'Emoji_Component',
  'Extended_Pictographic',
]

/** A property by any of its names, which Oniguruma compares without case, spaces, hyphens and underscores. */
function findProperty(written: string): CodePoints | undefined {
  const plain = (name: string): string => name.toLowerCase().replace(/[ _-]/g, '')
  const name = plain(written)
  if (name === 'any') return anything
  const assigned = (): CodePoints =>
    categories('L', 'M', 'N', 'P', 'S', 'Z', 'Cc', 'Cf', 'Co').or(CodePoints.of([0xd800, 0xdfff]))
  if (name === 'assigned') return assigned()
  if (name === 'cn' || name === 'unassigned') return assigned().not()
  if (name === 'c' || name === 'other') return categories('Cc', 'Cf', 'Co').or(assigned().not())
  if (name === 'whitespace') return whiteSpace
  const short = shortCategories.find((category) => category.toLowerCase() === name)
  if (short !== undefined) return categories(short)
  if (Object.hasOwn(longCategories, name)) return categories(...longCategories[name]!)
  const script = scriptNames().find((candidate) => plain(candidate) === name)
  if (script !== undefined) return scriptNamed(script)
  const binary = binaryProperties.find((candidate) => plain(candidate) === name)
  if (binary !== undefined) return setNamed(binary)
  // POSIX names are known without brackets, too: \p{Alpha}, \p{Punct}.
  return posixSet(name)
}
