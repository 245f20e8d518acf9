/** @file Tokens one after the other, and what the parser expects of them. */
import { TemplateError } from './errors.js'
import { tokenize, type Token } from './lexer.js'
import { MAX_NESTING } from './limits.js'

const SHOWN: Readonly<Record<string, string>> = { end: 'the end of the template', data: 'text' }

export class TokenStream {
  private readonly tokens: readonly Token[]
  private at = 0
  private depth = 0

  constructor(source: string) {
    this.tokens = tokenize(source)
  }

  get current(): Token {
    return this.tokens[this.at] as Token
  }

  look(): Token {
    return this.tokens[Math.min(this.at + 1, this.tokens.length - 1)] as Token
  }

  next(): Token {
    const token = this.current
    if (token.type !== 'end') this.at++
    return token
  }

  is(type: Token['type'], value?: string): boolean {
    const { current } = this
    return current.type === type && (value === undefined || current.value === value)
  }

  isName(...values: readonly string[]): boolean {
    return this.current.type === 'name' && values.includes(this.current.value)
  }

  isOperator(...values: readonly string[]): boolean {
    return this.current.type === 'operator' && values.includes(this.current.value)
  }

  /** Steps over it if it is there. */
  skipName(value: string): boolean {
    const found = this.isName(value)
    if (found) this.at++
    return found
  }

  skipOperator(value: string): boolean {
    const found = this.isOperator(value)
    if (found) this.at++
    return found
  }

  expect(type: Token['type'], value?: string): Token {
    if (!this.is(type, value)) throw this.error(`expected ${value ?? type}, got ${this.shown()}`)
    return this.next()
  }

  /** The current token, for messages. */
  shown(): string {
    const { type, value } = this.current
    return SHOWN[type] ?? `'${value}'`
  }

  /** An error at the current token, or at a line. */
  error(message: string, line = this.current.line): TemplateError {
    return new TemplateError(`line ${line}: ${message}`)
  }

  /** A part of a chain of so many operators, each of which nests all that stand before it. @throws TemplateError where there are too many */
  chained<T>(part: T, length: number): T {
    if (length > MAX_NESTING) throw this.error(`it nests more than ${MAX_NESTING} levels deep`)
    return part
  }

  /** Parses what stands within something. @throws TemplateError where that is too deep */
  nested<T>(parse: () => T): T {
    if (++this.depth > MAX_NESTING) throw this.error(`it nests more than ${MAX_NESTING} levels deep`)
    const result = parse()
    this.depth--
    return result
  }
}
