/** @file What Python asks of every value: is it true, how long is it, what is in it, is it equal, which comes first. */
import { Dict, DictView } from './dict.js'
import { TemplateError } from './errors.js'
import { commonUnits, compareCodePoints } from '../util/python-json.js'
import { intOf, isList, Namespace, PyObject, Range, textOf, Tuple, typeName, Undefined, type Value } from './values.js'
import { longBits } from './numbers.js'
import { find } from './search.js'
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
export function lengthOfValue(value: Value, meter: Meter): number {
  const text = textOf(value)
  if (text !== undefined) meter.pass(text.length)
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
export function equals(a: Value, b: Value, meter: Meter, depth = 0): boolean {
  if (depth > 200) throw new TemplateError('maximum recursion depth exceeded in comparison')
  if (isNumber(a) && isNumber(b)) return Number.isNaN(a) ? false : numeric(a) == numeric(b) // eslint-disable-line eqeqeq -- bigint against number, exactly
  const left = textOf(a)
  if (left !== undefined) {
    const right = textOf(b)
    if (right === undefined || left.length !== right.length) return false
    meter.pass(left.length)
    return left === right
  }
  if (isList(a)) return isList(b) && sameItems(a, b, meter, depth)
  if (a instanceof Tuple) return b instanceof Tuple && sameItems(a.items, b.items, meter, depth)
  if (a instanceof Dict) {
    if (!(b instanceof Dict) || a.size !== b.size) return false
    for (const entry of a.entries()) if (!holdsEntry(b, entry, meter, depth)) return false
    return true
  }
  if (a instanceof Undefined) return b instanceof Undefined
  if (a instanceof Range) {
    if (!(b instanceof Range) || a.count !== b.count) return false
    return a.count === 0 || (a.start === b.start && (a.count === 1 || a.step === b.step))
  }
  if (a instanceof DictView && a.part !== 'values' && b instanceof DictView && b.part !== 'values') {
    if (a.length() !== b.length()) return false
    for (const item of each(a, meter)) if (!inView(b, item, meter, depth)) return false
    return true
  }
  return a === b
}

/** Whether items of containers are equal; Python takes the same object for equal without asking. */
export function sameOrEqual(a: Value, b: Value, meter: Meter, depth = 0): boolean {
  meter.step()
  return a === b || equals(a, b, meter, depth + 1)
}

const sameItems = (a: readonly Value[], b: readonly Value[], meter: Meter, depth: number): boolean =>
  a.length === b.length && a.every((item, i) => sameOrEqual(item, b[i] as Value, meter, depth))

function holdsEntry(dict: Dict, [key, value]: readonly [Value, Value], meter: Meter, depth = 0): boolean {
  const found = dict.get(key, meter)
  return found !== undefined && sameOrEqual(value, found, meter, depth)
}

/** `item in view` of keys or items. */
function inView({ dict, part }: DictView, item: Value, meter: Meter, depth = 0): boolean {
  if (part === 'keys') return dict.has(item, meter)
  if (!(item instanceof Tuple)) return false
  const [key, value, ...more] = item.items
  return key !== undefined && value !== undefined && more.length === 0 && holdsEntry(dict, [key, value], meter, depth)
}

type Numeric = boolean | bigint | number
const isNumber = (value: Value): value is Numeric =>
  typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean'
const numeric = (value: Numeric): bigint | number => (typeof value === 'boolean' ? BigInt(value) : value)

/** `a < b`, with the operator that is asked for, for the message. @throws TemplateError where the types have no order */
export function less(a: Value, b: Value, operator: string, meter: Meter, depth = 0): boolean {
  if (depth > 200) throw new TemplateError('maximum recursion depth exceeded in comparison')
  if (isNumber(a) && isNumber(b)) return numeric(a) < numeric(b)
  const [left, right] = [textOf(a), textOf(b)]
  if (left !== undefined && right !== undefined) {
    const common = commonUnits(left, right)
    meter.pass(left.length + right.length)
    meter.read(common)
    return compareCodePoints(left, right, common) < 0
  }
  if (isList(a) && isList(b)) return lessItems(a, b, operator, meter, depth)
  if (a instanceof Tuple && b instanceof Tuple) return lessItems(a.items, b.items, operator, meter, depth)
  for (const value of [a, b]) if (value instanceof Undefined) throw value.error()
  if (a instanceof DictView && b instanceof DictView)
    throw new TemplateError('the order of dict views is not supported in chat templates here')
  throw new TemplateError(`'${operator}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`)
}

function lessItems(a: readonly Value[], b: readonly Value[], operator: string, meter: Meter, depth: number): boolean {
  const at = a.findIndex((item, i) => i >= b.length || !sameOrEqual(item, b[i] as Value, meter, depth))
  if (at < 0) return a.length < b.length
  return at < b.length && less(a[at] as Value, b[at] as Value, operator, meter, depth + 1)
}

/** Every comparison of Python by its operator. */
export function compare(operator: string, a: Value, b: Value, meter: Meter): boolean {
  switch (operator) {
    case '==':
      return equals(a, b, meter)
    case '!=':
      return !equals(a, b, meter)
    case '<':
      return less(a, b, operator, meter)
    case '>':
      return less(b, a, operator, meter)
    case '<=':
      return lessOrEqual(a, b, operator, meter)
    case '>=':
      return lessOrEqual(b, a, operator, meter)
    case 'in':
      return contains(b, a, meter)
    default:
      return !contains(b, a, meter)
  }
}

function lessOrEqual(a: Value, b: Value, operator: string, meter: Meter): boolean {
  if (less(a, b, operator, meter)) return true
  // What has no order with itself has thrown by now; NaN is neither less nor equal.
  return equals(a, b, meter)
}

/** `item in container`. */
export function contains(container: Value, item: Value, meter: Meter): boolean {
  const text = textOf(container)
  if (text !== undefined) {
    const part = textOf(item)
    if (part === undefined) throw new TemplateError(`'in <string>' requires string as left operand, not ${typeName(item)}`)
    meter.read(text.length + part.length)
    return find(text, part) >= 0
  }
  if (container instanceof Dict) return container.has(item, meter)
  if (container instanceof DictView && container.part !== 'values') return inView(container, item, meter)
  if (container instanceof Range) {
    const whole = intOf(item) ?? (typeof item === 'number' && Number.isInteger(item) ? BigInt(item) : undefined)
    if (whole === undefined) return false
    meter.calculate(longBits(whole, container.step))
    const offset = whole - container.start
    return offset % container.step === 0n && offset / container.step >= 0n && offset / container.step < BigInt(container.count)
  }
  if (container instanceof Namespace) throw new TemplateError(`argument of type 'Namespace' is not iterable`)
  const iterator = tryIterate(container)
  if (iterator === undefined) throw new TemplateError(`argument of type '${typeName(container)}' is not iterable`)
  for (;;) {
    const { done, value } = iterator.next()
    if (done === true) return false
    if (sameOrEqual(value, item, meter)) return true
  }
}

/** Sorts as `sorted(items, key=…, reverse=…)` does: stable in both directions. */
export function sortBy<T>(items: Iterable<T>, keyOf: (item: T) => Value, reverse: boolean, meter: Meter): T[] {
  const keyed = Array.from(items, (item) => ({ item, key: keyOf(item) }))
  const sign = reverse ? -1 : 1
  if (keyed.some(({ key }) => holdsNaN(key, meter)))
    throw new TemplateError('the order of NaN is not supported in chat templates here')
  keyed.sort((a, b) => {
    meter.step()
    return less(a.key, b.key, '<', meter) ? -sign : less(b.key, a.key, '<', meter) ? sign : 0
  })
  return keyed.map(({ item }) => item)
}

function holdsNaN(value: Value, meter: Meter): boolean {
  meter.step()
  const items = value instanceof Tuple ? value.items : isList(value) ? value : undefined
  return items === undefined ? Number.isNaN(value) : meter.deeper(() => items.some((item) => holdsNaN(item, meter)))
}
