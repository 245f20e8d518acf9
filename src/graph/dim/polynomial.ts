/**
 * @file How a length that is known at the run only is written: a polynomial with whole coefficients, in one normal form.
 *
 * ```
 * length = factor { "*" factor }       2*batch*(past+sequence)
 * factor = number | name | call | sum
 * sum    = "(" term { "+" term } ")"   (2·sequence+1): inside of a sum, products are written with "·"
 * call   = floor{length/number} | word "{" length { "," length } "}"   with the words of CallName
 * name   = anything else: batch, s77
 * ```
 *
 * What all terms of a sum share stands before it, so two texts are equal exactly where their polynomials are. A name may
 * be a part of another, `rows/1` (the second part) or `rows/0-1` (the first two): see `planSplit`.
 */
import { ShapeError } from '../../errors.js'
import type { Dim } from '../types.js'

/** Coefficients by monomial; a monomial is its factors in alphabetical order joined by `*`, `''` the constant. */
export type Polynomial = ReadonlyMap<string, number>

const WHOLE = /^-?\d+$/
const CALL = /^(\w+)\{(.*)\}$/

/** Letters that mean something in a length. */
const RESERVED = /[*·+(){}[\],/\s]/gu

/** Text as a name: letters that mean something in a length become `%` and their number. */
export const asName = (text: string): string =>
  text.replace(RESERVED, (letter) => `%${letter.codePointAt(0)!.toString(16).padStart(2, '0')}`)

/** Pieces of a text between separators that stand in no bracket. */
function splitOutside(text: string, separators: string): string[] {
  const parts = ['']
  let depth = 0
  for (const letter of text) {
    if ('([{'.includes(letter)) depth++
    if (')]}'.includes(letter)) depth--
    if (depth === 0 && separators.includes(letter)) parts.push('')
    else parts[parts.length - 1] += letter
  }
  return parts
}

/** Whether a text is one bracket from its first letter to its last. */
function isBracketed(text: string): boolean {
  if (!text.startsWith('(') || !text.endsWith(')')) return false
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth++
    if (text[i] === ')' && --depth === 0) return i === text.length - 1
  }
  return false
}

export const constant = (value: number): Polynomial => new Map(value === 0 ? [] : [['', value]])

export const factorsOf = (monomial: string): string[] => (monomial === '' ? [] : splitOutside(monomial, '*'))
export const monomialOf = (factors: readonly string[]): string => [...factors].sort().join('*')

/** The same factors, each as often as it is left when `taken` are gone; undefined where one of those is not there. */
export function withoutFactors(factors: readonly string[], taken: readonly string[]): string[] | undefined {
  const rest = [...factors]
  for (const name of taken) {
    const at = rest.indexOf(name)
    if (at < 0) return undefined
    rest.splice(at, 1)
  }
  return rest
}

/** a + factor·b */
export function plus(a: Polynomial, b: Polynomial, factor = 1): Polynomial {
  const result = new Map(a)
  for (const [monomial, c] of b) add(result, monomial, factor * c)
  return result
}

/** Lengths of real models have a few terms of a few factors; products of products of them double until memory is gone. */
const [MOST_TERMS, MOST_FACTORS] = [4096, 256]

const degreeOf = (polynomial: Polynomial): number =>
  Math.max(0, ...[...polynomial.keys()].map((monomial) => factorsOf(monomial).length))

/** @throws ShapeError if the product has more terms or factors than a length may have */
export function times(a: Polynomial, b: Polynomial): Polynomial {
  if (a.size * b.size > MOST_TERMS || degreeOf(a) + degreeOf(b) > MOST_FACTORS)
    throw new ShapeError(`a length is a product of more than ${MOST_TERMS} terms or ${MOST_FACTORS} factors; no model has such`)
  const result = new Map<string, number>()
  for (const [m, c] of a) for (const [n, d] of b) add(result, monomialOf([...factorsOf(m), ...factorsOf(n)]), c * d)
  return result
}

