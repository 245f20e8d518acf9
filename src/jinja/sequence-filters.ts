/** @file Filters of sequences. Those that are generators in Python are lazy here too, and give their items once. */
import { getItem } from './attributes.js'
import { entry, needInt, needText, REQUIRED } from './calls.js'
import { each, equals, iterate, less, lengthOfValue, sortBy, toList, truth, tryIterate } from './compare.js'
import { Dict } from './dict.js'
import { TemplateError } from './errors.js'
import { parseIntText, tooManyDigits } from './numbers.js'
import { operate } from './operators.js'
import type { Arguments, Runtime } from './values.js'
import { str } from './text.js'
import { points } from './unicode.js'
import {
  Callable,
  GroupTuple,
  isList,
  Iterate,
  Markup,
  PyObject,
  Range,
  textOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.js'

type Run = (values: readonly Value[], runtime: Runtime) => Value
type Entry = readonly [string, Callable]

/** A filter with arguments of its own making. */
const open = (name: string, run: (value: Value, args: Arguments, runtime: Runtime) => Value): Entry => [
  name,
  new Callable(({ positional: [value, ...positional], named }, runtime) => {
    if (value === undefined) throw new TemplateError(`${name}() missing required argument: 'value'`)
    return run(value, { positional, named }, runtime)
  }, 'function'),
]

/** Texts count as equal whatever their case. */
function ignoreCase(value: Value, { meter }: Runtime): Value {
  const text = textOf(value)
  if (text === undefined) return value
  meter.read(text.length)
  return text.toLowerCase()
}

/** `a.b.0` of an item, as Jinja's `make_attrgetter`. */
function getter(attribute: Value, runtime: Runtime, fallback: Value = null): (item: Value) => Value {
  const text = textOf(attribute)
  const parts = attribute === null ? [] : text === undefined ? [attribute] : attributePath(text, runtime)
  return (item) =>
    parts.reduce<Value>((at, part) => {
      runtime.meter.step()
      const found = getItem(at, part, runtime)
      return fallback !== null && found instanceof Undefined ? fallback : found
    }, item)
}

function attributePath(text: string, { meter }: Runtime): readonly Value[] {
  meter.walk(text.length)
  return text.split('.').map((part) => {
    if (!/^\d+$/.test(part)) return part
    const index = parseIntText(part, 10, meter)
    if (index === undefined) throw tooManyDigits()
    return index
  })
}

/** Keys to sort by: one for every attribute between commas. */
function multiGetter(attribute: Value, caseSensitive: boolean, runtime: Runtime): (item: Value) => Value {
  const text = textOf(attribute)
  runtime.meter.walk(text?.length ?? 0)
  const getters = (text === undefined ? [attribute] : text.split(',')).map((part) => getter(part, runtime))
  return (item) => getters.map((get) => (caseSensitive ? get(item) : ignoreCase(get(item), runtime)))
}

const keyOf = (attribute: Value, caseSensitive: Value, runtime: Runtime): ((item: Value) => Value) => {
  const get = getter(attribute, runtime)
  return truth(caseSensitive) ? get : (item) => ignoreCase(get(item), runtime)
}

function first([seq]: readonly Value[], _runtime: Runtime): Value {
  const { done, value } = iterate(seq as Value).next()
  return done === true ? new Undefined('No first item, sequence was empty.') : value
}

/** Whether `reversed(x)` is something. */
const isReversible = (value: Value): boolean =>
  textOf(value) !== undefined || isList(value) || (value instanceof PyObject && value.length() !== undefined)

function last([seq]: readonly Value[], runtime: Runtime): Value {
  const value = seq as Value
  if (!isReversible(value) || tryIterate(value) === undefined)
    throw new TemplateError(`'${typeName(value)}' object is not reversible`)
  if (lengthOfValue(value, runtime.meter) === 0) return new Undefined('No last item, sequence was empty.')
  const isIndexed = textOf(value) !== undefined || isList(value) || value instanceof Tuple || value instanceof Range
  return isIndexed ? getItem(value, -1n, runtime) : (toList(value, runtime.meter).at(-1) as Value)
}

function reverse([value]: readonly Value[], { meter }: Runtime): Value {
  const text = textOf(value as Value)
  if (text !== undefined) {
    meter.walk(text.length)
    const reversed = points(text).toReversed().join('')
    return value instanceof Markup ? new Markup(reversed) : reversed
  }
  const items = toList(value as Value, meter).toReversed()
  return isReversible(value as Value) ? new Iterate(items[Symbol.iterator](), 'list_reverseiterator') : items
}

function join([value, separator, attribute]: readonly Value[], runtime: Runtime): Value {
  const { meter } = runtime
  const get = attribute === null ? undefined : getter(attribute as Value, runtime)
  const between = str(separator as Value, meter)
  const parts: string[] = []
  let length = 0
  for (const item of each(value as Value, meter)) {
    const part = str(get === undefined ? item : get(item), meter)
    length += part.length + between.length
    meter.write(part.length + between.length)
    meter.text(length)
    parts.push(part)
  }
  return parts.join(between)
}

function sum([items, attribute, start]: readonly Value[], runtime: Runtime): Value {
  if (textOf(start as Value) !== undefined) throw new TemplateError("sum() can't sum strings [use ''.join(seq) instead]")
  const get = getter(attribute as Value, runtime)
  let total = start as Value
  for (const item of each(items as Value, runtime.meter)) total = operate('+', total, get(item), runtime)
  return total
}

const extreme =
  (greater: boolean): Run =>
  ([value, caseSensitive, attribute], runtime) => {
    const key = keyOf(attribute as Value, caseSensitive as Value, runtime)
    const { meter } = runtime
    let best: { readonly item: Value; readonly key: Value } | undefined
    for (const item of each(value as Value, meter)) {
      const candidate = { item, key: key(item) }
      if (best === undefined || (greater ? less(best.key, candidate.key, '>', meter) : less(candidate.key, best.key, '<', meter)))
        best = candidate
    }
    return best === undefined ? new Undefined('No aggregated item, sequence was empty.') : best.item
  }

function groupBy([value, attribute, fallback, caseSensitive]: readonly Value[], runtime: Runtime): Value {
  const plain = getter(attribute as Value, runtime, fallback as Value)
  const key = truth(caseSensitive as Value) ? plain : (item: Value): Value => ignoreCase(plain(item), runtime)
  const sorted = sortBy(toList(value as Value, runtime.meter), key, false, runtime.meter)
  const groups: { readonly key: Value; readonly items: Value[] }[] = []
  for (const item of sorted) {
    const current = key(item)
    const group = groups.at(-1)
    if (group !== undefined && equals(group.key, current, runtime.meter)) group.items.push(item)
    else groups.push({ key: current, items: [item] })
  }
  return groups.map(
    (group) => new GroupTuple([truth(caseSensitive as Value) ? group.key : plain(group.items[0] as Value), group.items]),
  )
}

/** The argument `reverse` of `sorted`, which must be an int. */
const isReversed = (value: Value): boolean => needInt(value, 'reverse') !== 0

function dictSort([value, caseSensitive, by, backwards]: readonly Value[], runtime: Runtime): Value {
  const part = textOf(by as Value)
  if (part !== 'key' && part !== 'value') throw new TemplateError('You can only sort by either "key" or "value"')
  if (value instanceof Undefined) throw value.error()
  if (!(value instanceof Dict)) throw new TemplateError(`'${typeName(value as Value)}' object has no attribute 'items'`)
  const key = (pair: readonly [Value, Value]): Value => {
    const item = pair[part === 'key' ? 0 : 1]
    return truth(caseSensitive as Value) ? item : ignoreCase(item, runtime)
  }
  return sortBy(value.entries(), key, isReversed(backwards as Value), runtime.meter).map((pair) => new Tuple(pair))
}

function* unique([value, caseSensitive, attribute]: readonly Value[], runtime: Runtime): Generator<Value, void> {
  const key = keyOf(attribute as Value, caseSensitive as Value, runtime)
  const seen = new Dict()
  for (const item of each(value as Value, runtime.meter)) {
    const current = key(item)
    if (seen.has(current, runtime.meter)) continue
    seen.put(current, null, runtime.meter)
    yield item
  }
}

function* slices([value, count, fill]: readonly Value[], runtime: Runtime): Generator<Value, void> {
  const items = toList(value as Value, runtime.meter)
  const wanted = needInt(count as Value, 'slices')
  if (wanted === 0) throw new TemplateError('integer division or modulo by zero')
  const size = Math.floor(items.length / wanted)
  const larger = items.length - size * wanted
  let offset = 0
  for (let i = 0; i < wanted; i++) {
    runtime.meter.step()
    const start = offset + i * size
    if (i < larger) offset++
    const part = items.slice(start, offset + (i + 1) * size)
    yield fill !== null && i >= larger ? [...part, fill as Value] : part
  }
}

function* batches([value, count, fill]: readonly Value[], runtime: Runtime): Generator<Value, void> {
  let batch: Value[] = []
  for (const item of each(value as Value, runtime.meter)) {
    if (equals(BigInt(batch.length), count as Value, runtime.meter)) {
      yield batch
      batch = []
    }
    batch.push(item)
  }
  if (batch.length === 0) return
  if (fill !== null && less(BigInt(batch.length), count as Value, '<', runtime.meter)) {
    const gap = needInt(count as Value, 'linecount') - batch.length
    runtime.meter.items(gap)
    batch = [...batch, ...Array.from({ length: gap }, () => fill as Value)]
  }
  yield batch
}

function* mapped(value: Value, args: Arguments, runtime: Runtime): Generator<Value, void> {
  if (!truth(value)) return
  const change = mapping(args, runtime)
  for (const item of each(value, runtime.meter)) yield change(item)
}

function mapping({ positional: [name, ...positional], named }: Arguments, runtime: Runtime): (item: Value) => Value {
  const attribute = named.get('attribute')
  if (name === undefined && attribute !== undefined) {
    for (const key of named.keys()) {
      if (key !== 'attribute' && key !== 'default') throw new TemplateError(`Unexpected keyword argument '${key}'`)
    }
    return getter(attribute, runtime, named.get('default') ?? null)
  }
  if (name === undefined) throw new TemplateError('map requires a filter argument')
  const key = needText(name, 'the name of a filter')
  return (item) => runtime.filter(key, item, { positional, named })
}

const choosing = (keep: boolean, byAttribute: boolean) =>
  function* (value: Value, args: Arguments, runtime: Runtime): Generator<Value, void> {
    if (!truth(value)) return
    const [attribute] = args.positional
    if (byAttribute && attribute === undefined) throw new TemplateError('Missing parameter for attribute name')
    const get = byAttribute ? getter(attribute as Value, runtime) : (item: Value): Value => item
    const [name, ...positional] = args.positional.slice(byAttribute ? 1 : 0)
    const key = name === undefined ? undefined : needText(name, 'the name of a test')
    const holds = (item: Value): boolean =>
      truth(key === undefined ? item : runtime.test(key, item, { positional, named: args.named }))
    for (const item of each(value, runtime.meter)) if (holds(get(item)) === keep) yield item
  }

const lazy =
  (make: (values: readonly Value[], runtime: Runtime) => Iterator<Value>): Run =>
  (values, runtime) =>
    new Iterate(make(values, runtime))

const lazyOpen =
  (make: (value: Value, args: Arguments, runtime: Runtime) => Iterator<Value>) =>
  (value: Value, args: Arguments, runtime: Runtime): Value =>
    new Iterate(make(value, args, runtime))

function* items([value]: readonly Value[]): Generator<Value, void> {
  if (value instanceof Undefined) return
  if (!(value instanceof Dict)) throw new TemplateError('Can only get item pairs from a mapping.')
  for (const pair of value.entries()) yield new Tuple(pair)
}

/** The filters by name. */
export const sequenceFilters: readonly Entry[] = [
  entry('first', { seq: REQUIRED }, first),
  entry('last', { seq: REQUIRED }, last),
  entry('list', { value: REQUIRED }, ([value], { meter }) => toList(value as Value, meter)),
  entry('reverse', { value: REQUIRED }, reverse),
  entry('join', { value: REQUIRED, d: '', attribute: null }, join),
  entry('sum', { iterable: REQUIRED, attribute: null, start: 0n }, sum),
  entry('min', { value: REQUIRED, case_sensitive: false, attribute: null }, extreme(false)),
  entry('max', { value: REQUIRED, case_sensitive: false, attribute: null }, extreme(true)),
  entry(
    'sort',
    { value: REQUIRED, reverse: false, case_sensitive: false, attribute: null },
    ([value, backwards, caseSensitive, attribute], runtime) => {
      const key = multiGetter(attribute as Value, truth(caseSensitive as Value), runtime)
      return sortBy(toList(value as Value, runtime.meter), key, isReversed(backwards as Value), runtime.meter)
    },
  ),
  entry('groupby', { value: REQUIRED, attribute: REQUIRED, default: null, case_sensitive: false }, groupBy),
  entry('dictsort', { value: REQUIRED, case_sensitive: false, by: 'key', reverse: false }, dictSort),
  entry('unique', { value: REQUIRED, case_sensitive: false, attribute: null }, lazy(unique)),
  entry('slice', { value: REQUIRED, slices: REQUIRED, fill_with: null }, lazy(slices)),
  entry('batch', { value: REQUIRED, linecount: REQUIRED, fill_with: null }, lazy(batches)),
  entry('items', { value: REQUIRED }, lazy(items)),
  open('map', lazyOpen(mapped)),
  open('select', lazyOpen(choosing(true, false))),
  open('reject', lazyOpen(choosing(false, false))),
  open('selectattr', lazyOpen(choosing(true, true))),
  open('rejectattr', lazyOpen(choosing(false, true))),
]
