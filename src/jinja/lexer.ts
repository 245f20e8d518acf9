/** @file A template's source as tokens, by the rules of Jinja's own lexer with trimmed blocks and stripped lines. */
import { TemplateError, unsupported } from './errors.js'
import { escapeCode, isSpace, SPACE, strip } from './unicode.js'

export type TokenType = 'data' | 'name' | 'string' | 'integer' | 'float' | 'operator' | 'open' | 'close' | 'end'

export interface Token {
  readonly type: TokenType
  /** The text; of data and strings what they mean, of numbers their digits; `{{`, `{%` and their ends without signs. */
  readonly value: string
  readonly line: number
}

const BEGIN = new RegExp(
  `\\{%([-+]?)[${SPACE}]*raw[${SPACE}]*(?:-%\\}[${SPACE}]*|%\\})|\\{\\{([-+]?)|\\{#([-+]?)|\\{%([-+]?)`,
  'g',
)
const COMMENT_END = new RegExp(`\\+#\\}|-#\\}[${SPACE}]*|#\\}\\n?`, 'g')
const RAW_END = new RegExp(`\\{%([-+]?)[${SPACE}]*endraw[${SPACE}]*(?:\\+%\\}|-%\\}[${SPACE}]*|%\\}\\n?)`, 'g')
const BLOCK_END = new RegExp(`\\+%\\}|-%\\}[${SPACE}]*|%\\}\\n?`, 'y')
const VARIABLE_END = new RegExp(`-\\}\\}[${SPACE}]*|\\}\\}`, 'y')

