/**
 * @file Regular expressions of JavaScript (ECMA-262, with the flag `u`) as expressions over the characters of a string: all that is regular,
 * with anchors where they begin or end the pattern.
 */
import { CodePoints, categories } from '../tokenizer/unicode/code-points.js'
import { stringCharacter } from './characters.js'
import { either, nothing, repeat, sequence, type Expression } from './expression.js'

/** What of a pattern is not understood, to stand behind its place. */
export class PatternError extends Error {}

/** Deeper nesting is refused: each level is a call. */
const DEEPEST = 100
/** Repetitions are not unrolled, but what a pattern holds in all must be bounded. */
const MOST_REPEATS = 10_000

const all = new CodePoints([]).not()
const digits = CodePoints.of([0x30, 0x39])
const words = CodePoints.of([0x30, 0x39], [0x41, 0x5a], 0x5f, [0x61, 0x7a])
const lineEnds = CodePoints.of(0x0a, 0x0d, 0x2028, 0x2029)
const spaces = CodePoints.of([0x09, 0x0d], 0x20, 0xa0, 0x1680, [0x2000, 0x200a], 0x2028, 0x2029, 0x202f, 0x205f, 0x3000, 0xfeff)
const classes: Readonly<Record<string, CodePoints>> = {
  d: digits,
  D: digits.not(),
  w: words,
  W: words.not(),
  s: spaces,
  S: spaces.not(), // prettier-ignore
}
const controls: Readonly<Record<string, number>> = { t: 0x09, n: 0x0a, v: 0x0b, f: 0x0c, r: 0x0d, 0: 0x00 }
const syntaxCharacters = '^$\\.*+?()[]{}|/-'

/** An alternative at the top, and whether it holds from the beginning and up to the end of the text. */
interface Alternative {
  readonly body: Expression
  readonly fromStart: boolean
  readonly toEnd: boolean
}

class Parser {
  private readonly points: readonly string[]
  private at = 0
  private depth = 0

  constructor(source: string) {
    this.points = [...source]
  }

  /** The whole pattern, as texts in which it is found. */
  parse(): Expression {
    const anything = repeat(stringCharacter(all))
    const found = this.alternatives(true).map(({ body, fromStart, toEnd }) =>
      sequence(fromStart ? nothing : anything, body, toEnd ? nothing : anything),
    )
    if (this.at < this.points.length) this.fail('a ")" that nothing opened')
    return either(...found)
  }

  private fail(what: string): never {
    throw new PatternError(`${what} at character ${this.at + 1}`)
  }

  private take(text: string): boolean {
    const end = this.at + text.length
    if (this.points.slice(this.at, end).join('') !== text) return false
    this.at = end
    return true
  }

  private alternatives(isTop: boolean): Alternative[] {
    if (++this.depth > DEEPEST) this.fail('groups nested too deeply')
    const found = [this.alternative(isTop)]
    while (this.take('|')) found.push(this.alternative(isTop))
    this.depth--
    return found
  }

  private alternative(isTop: boolean): Alternative {
    const fromStart = isTop && this.take('^')
    const parts: Expression[] = []
    let toEnd = false
    while (this.at < this.points.length && !['|', ')'].includes(this.points[this.at]!)) {
      if (isTop && this.isEndAnchor()) {
        this.at++
        toEnd = true
      } else parts.push(this.quantified())
    }
    return { body: sequence(...parts), fromStart, toEnd }
  }

  private isEndAnchor(): boolean {
    return this.points[this.at] === '$' && [undefined, '|'].includes(this.points[this.at + 1])
  }

  private quantified(): Expression {
    const body = this.atom()
    const count = this.count()
    if (count === undefined) return body
    // Lazy or not, the texts are the same.
    this.take('?')
    return repeat(body, ...count)
  }

  private count(): readonly [number, number] | undefined {
    if (this.take('*')) return [0, Infinity]
    if (this.take('+')) return [1, Infinity]
    if (this.take('?')) return [0, 1]
    if (this.points[this.at] !== '{') return undefined
    const match = /^\{(\d+)(?:(,)(\d*))?\}/.exec(this.points.slice(this.at, this.at + 24).join(''))
    if (match === null) this.fail('a "{" that begins no count')
    const min = Number(match[1])
    const max = match[2] === undefined ? min : match[3] === '' ? Infinity : Number(match[3])
    if (min > max) this.fail('a count whose end is before its beginning')
    if (min > MOST_REPEATS || (max !== Infinity && max > MOST_REPEATS)) this.fail(`a count above ${MOST_REPEATS}`)
    this.at += match[0].length
    return [min, max]
  }

