/** @file What Python asks of every value: is it true, how long is it, what is in it, is it equal, which comes first. */
import { Dict, DictView } from './dict.js'
import { TemplateError } from './errors.js'
import { compareCodePoints } from '../util/python-json.js'
import { intOf, isList, Namespace, PyObject, Range, textOf, Tuple, typeName, Undefined, type Value } from './values.js'
import { lengthOf } from './unicode.js'
import type { Meter } from './limits.js'

/** `bool(x)`. */
export function truth(value: Value): boolean {
  if (value === null) return false
  switch (typeof value) {
    case 'boolean':
      return value
    case 'bigint':
      return value !== 0n
    case 'number':
      return value !== 0
    case 'string':
      return value !== ''
    default:
      return value instanceof PyObject ? value.truth() : value.length > 0
  }
}

/** `len(x)`. @throws TemplateError if it has none */
export function lengthOfValue(value: Value): number {
  const text = textOf(value)
  const length =
    text !== undefined ? lengthOf(text) : isList(value) ? value.length : value instanceof PyObject ? value.length() : undefined
  if (length === undefined) throw new TemplateError(`object of type '${typeName(value)}' has no len()`)
  return length
}

/** `iter(x)`; undefined if it has none. */
export function tryIterate(value: Value): Iterator<Value> | undefined {
  if (typeof value === 'string' || isList(value)) return value[Symbol.iterator]()
  return value instanceof PyObject ? value.iterate() : undefined
}

/** `iter(x)`. @throws TemplateError if it has none */
export function iterate(value: Value): Iterator<Value> {
  const iterator = tryIterate(value)
  if (iterator === undefined) throw new TemplateError(`'${typeName(value)}' object is not iterable`)
  return iterator
}

/** Every item of an iterable, one by one and each charged. */
export function* each(value: Value, meter: Meter): Generator<Value, void> {
  const iterator = iterate(value)
  for (;;) {
    const { done, value: item } = iterator.next()
    if (done === true) return
    meter.step()
    yield item
  }
}

/** `list(x)`. */
export function toList(value: Value, meter: Meter): readonly Value[] {
  const items: Value[] = []
  for (const item of each(value, meter)) items.push(item)
  meter.items(0)
  return items
}

/** `a == b`. */
export function equals(a: Value, b: Value, depth = 0): boolean {
  if (depth > 200) throw new TemplateError('maximum recursion depth exceeded in comparison')
  if (isNumber(a) && isNumber(b)) return Number.isNaN(a) ? false : numeric(a) == numeric(b) // eslint-disable-line eqeqeq -- bigint against number, exactly
  const left = textOf(a)
  if (left !== undefined) return left === textOf(b)
  if (isList(a)) return isList(b) && sameItems(a, b, depth)
  if (a instanceof Tuple) return b instanceof Tuple && sameItems(a.items, b.items, depth)
  if (a instanceof Dict) {
    if (!(b instanceof Dict) || a.size !== b.size) return false
    return a.entries().every(([key, value]) => {
      const other = b.get(key)
      return other !== undefined && (other === value || equals(value, other, depth + 1))
    })
  }
  if (a instanceof Undefined) return b instanceof Undefined
  if (a instanceof Range) {
    if (!(b instanceof Range) || a.count !== b.count) return false
    return a.count === 0 || (a.start === b.start && (a.count === 1 || a.step === b.step))
  }
  if (a instanceof DictView && a.part !== 'values' && b instanceof DictView && b.part !== 'values')
    return a.length() === b.length() && a.items().every((item) => b.items().some((other) => equals(item, other, depth + 1)))
  return a === b
}

function sameItems(a: readonly Value[], b: readonly Value[], depth: number): boolean {
  // As Python, which takes what is the same object for equal without asking.
  return a.length === b.length && a.every((item, i) => item === b[i] || equals(item, b[i] as Value, depth + 1))
}

type Numeric = boolean | bigint | number
const isNumber = (value: Value): value is Numeric =>
  typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean'
const numeric = (value: Numeric): bigint | number => (typeof value === 'boolean' ? BigInt(value) : value)