const BLANKS = new RegExp(`[${SPACE}]+`, 'y')
const FLOAT = /(?<!\.)(?:[0-9]+_)*[0-9]+(?:(?:\.(?:[0-9]+_)*[0-9]+)?e[+-]?(?:[0-9]+_)*[0-9]+|\.(?:[0-9]+_)*[0-9]+)/iy
const INTEGER = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[0-9a-f])+|[1-9](?:_?[0-9])*|0(?:_?0)*/iy
const NAME = /[\p{L}\p{N}\p{Mn}\p{Mc}\p{Pc}\u00b7\u0387]+/uy
const STRING = /'[^'\\]*(?:\\[^][^'\\]*)*'|"[^"\\]*(?:\\[^][^"\\]*)*"/y
const OPERATOR = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y

/** The text that stands between brackets of each kind. */
const CLOSING: Readonly<Record<string, string>> = { '{': '}', '(': ')', '[': ']' }

/** The tokens of a template. @throws TemplateError with the line of what cannot be read */
export function tokenize(template: string): readonly Token[] {
  // One line break whatever the file has, and none at the very end.
  const source = template.replace(/\r\n|\r/g, '\n').replace(/\n$/, '')
  return new Lexer(source).run()
}

class Lexer {
  private readonly tokens: Token[] = []
  private at = 0
  private line = 1
  private lineCounted = 0
  /** Whether what comes next stands at the head of a line. */
  private atLineStart = true

  constructor(private readonly source: string) {}

  run(): readonly Token[] {
    while (this.at < this.source.length) this.part()
    this.push('end', '')
    return this.tokens
  }

  /** Text up to the next tag, and the tag. */
  private part(): void {
    BEGIN.lastIndex = this.at
    const match = BEGIN.exec(this.source)
    if (match === null) {
      this.push('data', this.source.slice(this.at))
      this.at = this.source.length
      return
    }
    const sign = match.slice(1).find((group) => group !== undefined) ?? ''
    const isVariable = match[0].startsWith('{{')
    this.data(this.source.slice(this.at, match.index), sign, !isVariable)
    this.at = match.index + match[0].length
    this.atLineStart = match[0].endsWith('\n')
    if (match[1] !== undefined) this.raw()
    else if (isVariable) this.expression('{{', '}}', VARIABLE_END)
    else if (match[3] !== undefined) this.comment()
    else this.expression('{%', '%}', BLOCK_END)
  }

  /** Text before a tag: a dash strips it, and so does a block that stands alone on its line. */
  private data(text: string, sign: string, isBlock: boolean): void {
    let kept = text
    if (sign === '-') kept = strip(text, undefined, 'right')
    else if (sign !== '+' && isBlock) {
      const lineStart = text.lastIndexOf('\n') + 1
      if ((lineStart > 0 || this.atLineStart) && isSpace(text.slice(lineStart))) kept = text.slice(0, lineStart)
    }
    this.push('data', kept)
  }

  private comment(): void {
    if (this.at >= this.source.length) return
    COMMENT_END.lastIndex = this.at
    const match = COMMENT_END.exec(this.source)
    if (match === null) throw this.error('Missing end of comment tag')
    this.at = match.index + match[0].length
    this.atLineStart = match[0].endsWith('\n')
  }

  private raw(): void {
    // As Jinja, which looks for the end only where something follows.
    if (this.at >= this.source.length) return
    RAW_END.lastIndex = this.at
    const match = RAW_END.exec(this.source)
    if (match === null) throw this.error('Missing end of raw directive')
    this.data(this.source.slice(this.at, match.index), match[1] ?? '', true)
    this.at = match.index + match[0].length
    this.atLineStart = match[0].endsWith('\n')
  }

  private expression(open: string, close: string, end: RegExp): void {
    this.push('open', open)
    const brackets: string[] = []
    for (;;) {
      const ending = brackets.length === 0 ? this.match(end) : undefined
      if (ending !== undefined) {
        this.push('close', close)
        this.atLineStart = ending.endsWith('\n')
        return
      }
      if (this.at >= this.source.length) return
      if (this.match(BLANKS) === undefined) this.token(brackets)
    }
  }

  private token(brackets: string[]): void {
    const start = this.at
    const float = this.match(FLOAT)
    if (float !== undefined) return this.push('float', float.replaceAll('_', ''))
    const integer = this.match(INTEGER)
    if (integer !== undefined) return this.push('integer', integer.replaceAll('_', ''))
    const name = this.match(NAME)
    if (name !== undefined) return this.push('name', this.identifier(name))
    const text = this.match(STRING)
    if (text !== undefined) return this.push('string', this.unescape(text.slice(1, -1)))
    const operator = this.match(OPERATOR)
    if (operator === undefined) {
      const [character = ''] = this.source.slice(start, start + 2)
      throw this.error(`unexpected char '${character}'`)
    }
    const closing = CLOSING[operator]
    if (closing !== undefined) brackets.push(closing)
    else if (operator === '}' || operator === ')' || operator === ']') {
      const expected = brackets.pop()
      if (expected === undefined) throw this.error(`unexpected '${operator}'`)
      if (expected !== operator) throw this.error(`unexpected '${operator}', expected '${expected}'`)
    }
    this.push('operator', operator)
  }

  private identifier(name: string): string {
    if (!/^[\p{XID_Start}_]\p{XID_Continue}*$/u.test(name)) throw this.error('Invalid character in identifier')
    // Python reads such names in another form than Jinja looks them up.
    if (name !== name.normalize('NFKC')) throw unsupported(`the name ${name}`)
    return name
  }

  /** A string literal as Python's `unicode-escape` reads it. */
  private unescape(body: string): string {
    if (!body.includes('\\')) return body
    // Jinja first escapes what is not ASCII, so a backslash before such a character meets another backslash.
    const ascii = body.replace(/[^\0-\x7f]/gu, escapeCode)
    return ascii.replace(
      /\\(\n|[0-7]{1,3}|x[0-9a-fA-F]{0,2}|u[0-9a-fA-F]{0,4}|U[0-9a-fA-F]{0,8}|N|[^])/g,
      (whole, code: string) => {
        if (code === '\n') return ''
        if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8))
        const digits = { x: 2, u: 4, U: 8 }[code.charAt(0)]
        if (digits === undefined) {
          if (code === 'N') throw unsupported('the escape \\N')
          return SIMPLE[code] ?? whole
        }
        if (code.length !== digits + 1) throw this.error(`truncated \\${code.charAt(0)} escape`)
        const point = Number.parseInt(code.slice(1), 16)
        if (point > 0x10ffff) throw this.error('illegal Unicode character')
        if (point >= 0xd800 && point <= 0xdfff) throw unsupported(`the escape \\${code}, half of a character,`)
        return String.fromCodePoint(point)
      },
    )
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const text = pattern.exec(this.source)?.[0]
    if (text !== undefined) this.at += text.length
    return text
  }

  private push(type: TokenType, value: string): void {
    if (type === 'data' && value === '') return
    this.tokens.push({ type, value, line: this.currentLine() })
  }

  private currentLine(): number {
    for (; this.lineCounted < this.at; this.lineCounted++) if (this.source.charCodeAt(this.lineCounted) === 10) this.line++
    return this.line
  }

  private error(message: string): TemplateError {
    return new TemplateError(`line ${this.currentLine()}: ${message}`)
  }
}

const SIMPLE: Readonly<Record<string, string>> = {
  ...{ n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', v: '\v', a: '\x07', '\\': '\\', "'": "'", '"': '"' },
}
