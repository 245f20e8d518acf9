/**
 * @file Arithmetic on symbolic dimensions, for the shape computations of exported graphs.
 *
 * A product of names is `a*b`, as everywhere. A sum is one name in parentheses, with `·` for the products in it, such as
 * `(2·sequence+1)`: so it can be a factor like any other name.
 */
import { divideDims } from './shapes.js'
import { multiplyDims, type Dim } from './types.js'

/** Coefficients by monomial; a monomial is its names in alphabetical order joined by `*`, `''` the constant. */
type Polynomial = Map<string, number>

const wholeNumber = /^-?\d+$/

function times(a: Polynomial, b: Polynomial): Polynomial {
  const result: Polynomial = new Map()
  for (const [m, c] of a)
    for (const [n, d] of b) {
      const monomial = [...m.split('*'), ...n.split('*')].filter(Boolean).sort().join('*')
      result.set(monomial, (result.get(monomial) ?? 0) + c * d)
    }
  return result
}

function plus(a: Polynomial, b: Polynomial, factor = 1): Polynomial {
  const result = new Map(a)
  for (const [m, c] of b) result.set(m, (result.get(m) ?? 0) + factor * c)
  return result
}

/** Parts of a text between separators that stand in no bracket. */
function splitOutside(text: string, separator: string): string[] {
  const parts = ['']
  let depth = 0
  for (const letter of text) {
    if ('([{'.includes(letter)) depth++
    if (')]}'.includes(letter)) depth--
    if (letter === separator && depth === 0) parts.push('')
    else parts[parts.length - 1] += letter
  }
  return parts
}

/** Whether the first bracket closes at the very end. */
function isBracketed(text: string): boolean {
  if (!text.startsWith('(') || !text.endsWith(')')) return false
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth++
    if (text[i] === ')' && --depth === 0) return i === text.length - 1
  }
  return false
}

function parseFactor(factor: string): Polynomial {
  if (wholeNumber.test(factor)) return new Map([['', Number(factor)]])
  if (!isBracketed(factor)) return new Map([[factor, 1]])
  return splitOutside(factor.slice(1, -1), '+')
    .map((term) => splitOutside(term, '·').map(parseFactor).reduce(times))
    .reduce((a, b) => plus(a, b))
}

const parse = (dim: Dim): Polynomial => String(dim).split('*').map(parseFactor).reduce(times)

function format(polynomial: Polynomial): Dim {
  const terms = [...polynomial].filter(([, c]) => c !== 0).sort(([m], [n]) => (m === '' ? 1 : n === '' ? -1 : m < n ? -1 : 1))
  if (terms.length === 0) return 0
  const [[monomial, coefficient]] = terms as [[string, number]]
  if (terms.length === 1 && monomial === '') return coefficient
  if (terms.length === 1 && coefficient > 0) return multiplyDims(coefficient, monomial)
  const words = terms.map(([m, c]) => (m === '' ? `${c}` : [...(c === 1 ? [] : [`${c}`]), ...m.split('*')].join('·')))
  return `(${words.join('+')})`
}

/** A name for what cannot be written as a sum of products. */
const opaque = (text: string): string => text.replaceAll('*', '·')

export const addDims = (a: Dim, b: Dim): Dim =>
  typeof a === 'number' && typeof b === 'number' ? a + b : format(plus(parse(a), parse(b)))

export const subtractDims = (a: Dim, b: Dim): Dim =>
  typeof a === 'number' && typeof b === 'number' ? a - b : format(plus(parse(a), parse(b), -1))

/** Product; unlike `multiplyDims` it takes negative numbers too. */
export function timesDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a * b
  const negative = (dim: Dim): boolean => typeof dim === 'number' && dim < 0
  return negative(a) || negative(b) ? format(times(parse(a), parse(b))) : multiplyDims(a, b)
}

/** ⌊a/b⌋ for lengths; exact where the division is. */
export function floorDivideDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return b === 0 ? 0 : Math.floor(a / b)
  const exact = divideDims(a, b)
  if (exact !== undefined) return exact
  return opaque(`floor{${a}/${b}}`)
}

export const minDims = (a: Dim, b: Dim): Dim =>
  typeof a === 'number' && typeof b === 'number' ? Math.min(a, b) : a === b ? a : opaque(`min{${a},${b}}`)

export const maxDims = (a: Dim, b: Dim): Dim =>
  typeof a === 'number' && typeof b === 'number' ? Math.max(a, b) : a === b ? a : opaque(`max{${a},${b}}`)

/**
 * Order of two lengths where it is certain: names stand for lengths of at least 1.
 * @returns a negative number, 0, a positive number, or undefined
 */
export function compareDims(a: Dim, b: Dim): number | undefined {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const difference = parse(subtractDims(a, b))
  let least = 0
  let most = 0
  for (const [monomial, coefficient] of difference) {
    if (monomial === '') {
      least += coefficient
      most += coefficient
    } else if (coefficient > 0) {
      least += coefficient
      most = Infinity
    } else if (coefficient < 0) {
      least = -Infinity
      most += coefficient
    }
  }
  if (least === 0 && most === 0) return 0
  return least > 0 ? 1 : most < 0 ? -1 : undefined
}