/** `a < b`, with the operator that is asked for, for the message. @throws TemplateError where the types have no order */
export function less(a: Value, b: Value, operator = '<', depth = 0): boolean {
  if (depth > 200) throw new TemplateError('maximum recursion depth exceeded in comparison')
  if (isNumber(a) && isNumber(b)) return numeric(a) < numeric(b)
  const [left, right] = [textOf(a), textOf(b)]
  if (left !== undefined && right !== undefined) return compareTexts(left, right) < 0
  if (isList(a) && isList(b)) return lessItems(a, b, operator, depth)
  if (a instanceof Tuple && b instanceof Tuple) return lessItems(a.items, b.items, operator, depth)
  for (const value of [a, b]) if (value instanceof Undefined) throw value.error()
  if (a instanceof DictView && b instanceof DictView)
    throw new TemplateError('the order of dict views is not supported in chat templates here')
  throw new TemplateError(`'${operator}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`)
}

function lessItems(a: readonly Value[], b: readonly Value[], operator: string, depth: number): boolean {
  const at = a.findIndex((item, i) => i >= b.length || !(item === b[i] || equals(item, b[i] as Value, depth + 1)))
  if (at < 0) return a.length < b.length
  return at < b.length && less(a[at] as Value, b[at] as Value, operator, depth + 1)
}

/** Order by code point; UTF-16 has it too, save beyond U+FFFF. */
function compareTexts(a: string, b: string): number {
  if (a === b) return 0
  return /[\ud800-\udfff]/.test(a) || /[\ud800-\udfff]/.test(b) ? compareCodePoints(a, b) : a < b ? -1 : 1
}

/** Every comparison of Python by its operator. */
export function compare(operator: string, a: Value, b: Value, meter: Meter): boolean {
  switch (operator) {
    case '==':
      return equals(a, b)
    case '!=':
      return !equals(a, b)
    case '<':
      return less(a, b, operator)
    case '>':
      return less(b, a, operator)
    case '<=':
      return lessOrEqual(a, b, operator)
    case '>=':
      return lessOrEqual(b, a, operator)
    case 'in':
      return contains(b, a, meter)
    default:
      return !contains(b, a, meter)
  }
}

function lessOrEqual(a: Value, b: Value, operator: string): boolean {
  if (less(a, b, operator)) return true
  // What has no order with itself has thrown by now; NaN is neither less nor equal.
  return equals(a, b)
}

/** `item in container`. */
export function contains(container: Value, item: Value, meter: Meter): boolean {
  const text = textOf(container)
  if (text !== undefined) {
    const part = textOf(item)
    if (part === undefined) throw new TemplateError(`'in <string>' requires string as left operand, not ${typeName(item)}`)
    meter.read(text.length)
    return text.includes(part)
  }
  if (container instanceof Dict) return container.has(item)
  if (container instanceof DictView && container.part === 'keys') return container.dict.has(item)
  if (container instanceof Range) {
    const whole = intOf(item) ?? (typeof item === 'number' && Number.isInteger(item) ? BigInt(item) : undefined)
    if (whole === undefined) return false
    const offset = whole - container.start
    return offset % container.step === 0n && offset / container.step >= 0n && offset / container.step < BigInt(container.count)
  }
  if (container instanceof Namespace) throw new TemplateError(`argument of type 'Namespace' is not iterable`)
  const iterator = tryIterate(container)
  if (iterator === undefined) throw new TemplateError(`argument of type '${typeName(container)}' is not iterable`)
  for (;;) {
    const { done, value } = iterator.next()
    if (done === true) return false
    meter.step()
    if (value === item || equals(value, item)) return true
  }
}

/** Sorts as `sorted(items, key=…, reverse=…)` does: stable in both directions. */
export function sortBy<T>(items: readonly T[], keyOf: (item: T) => Value, reverse: boolean, meter: Meter): T[] {
  const keyed = items.map((item) => ({ item, key: keyOf(item) }))
  const sign = reverse ? -1 : 1
  if (keyed.some(({ key }) => holdsNaN(key))) throw new TemplateError('the order of NaN is not supported in chat templates here')
  keyed.sort((a, b) => {
    meter.step()
    return less(a.key, b.key) ? -sign : less(b.key, a.key) ? sign : 0
  })
  return keyed.map(({ item }) => item)
}

const holdsNaN = (value: Value): boolean =>
  Number.isNaN(value) || (isList(value) && value.some(holdsNaN)) || (value instanceof Tuple && value.items.some(holdsNaN))
