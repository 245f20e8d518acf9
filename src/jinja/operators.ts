/** @file Python's arithmetic, and `+`, `*` and `%` of texts and lists. */
import { TemplateError, unsupported } from './errors.js'
import { percentFormat } from './format.js'
import { escapeHtml } from './html.js'
import type { Meter } from './limits.js'
import * as numbers from './numbers.js'
import { intOf, isList, Markup, textOf, Tuple, typeName, Undefined, type Runtime, type Value } from './values.js'

export type Operator = '+' | '-' | '*' | '/' | '//' | '%' | '**'

/** `a operator b`. @throws TemplateError as Python does */
export function operate(operator: Operator, a: Value, b: Value, runtime: Runtime): Value {
  const special = operator === '%' && typeof a === 'string' ? percentFormat(a, b, runtime) : sequences(operator, a, b, runtime)
  if (special !== undefined) return special
  const [left, right] = [numeric(a), numeric(b)]
  if (left !== undefined && right !== undefined) {
    return typeof left === 'bigint' && typeof right === 'bigint'
      ? ofInts(operator, left, right, runtime)
      : ofFloats(operator, asFloat(left), asFloat(right), runtime)
  }
  throw mismatch(operator, a, b)
}

const numeric = (value: Value): bigint | number | undefined => (typeof value === 'number' ? value : intOf(value))
const asFloat = (value: bigint | number): number => (typeof value === 'bigint' ? numbers.toFloat(value) : value)

function mismatch(operator: Operator, a: Value, b: Value): TemplateError {
  for (const value of [a, b]) if (value instanceof Undefined) return value.error()
  if (operator === '%' && a instanceof Markup) return unsupported('% of Markup')
  if (operator === '-' && typeName(a).startsWith('dict_')) return unsupported(`- of ${typeName(a)}`)
  if (operator === '+' && textOf(a) !== undefined)
    return new TemplateError(`can only concatenate str (not "${typeName(b)}") to str`)
  return new TemplateError(`unsupported operand type(s) for ${operator}: '${typeName(a)}' and '${typeName(b)}'`)
}

/** What texts, lists and tuples do; undefined where neither operand is one that matters. */
function sequences(operator: Operator, a: Value, b: Value, runtime: Runtime): Value | undefined {
  const { meter } = runtime
  if (operator === '+') {
    if (typeof a === 'string' && typeof b === 'string') {
      meter.copy(a.length + b.length)
      return a + b
    }
    if (isList(a) && isList(b)) {
      meter.items(a.length + b.length)
      return [...a, ...b]
    }
    if (a instanceof Tuple && b instanceof Tuple) {
      meter.items(a.items.length + b.items.length)
      return new Tuple([...a.items, ...b.items])
    }
    if (a instanceof Markup || b instanceof Markup) {
      const [left, right] = [escapeText(a, meter), escapeText(b, meter)]
      if (left === undefined || right === undefined) return undefined
      meter.copy(left.length + right.length)
      return new Markup(left + right)
    }
    return undefined
  }
  if (operator !== '*') return undefined
  const [sequence, times] = intOf(a) === undefined ? [a, intOf(b)] : [b, intOf(a)]
  return times === undefined ? undefined : repeat(sequence, times, runtime)
}

const escapeText = (value: Value, meter: Meter): string | undefined =>
  value instanceof Markup ? value.text : typeof value === 'string' ? escapeHtml(value, meter) : undefined

function repeat(sequence: Value, times: bigint, { meter }: Runtime): Value | undefined {
  const text = textOf(sequence)
  const items = isList(sequence) ? sequence : sequence instanceof Tuple ? sequence.items : undefined
  if (text === undefined && items === undefined) return undefined
  if (times >= 2n ** 63n || times < -(2n ** 63n)) throw new TemplateError("cannot fit 'int' into an index-sized integer")
  const count = times > 0n ? Number(times) : 0
  if (text !== undefined) {
    meter.write(text.length * count)
    const repeated = text.repeat(text === '' ? 0 : count)
    return sequence instanceof Markup ? new Markup(repeated) : repeated
  }
  if (items === undefined) return undefined
  meter.items(items.length * count)
  const repeated = items.length === 0 ? [] : Array.from({ length: count }, () => items).flat()
  return isList(sequence) ? repeated : new Tuple(repeated)
}

function ofInts(operator: Operator, a: bigint, b: bigint, { meter }: Runtime): Value {
  meter.calculate(numbers.longBits(a, b))
  switch (operator) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      if (a !== 0n && b !== 0n) meter.bits(numbers.bitLength(a) + numbers.bitLength(b) - 1)
      return a * b
    case '/':
      return numbers.divideInts(a, b)
    case '//':
      return numbers.floorDivide(a, b)
    case '%':
      return numbers.modulo(a, b)
    case '**':
      if (b < 0n) return power(numbers.toFloat(a), numbers.toFloat(b), meter)
      if (a !== 0n && a !== 1n && a !== -1n) {
        const bits = (numbers.bitLength(a) - 1) * Number(b)
        meter.bits(bits)
        meter.calculate(bits)
      }
      return a ** b
  }
}

function ofFloats(operator: Operator, a: number, b: number, { meter }: Runtime): number {
  switch (operator) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '/':
      if (b === 0) throw new TemplateError('float division by zero')
      return a / b
    case '//':
      return numbers.divideFloats(a, b).quotient
    case '%':
      return numbers.divideFloats(a, b).rest
    case '**':
      return power(a, b, meter)
  }
}

function power(a: number, b: number, meter: Meter): number {
  if (a === 1 || b === 0) return 1
  if (a === 0 && b < 0) throw new TemplateError('0.0 cannot be raised to a negative power')
  if (a < 0 && Number.isFinite(a) && Number.isFinite(b) && !Number.isInteger(b)) throw unsupported('a complex number')
  if (a === -1 && !Number.isFinite(b)) return Number.isNaN(b) ? NaN : 1
  if (!Number.isFinite(a) || !Number.isFinite(b) || a === 0) return a ** b
  // JavaScript's own power may be off by the last bit, so it is computed exactly and rounded once.
  if (b === 0.5) return Math.sqrt(a)
  if (!Number.isInteger(b) || Math.abs(b) > MAX_EXPONENT)
    throw unsupported(`the power ${numbers.reprFloat(a)} ** ${numbers.reprFloat(b)}`)
  return numbers.wholePower(a, b, meter)
}

/** Largest exponent of a float: beyond it nearly every power is 0 or infinite. */
const MAX_EXPONENT = 1100

/** `-x` and `+x`. */
export function signed(sign: '+' | '-', value: Value): Value {
  const number = numeric(value)
  if (number !== undefined) return sign === '+' ? number : -number
  if (value instanceof Undefined) throw value.error()
  throw new TemplateError(`bad operand type for unary ${sign}: '${typeName(value)}'`)
}