function add(polynomial: Map<string, number>, monomial: string, coefficient: number): void {
  const sum = (polynomial.get(monomial) ?? 0) + coefficient
  if (sum === 0) polynomial.delete(monomial)
  else polynomial.set(monomial, sum)
}

function parseText(text: string): Polynomial {
  const terms = splitOutside(text, '+')
  if (terms.length > 1) return terms.map(parseText).reduce((a, b) => plus(a, b))
  const factors = splitOutside(text, '*·')
  if (factors.length > 1) return factors.map(parseText).reduce(times)
  if (WHOLE.test(text)) return constant(Number(text))
  return isBracketed(text) ? parseText(text.slice(1, -1)) : new Map([[text, 1]])
}

/** The same few lengths are read over and over. */
const known = new Map<string, Polynomial>()
const MOST_KNOWN = 10_000

/** The polynomial of a length in any form: sums need no brackets. */
export function parse(dim: Dim): Polynomial {
  if (typeof dim === 'number') return constant(dim)
  let polynomial = known.get(dim)
  if (polynomial === undefined) {
    polynomial = parseText(dim)
    if (known.size >= MOST_KNOWN) known.clear()
    known.set(dim, polynomial)
  }
  return polynomial
}

export const greatestDivisor = (a: number, b: number): number => (b === 0 ? Math.abs(a) : greatestDivisor(b, a % b))

/** Factors that every monomial has, as often as all have them. */
const commonFactors = (monomials: readonly string[]): string[] =>
  monomials.map(factorsOf).reduce((common, factors) => {
    const rest = [...factors]
    return common.filter((name) => {
      const at = rest.indexOf(name)
      if (at >= 0) rest.splice(at, 1)
      return at >= 0
    })
  })

/** The normal form of a polynomial. */
export function format(polynomial: Polynomial): Dim {
  // By name, the constant last.
  const terms = [...polynomial].sort(([m], [n]) => (m === '' ? 1 : n === '' ? -1 : m < n ? -1 : 1))
  const [first] = terms
  if (first === undefined) return 0
  if (terms.length === 1 && first[0] === '') return first[1]
  if (terms.length === 1 && first[1] > 0) return [...(first[1] === 1 ? [] : [`${first[1]}`]), ...factorsOf(first[0])].join('*')
  const isSum = terms.length > 1
  const outer = isSum ? commonFactors(terms.map(([m]) => m)) : []
  const divisor = isSum ? terms.reduce((d, [, c]) => greatestDivisor(d, c), 0) : 1
  const words = terms.map(([monomial, c]) => {
    const factors = withoutFactors(factorsOf(monomial), outer)!
    const coefficient = c / divisor
    return [...(coefficient === 1 && factors.length > 0 ? [] : [`${coefficient}`]), ...factors].join('·')
  })
  return [...(divisor === 1 ? [] : [`${divisor}`]), ...[...outer, `(${words.join('+')})`].sort()].join('*')
}

const CALLS = ['floor', 'quotient', 'min', 'max', 'slice', 'scaled'] as const
export type CallName = (typeof CALLS)[number]

/** A function of lengths that is no polynomial. */
export interface DimCall {
  readonly name: CallName
  readonly operands: readonly Dim[]
}

export const formatCall = (name: CallName, operands: readonly Dim[]): string =>
  `${name}{${operands.join(name === 'floor' ? '/' : ',')}}`

/** Factors of `scaled` are no whole numbers. */
const operandOf = (text: string): Dim => (text !== '' && Number.isFinite(Number(text)) ? Number(text) : text)

/** The function that a factor is, if it is one. A divisor of `floor` is a number, so that the last `/` is before it. */
export function callOf(factor: string): DimCall | undefined {
  const [, word, inner] = CALL.exec(factor) ?? []
  const name = CALLS.find((known) => known === word)
  if (name === undefined || inner === undefined) return undefined
  const slash = inner.lastIndexOf('/')
  const operands = name === 'floor' ? [inner.slice(0, slash), inner.slice(slash + 1)] : splitOutside(inner, ',')
  return { name, operands: operands.map(operandOf) }
}
