/** @file Methods and attributes of Python's built-in types. */
import { bind, native, needInt, REQUIRED, type Parameters } from './calls.js'
import { each, sameOrEqual } from './compare.js'
import { Dict, DictView } from './dict.js'
import { TemplateError, unsupported } from './errors.js'
import { formatFields } from './format.js'
import { bitLength, longBits, truncate } from './numbers.js'
import { Callable, isList, Markup, Range, textOf, Tuple, type Value, type Runtime } from './values.js'
import { markedMethod, refusedStringMethods, stringMethods, type Method } from './string-methods.js'

const METHOD = 'builtin_function_or_method'

/** An attribute that belongs to a value's type; undefined where there is none. */
export function methodOf(value: Value, name: string): Value | undefined {
  const text = textOf(value)
  if (text !== undefined) return textMethod(value, text, name)
  if (isList(value)) return bound(value, name, listMethods)
  if (value instanceof Tuple) return bound(value.items, name, sequenceMethods)
  if (value instanceof Range) return bound(value, name, rangeMethods)
  if (value instanceof Dict) return bound(value, name, dictMethods)
  if (typeof value === 'boolean') return numberAttribute(BigInt(value), name)
  if (typeof value === 'bigint' || typeof value === 'number') return numberAttribute(value, name)
  if (value instanceof DictView && (name === 'mapping' || name === 'isdisjoint')) return refused(`${value.typeName}.${name}`)
  return undefined
}

function bound<Self>(self: Self, name: string, methods: Readonly<Record<string, Method<Self>>>): Value | undefined {
  const found = Object.hasOwn(methods, name) ? methods[name] : undefined
  return found && native(name, METHOD, found.parameters, (values, runtime) => found.run(self, values, runtime))
}

function textMethod(value: Value, text: string, name: string): Value | undefined {
  if (name === 'format')
    return new Callable((args, runtime) => {
      if (value instanceof Markup) throw unsupported('Markup.format')
      return formatFields(text, args, runtime)
    }, METHOD)
  if (refusedStringMethods.has(name)) return refused(`str.${name}`)
  const found = Object.hasOwn(stringMethods, name) ? stringMethods[name] : undefined
  if (found === undefined) return undefined
  if (!(value instanceof Markup)) return bound(text, name, stringMethods)
  return new Callable(
    (args, runtime) => markedMethod(name, () => found.run(text, bind(name, found.parameters, args), runtime)),
    METHOD,
  )
}

const refused = (name: string): Value =>
  new Callable(() => {
    throw unsupported(name)
  }, METHOD)

const method = <Self>(
  parameters: Parameters,
  run: (self: Self, values: readonly Value[], runtime: Runtime) => Value,
): Method<Self> => ({ parameters, run })

const countIn = (items: Value, wanted: Value, runtime: Runtime): bigint => {
  let count = 0n
  for (const item of each(items, runtime.meter)) if (sameOrEqual(item, wanted, runtime.meter)) count++
  return count
}

function indexIn(items: readonly Value[], [wanted, start, stop]: readonly Value[], runtime: Runtime): Value {
  const bound = (value: Value): number => {
    const given = needInt(value, 'slice indices')
    return given < 0 ? Math.max(0, given + items.length) : given
  }
  const [low, high] = [bound(start as Value), bound(stop as Value)]
  for (let i = low; i < high && i < items.length; i++) {
    if (sameOrEqual(items[i] as Value, wanted as Value, runtime.meter)) return BigInt(i)
  }
  throw new TemplateError('the value is not in the list')
}

const sequenceMethods: Readonly<Record<string, Method<readonly Value[]>>> = {
  count: method({ '/value': REQUIRED }, (self, [wanted], runtime) => countIn(self, wanted as Value, runtime)),
  index: method({ '/value': REQUIRED, '/start': 0n, '/stop': BigInt(Number.MAX_SAFE_INTEGER) }, indexIn),
}

const listMethods: Readonly<Record<string, Method<readonly Value[]>>> = {
  ...sequenceMethods,
  copy: method({}, (self, _none, runtime) => {
    runtime.meter.items(self.length)
    return [...self]
  }),
}

const rangeMethods: Readonly<Record<string, Method<Range>>> = {
  count: method({ '/value': REQUIRED }, (self, [wanted], runtime) => countIn(self, wanted as Value, runtime)),
  index: method({ '/value': REQUIRED }, (self, [wanted], runtime) =>
    indexIn([...each(self, runtime.meter)], [wanted as Value, 0n, BigInt(self.count)], runtime),
  ),
}

const dictMethods: Readonly<Record<string, Method<Dict>>> = {
  get: method({ '/key': REQUIRED, '/default': null }, (self, [key, fallback], { meter }) => {
    const found = self.get(key as Value, meter)
    return found === undefined ? (fallback as Value) : found
  }),
  keys: method({}, (self) => new DictView(self, 'keys')),
  values: method({}, (self) => new DictView(self, 'values')),
  items: method({}, (self) => new DictView(self, 'items')),
  copy: method({}, (self, _none, { meter }) => Dict.of(self.entries(), meter)),
  fromkeys: method({ '/iterable': REQUIRED, '/value': null }, (_self, [keys, value], { meter }) => {
    const made = new Dict()
    for (const key of each(keys as Value, meter)) made.put(key, value as Value, meter)
    return made
  }),
}

/** Attributes of int and float; those that nobody prints are refused when they are called. */
function numberAttribute(value: bigint | number, name: string): Value | undefined {
  const whole = typeof value === 'bigint'
  const made = (run: () => Value): Value =>
    native(name, METHOD, {}, (_none, { meter }) => {
      if (whole) meter.calculate(longBits(value))
      return run()
    })
  switch (name) {
    case 'real':
      return value
    case 'imag':
      return whole ? 0n : 0
    case 'conjugate':
      return made(() => value)
    case 'is_integer':
      return whole ? undefined : made(() => Number.isInteger(value))
    case 'numerator':
      return whole ? value : undefined
    case 'denominator':
      return whole ? 1n : undefined
    case 'bit_length':
      return whole ? made(() => BigInt(value === 0n ? 0 : bitLength(value))) : undefined
    case 'bit_count':
      return whole ? made(() => BigInt((value < 0n ? -value : value).toString(2).replaceAll('0', '').length)) : undefined
    case 'as_integer_ratio':
      if (whole) return made(() => new Tuple([value, 1n]))
      return made(() => {
        if (Number.isInteger(value)) return new Tuple([truncate(value), 1n])
        throw unsupported('float.as_integer_ratio')
      })
    case 'from_bytes':
    case 'to_bytes':
      return whole ? refused(`int.${name}`) : undefined
    case 'hex':
    case 'fromhex':
      return whole ? undefined : refused(`float.${name}`)
    default:
      return undefined
  }
}
