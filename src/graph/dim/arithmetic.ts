/** @file Sums, products, quotients and the order of lengths that are known at the run only. */
import type { Dim } from '../types.js'
import { asName, callOf, constant, factorsOf, format, formatCall, monomialOf, parse, plus, times, withoutFactors, type Polynomial } from './polynomial.js' // prettier-ignore

/** A length in normal form, whatever form it is written in. */
export const normalizeDim = (dim: Dim): Dim => (typeof dim === 'number' ? dim : format(parse(dim)))

/** A name for a length that only the run tells: what it is, and of which values. */
export const unknownDim = (what: string, ...of: readonly (string | number)[]): string =>
  `${what}_of_${of.map((part) => asName(String(part))).join('_')}`

export const addDims = (a: Dim, b: Dim): Dim =>
  typeof a === 'number' && typeof b === 'number' ? a + b : format(plus(parse(a), parse(b)))

export const subtractDims = (a: Dim, b: Dim): Dim =>
  typeof a === 'number' && typeof b === 'number' ? a - b : format(plus(parse(a), parse(b), -1))

export function multiplyDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a * b
  return a === 1 ? b : b === 1 ? a : format(times(parse(a), parse(b)))
}

/** Whether a monomial comes before another: an order that products keep, by the power of each name in alphabetical order. */
function precedes(m: string, n: string): boolean {
  const [a, b] = [factorsOf(m), factorsOf(n)]
  const count = (factors: readonly string[], name: string): number => factors.filter((f) => f === name).length
  for (const name of [...new Set([...a, ...b])].sort()) {
    const difference = count(a, name) - count(b, name)
    if (difference !== 0) return difference > 0
  }
  return false
}

const leading = (polynomial: Polynomial): readonly [string, number] =>
  [...polynomial].reduce((best, term) => (precedes(term[0], best[0]) ? term : best))

/** The exact quotient of two lengths by polynomial division, or undefined where there is none. */
export function divideDims(a: Dim, b: Dim): Dim | undefined {
  if (a === b) return 1
  if (typeof a === 'number' && typeof b === 'number') return b !== 0 && a % b === 0 ? a / b : undefined
  const divisor = parse(b)
  if (divisor.size === 0) return undefined
  const [monomial, coefficient] = leading(divisor)
  let quotient: Polynomial = new Map()
  for (let rest = parse(a); rest.size > 0;) {
    const [m, c] = leading(rest)
    const factors = withoutFactors(factorsOf(m), factorsOf(monomial))
    if (factors === undefined || c % coefficient !== 0) return undefined
    const term: Polynomial = new Map([[monomialOf(factors), c / coefficient]])
    quotient = plus(quotient, term)
    rest = plus(rest, times(term, divisor), -1)
  }
  return format(quotient)
}

/**
 * ⌊a/b⌋. What b divides comes out of the brackets, and quotients of quotients become one: ⌊(2·n+3)/2⌋ is n + 1, and
 * ⌊(⌊n/2⌋+1)/2⌋ is ⌊(n+2)/4⌋. So lengths behind the same strides have the same name.
 */
export function floorDivideDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return b === 0 ? 0 : Math.floor(a / b)
  const exact = divideDims(a, b)
  if (exact !== undefined) return exact
  if (typeof b !== 'number' || b <= 0) return formatCall('quotient', [a, b])
  const terms = [...parse(a)]
  const whole: Polynomial = new Map(
    terms.flatMap(([m, c]) => (m === '' ? [...constant(Math.floor(c / b))] : c % b === 0 ? [[m, c / b]] : [])),
  )
  const rest = plus(parse(a), whole, -b)
  return format(plus(whole, parse(floorOf(rest, b))))
}

/** ⌊rest/b⌋ where nothing can be taken out. ⌊(⌊x/p⌋ + k)/b⌋ = ⌊(x + k·p)/(p·b)⌋. */
function floorOf(rest: Polynomial, b: number): Dim {
  const k = rest.get('') ?? 0
  const others = [...rest.keys()].filter((m) => m !== '')
  if (others.length === 0) return Math.floor(k / b)
  const inner = others.length === 1 && rest.get(others[0]!) === 1 ? callOf(others[0]!) : undefined
  if (inner?.name !== 'floor') return formatCall('floor', [format(rest), b])
  const [x, p] = inner.operands as [string, string]
  return floorDivideDims(addDims(x, k * Number(p)), Number(p) * b)
}

export const minDims = (a: Dim, b: Dim): Dim => extreme('min', a, b)
export const maxDims = (a: Dim, b: Dim): Dim => extreme('max', a, b)

function extreme(name: 'min' | 'max', a: Dim, b: Dim): Dim {
  const order = compareDims(a, b)
  if (order !== undefined) return order <= 0 === (name === 'min') ? a : b
  return formatCall(name, [a, b].map(String).sort())
}

/** ⌊a·factor⌋ for a factor that is no whole number: an image resized. */
export const scaleDim = (a: Dim, factor: number): Dim =>
  typeof a === 'number'
    ? Math.floor(Math.fround(a * Math.fround(factor)))
    : Number.isInteger(factor)
      ? multiplyDims(a, factor)
      : formatCall('scaled', [a, factor])

/** Length of `start:end:step` of a dimension, bounds beyond it cut off and counted from the end where they are negative. */
export const sliceDim = (length: Dim, start: Dim, end: Dim, step: number): string =>
  formatCall('slice', [length, start, end, step])

/**
 * Order of two lengths where it is certain: names stand for lengths of at least 1.
 * @returns a negative number, 0, a positive number, or undefined
 */
export function compareDims(a: Dim, b: Dim): number | undefined {
  const { least, most } = differenceOf(a, b)
  if (least === 0 && most === 0) return 0
  return least > 0 ? 1 : most < 0 ? -1 : undefined
}

/** Whether a is certainly no less than b. */
export const isAtLeast = (a: Dim, b: Dim): boolean => differenceOf(a, b).least >= 0

/** Between which numbers a − b lies. */
function differenceOf(a: Dim, b: Dim): { readonly least: number; readonly most: number } {
  if (typeof a === 'number' && typeof b === 'number') return { least: a - b, most: a - b }
  let least = 0
  let most = 0
  for (const [monomial, coefficient] of plus(parse(a), parse(b), -1)) {
    if (monomial === '') {
      least += coefficient
      most += coefficient
    } else if (coefficient > 0) {
      least += coefficient
      most = Infinity
    } else {
      least = -Infinity
      most += coefficient
    }
  }
  return { least, most }
}
