/** @file `x.name` and `x[key]`, as Jinja's sandbox finds them: Python's attributes, then items, or the other way round. */
import { Dict, DictView, unhashable } from './dict.js'
import { TemplateError } from './errors.js'
import type { Meter } from './limits.js'
import { methodOf } from './methods.js'
import { bitLength } from './numbers.js'
import { repr } from './text.js'
import { lengthOf, points, sliceText } from './unicode.js'
import { intOf, isList, Markup, PyObject, Range, textOf, Tuple, typeName, Undefined, type Runtime, type Value } from './values.js'

/** Methods that change what they belong to; the sandbox of transformers hides them. */
const CHANGING: Readonly<Record<string, ReadonlySet<string>>> = {
  list: new Set(['append', 'clear', 'pop', 'reverse', 'insert', 'sort', 'extend', 'remove']),
  dict: new Set(['clear', 'pop', 'popitem', 'setdefault', 'update']),
}

/** Names that every object of Python has for its inside. */
const INTERNAL = new Set(
  (
    'class delattr dir doc eq format ge getattribute getstate gt hash init init_subclass le lt ne new reduce reduce_ex repr setattr ' +
    'sizeof str subclasshook len getitem contains iter class_getitem delitem ior or reversed ror setitem'
  )
    .split(' ')
    .map((name) => `__${name}__`),
)

/** `getattr(x, name)`; undefined where there is no such attribute. */
export function pythonAttribute(value: Value, name: string): Value | undefined {
  const own = value instanceof PyObject ? value.attribute(name) : undefined
  const found = own === undefined ? methodOf(value, name) : own
  const type = typeName(value)
  const hidden = found !== undefined ? name.startsWith('_') : INTERNAL.has(name) || CHANGING[type]?.has(name) === true
  return hidden ? new Undefined(`access to attribute '${name}' of '${type}' object is unsafe.`) : found
}

/** `x.name`: an attribute, else an item. */
export function getAttribute(value: Value, name: string, runtime: Runtime): Value {
  if (value instanceof Undefined) throw value.error()
  const attribute = pythonAttribute(value, name)
  const found = attribute === undefined && value instanceof Dict ? value.get(name, runtime.meter) : attribute
  return found === undefined ? missing(value, name, runtime) : found
}

/** `x[key]`: an item, else an attribute where the key is text. */
export function getItem(value: Value, key: Value, runtime: Runtime): Value {
  if (value instanceof Undefined) throw value.error()
  const name = textOf(key)
  if (name !== undefined) runtime.meter.key(name.length)
  const part = item(value, key, runtime.meter)
  const found = part === undefined && name !== undefined ? pythonAttribute(value, name) : part
  return found === undefined ? missing(value, key, runtime) : found
}

function item(value: Value, key: Value, meter: Meter): Value | undefined {
  if (value instanceof Dict) return unhashable(key, meter) === undefined ? value.get(key, meter) : undefined
  const index = intOf(key)
  if (index === undefined) return undefined
  const sequence = sequenceOf(value, meter)
  if (sequence === undefined) return undefined
  const at = index < 0n ? index + BigInt(sequence.length) : index
  return at >= 0n && at < BigInt(sequence.length) ? sequence.at(Number(at)) : undefined
}

interface Sequence {
  readonly length: number
  at(index: number): Value
  /** The same type with these of its items. */
  pick(start: number, step: number, count: number, stop: number): Value
}

function sequenceOf(value: Value, meter: Meter): Sequence | undefined {
  const text = textOf(value)
  if (text !== undefined) {
    const wrap = (part: string): Value => (value instanceof Markup ? new Markup(part) : part)
    meter.pass(text.length)
    return {
      length: lengthOf(text),
      at: (index) => wrap(sliceText(text, index, index + 1)),
      pick: (start, step, count) => {
        if (step === 1) return wrap(sliceText(text, start, start + count))
        meter.walk(text.length)
        const all = points(text)
        return wrap(take(start, step, count, (i) => all[i] as string).join(''))
      },
    }
  }
  if (value instanceof Range) {
    return {
      length: value.count,
      at: (index) => value.at(index),
      pick: (start, step, _count, stop) => {
        meter.bits(bitLength(BigInt(step)) + bitLength(value.step))
        return new Range(value.at(start), value.at(stop), BigInt(step) * value.step)
      },
    }
  }
  const items = isList(value) ? value : value instanceof Tuple ? value.items : undefined
  if (items === undefined) return undefined
  const at = (i: number): Value => items[i] as Value
  return {
    length: items.length,
    at,
    pick: (start, step, count) => {
      const taken = take(start, step, count, at)
      return isList(value) ? taken : new Tuple(taken)
    },
  }
}

const take = <T>(start: number, step: number, count: number, at: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => at(start + i * step))

/** `x[start:stop:step]`. @throws TemplateError where x has no slices or a bound is no integer */
export function slice(value: Value, bounds: readonly (Value | undefined)[], runtime: Runtime): Value {
  if (value instanceof Undefined) throw value.error()
  const sequence = sequenceOf(value, runtime.meter)
  if (sequence === undefined) {
    if (value instanceof Dict) throw new TemplateError(`unhashable type: 'slice'`)
    throw new TemplateError(`'${typeName(value)}' object is not subscriptable`)
  }
  const [start, stop, step] = bounds.map((bound) => {
    if (bound === undefined || bound === null) return undefined
    const whole = intOf(bound)
    if (whole === undefined) throw new TemplateError('slice indices must be integers or None or have an __index__ method')
    const limit = 2n ** 40n
    return Number(whole > limit ? limit : whole < -limit ? -limit : whole)
  })
  const width = step ?? 1
  if (width === 0) throw new TemplateError('slice step cannot be zero')
  const length = sequence.length
  // As CPython's PySlice_AdjustIndices: bounds within [0, length], or [-1, length - 1] for a step backwards.
  const [low, high] = width > 0 ? [0, length] : [-1, length - 1]
  const place = (bound: number): number => Math.min(Math.max(bound < 0 ? bound + length : bound, low), high)
  const from = start === undefined ? (width > 0 ? low : high) : place(start)
  const to = stop === undefined ? (width > 0 ? high : low) : place(stop)
  const count = Math.max(0, Math.ceil((to - from) / width))
  if (textOf(value) !== undefined) runtime.meter.pass(count)
  else if (!(value instanceof Range)) runtime.meter.items(count)
  return sequence.pick(from, width, count, to)
}

function missing(value: Value, key: Value, runtime: Runtime): Undefined {
  const type =
    value === null ? 'None' : value instanceof Dict || value instanceof DictView ? 'dict object' : `${typeName(value)} object`
  if (typeof key === 'string') return new Undefined(`'${type}' has no attribute ${repr(key, runtime.meter)}`)
  return new Undefined(`${type} has no element ${describe(key, runtime)}`)
}

/** A key for a message that may never be shown: it must not fail. */
function describe(key: Value, runtime: Runtime): string {
  try {
    return repr(key, runtime.meter)
  } catch {
    return typeName(key)
  }
}