  private atom(): Expression {
    const char = this.points[this.at]!
    if (char === '(') return this.group()
    if (char === '[') return stringCharacter(this.bracket())
    if (char === '.') {
      this.at++
      return stringCharacter(lineEnds.not())
    }
    if (char === '^' || char === '$') this.fail(`an anchor "${char}" within the pattern`)
    if ('*+?{}]'.includes(char)) this.fail(`"${char}" where a character is expected`)
    if (char === '\\') return stringCharacter(this.escape(false))
    this.at++
    return stringCharacter(CodePoints.of(char.codePointAt(0)!))
  }

  private group(): Expression {
    const start = this.at++
    if (this.take('?')) {
      const isNamed = /^<[\p{L}_$][\p{L}\p{N}_$]*>/u.exec(this.points.slice(this.at, this.at + 80).join(''))
      if (isNamed !== null) this.at += [...isNamed[0]].length
      else if (!this.take(':')) this.fail('a look around, or a group of another kind')
    }
    const options = this.alternatives(false).map(({ body }) => body)
    if (!this.take(')')) {
      this.at = start
      this.fail('a "(" that nothing closes')
    }
    return either(...options)
  }

  private bracket(): CodePoints {
    const start = this.at++
    const negated = this.take('^')
    let set = new CodePoints([])
    while (!this.take(']')) {
      if (this.at >= this.points.length) {
        this.at = start
        this.fail('a "[" that nothing closes')
      }
      const first = this.bracketMember()
      if (this.points[this.at] !== '-' || [']', undefined].includes(this.points[this.at + 1])) {
        set = set.or(first)
        continue
      }
      this.at++
      const last = this.bracketMember()
      const [from, to] = [pointOf(first), pointOf(last)]
      if (from === undefined || to === undefined || from > to) this.fail('a range without a first and a last character')
      set = set.or(CodePoints.of([from, to]))
    }
    return negated ? set.not() : set
  }

  private bracketMember(): CodePoints {
    const char = this.points[this.at]!
    if (char === '\\') return this.escape(true)
    this.at++
    return CodePoints.of(char.codePointAt(0)!)
  }

  private escape(inBrackets: boolean): CodePoints {
    this.at++
    const char = this.points[this.at]
    if (char === undefined) this.fail('a "\\" at the end')
    const named = classes[char]
    if (named !== undefined) return this.passed(1, named)
    if (char === 'b' && inBrackets) return this.passed(1, CodePoints.of(0x08))
    if (char === 'b' || char === 'B') this.fail('a border of words "\\b"')
    if (char === 'k' || /[1-9]/.test(char)) this.fail('a reference to a group')
    const rest = this.points.slice(this.at, this.at + 40).join('')
    const property = /^([pP])\{(?:General_Category=|gc=)?([A-Z][a-z]?)\}/.exec(rest)
    if (property !== null) {
      const set = categories(property[2]!)
      return this.passed(property[0].length, property[1] === 'p' ? set : set.not())
    }
    const control = controls[char]
    if (control !== undefined) return this.passed(1, CodePoints.of(control))
    const code = /^(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\})/.exec(rest)
    if (code !== null) {
      const point = parseInt(code[1] ?? code[2] ?? code[3]!, 16)
      if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) this.fail('half a character, or none')
      return this.passed(code[0].length, CodePoints.of(point))
    }
    const letter = /^c([A-Za-z])/.exec(rest)
    if (letter !== null) return this.passed(2, CodePoints.of(letter[1]!.charCodeAt(0) % 32))
    if (/[A-Za-z0-9]/.test(char)) this.fail(`an escape "\\${char}"`)
    if (!syntaxCharacters.includes(char) && char.codePointAt(0)! < 0x80 && !/[\s"'#%&,:;<=>@`~!_]/.test(char))
      this.fail(`an escape "\\${char}"`)
    return this.passed(1, CodePoints.of(char.codePointAt(0)!))
  }

  private passed<T>(characters: number, value: T): T {
    this.at += characters
    return value
  }
}

/** The only character of a set. */
const pointOf = ({ borders: [first, end, ...more] }: CodePoints): number | undefined =>
  first !== undefined && end === first + 1 && more.length === 0 ? first : undefined

/**
 * The inside of strings of JSON in which a pattern is found.
 * @throws PatternError naming what is not regular, or not a pattern at all
 */
export const patternInside = (source: string): Expression => new Parser(source).parse()
