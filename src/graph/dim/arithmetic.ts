/** @file Sums, products, quotients and the order of lengths that are known at the run only. */
import type { Dim } from '../types.js'
import { asName, callOf, constant, factorsOf, format, formatCall, greatestDivisor, monomialOf, parse, plus, times, withoutFactors, type CallName, type Polynomial } from './polynomial.js' // prettier-ignore

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
 * ⌊a/b⌋. What b divides of each term comes out of the brackets, a factor that all terms share with b is divided out, and quotients of
 * quotients become one: ⌊(5·n+3)/2⌋ is 2·n + 1 + ⌊(n+1)/2⌋, ⌊(2·n+3)/4⌋ is ⌊(n+1)/2⌋ and ⌊(⌊n/2⌋+1)/2⌋ is ⌊(n+2)/4⌋. So lengths behind
 * the same strides have the same name.
 */
export function floorDivideDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return b === 0 ? 0 : Math.floor(a / b)
  const exact = divideDims(a, b)
  if (exact !== undefined) return exact
  if (typeof b !== 'number' || b <= 0) return formatCall('quotient', [a, b])
  const whole: Polynomial = new Map([...parse(a)].flatMap(([m, c]) => (c >= b || c < 0 ? [[m, Math.floor(c / b)]] : [])))
  const rest = plus(parse(a), whole, -b)
  return format(plus(whole, parse(floorOf(rest, b))))
}

/** ⌊rest/b⌋ where nothing can be taken out. ⌊(⌊x/p⌋ + y)/b⌋ = ⌊(x + y·p)/(p·b)⌋. */
function floorOf(rest: Polynomial, b: number): Dim {
  const others = [...rest].filter(([m]) => m !== '')
  // What is left of a constant is less than b.
  if (others.length === 0) return 0
  const shared = others.reduce((d, [, c]) => greatestDivisor(d, c), b)
  const k = constant(Math.floor((rest.get('') ?? 0) / shared))
  const divided = new Map([...others.map(([m, c]): [string, number] => [m, c / shared]), ...k])
  for (const [m, c] of others) {
    const inner = c === shared && factorsOf(m).length === 1 ? callOf(m) : undefined
    if (inner?.name !== 'floor') continue
    const [x, p] = inner.operands as [Dim, number]
    divided.delete(m)
    return floorDivideDims(addDims(x, multiplyDims(format(divided), p)), (p * b) / shared)
  }
  return formatCall('floor', [format(divided), b / shared])
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

/**
 * Length of `start:end:step` of a dimension, bounds beyond it cut off and counted from the end where they are negative. Of a
 * dimension known at the run only, bounds that are lengths too are taken to lie inside of it, in their order.
 */
export function sliceDim(length: Dim, start: Dim, end: Dim, step: number): Dim {
  if (typeof length === 'number' && typeof start === 'number' && typeof end === 'number')
    return sliceLength(length, start, end, step)
  return symbolicSlice(length, start, end, step) ?? formatCall('slice', [length, start, end, step])
}

/** Exporters write bounds "to the end" as the largest number of 32 bits, or of 64. */
const isOpenEnd = (end: Dim, step: number): boolean =>
  typeof end === 'number' && (step > 0 ? end >= 2 ** 31 - 1 : end <= -(2 ** 31))

/** Number of elements of a slice of `length` elements: ONNX's rules for bounds beyond the ends, and negative ones. */
function sliceLength(length: number, start: number, end: number, step: number): number {
  const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high)
  const from = start < 0 ? start + length : start
  const to = end < 0 && !isOpenEnd(end, step) ? end + length : end
  return step > 0
    ? Math.max(0, Math.ceil((clamp(to, 0, length) - clamp(from, 0, length)) / step))
    : Math.max(0, Math.ceil((clamp(to, -1, length - 1) - clamp(from, 0, length - 1)) / step))
}

/** What a slice is in simpler words, undefined where names leave it open. */
function symbolicSlice(length: Dim, start: Dim, end: Dim, step: number): Dim | undefined {
  const openEnd = isOpenEnd(end, step)
  const openStart = step > 0 ? start === 0 : start === -1 || (typeof start === 'number' && start >= 2 ** 31 - 1)
  if (openStart && openEnd && Math.abs(step) === 1) return length
  if (step !== 1) return undefined
  // A length is at least 1, so that [-1:] is one element.
  if ((start === -1 && openEnd) || (start === 0 && end === 1)) return 1
  if (start === 0 && end === -1) return subtractDims(length, 1)
  if (openEnd && isAtLeast(start, 0) && isAtLeast(length, start)) return subtractDims(length, start)
  // A buffer that is cut to a length has at least that length: [1, 512][:, :sequence].
  if (start === 0 && typeof end === 'string' && (typeof length === 'number' || compareDims(end, length) !== 1)) return end
  if (compareDims(start, end) === 0) return 0
  return typeof start === 'string' && typeof end === 'string' ? subtractDims(end, start) : undefined
}

/** What makes the normal form of each function of lengths, and of numbers its value. */
export const dimFunctions: Readonly<Record<CallName, (...operands: readonly Dim[]) => Dim>> = {
  floor: (a, b) => floorDivideDims(a!, b!),
  quotient: (a, b) => floorDivideDims(a!, b!),
  min: (a, b) => minDims(a!, b!),
  max: (a, b) => maxDims(a!, b!),
  scaled: (a, factor) => scaleDim(a!, factor as number),
  slice: (length, start, end, step) => sliceDim(length!, start!, end!, step as number),
}

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
