/** @file What exporters call a length, in our words: `past + sequence`, `(height - 1)//2`, or a name of any letters. */
import type { Dim } from '../types.js'
import { addDims, floorDivideDims, multiplyDims, normalizeDim, subtractDims } from './arithmetic.js'
import { asName } from './polynomial.js'

/** A hyphen between letters belongs to a name: `batch-size`. */
const TOKEN = /\/\/|[+*/()-]|[\w.]+(?:-[A-Za-z_][\w.]*)*/g
const ARITHMETIC = /^[\w\s.+*/()-]+$/
/** Deeper brackets are no length that anyone meant. */
const MOST_TOKENS = 200
/** Of a length that is written as here already. */
const LONGEST_NORMAL = 1000

type Operators = Readonly<Record<string, (a: Dim, b: Dim) => Dim>>

class Reader {
  private at = 0

  constructor(private readonly tokens: readonly string[]) {}

  /** The whole text as an expression; undefined where it is none. */
  read(): Dim | undefined {
    const result = this.sum()
    return this.at === this.tokens.length ? result : undefined
  }

  private sum = (): Dim | undefined => this.chain(() => this.product(), { '+': addDims, '-': subtractDims })
  private product = (): Dim | undefined =>
    this.chain(() => this.factor(), { '*': multiplyDims, '/': floorDivideDims, '//': floorDivideDims })

  private chain(operand: () => Dim | undefined, operators: Operators): Dim | undefined {
    let left = operand()
    for (;;) {
      const token = this.tokens[this.at] ?? ''
      if (left === undefined || !Object.hasOwn(operators, token)) return left
      this.at++
      const right = operand()
      left = right === undefined ? undefined : operators[token]!(left, right)
    }
  }

  private factor(): Dim | undefined {
    const token = this.tokens[this.at++]
    if (token === '-') {
      const inner = this.factor()
      return inner === undefined ? undefined : multiplyDims(inner, -1)
    }
    if (token === '(') {
      const inner = this.sum()
      return this.tokens[this.at++] === ')' ? inner : undefined
    }
    if (token === undefined || !/^\w/.test(token)) return undefined
    return /^\d+$/.test(token) ? Number(token) : token
  }
}

function isBalanced(text: string): boolean {
  let depth = 0
  for (const letter of text) {
    if ('([{'.includes(letter)) depth++
    if (')]}'.includes(letter) && --depth < 0) return false
  }
  return depth === 0
}

/** A length as a file names it, in normal form. What is no arithmetic is a name, its letters escaped where they mean something. */
export function dimOfFile(name: string): Dim {
  // A graph may come here twice.
  if (name.length <= LONGEST_NORMAL && /[·{]/.test(name) && isBalanced(name) && normalizeDim(name) === name) return name
  const tokens = ARITHMETIC.test(name) ? (name.match(TOKEN) ?? []) : []
  const isExpression = tokens.length > 1 && tokens.length <= MOST_TOKENS
  return (isExpression ? new Reader(tokens).read() : undefined) ?? asName(name)
}
