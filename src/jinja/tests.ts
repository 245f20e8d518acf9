/** @file What may stand behind `is`. */
import { entry, REQUIRED, type Parameters } from './calls.js'
import { compare, contains, equals, tryIterate } from './compare.js'
import { Dict, requireHash } from './dict.js'
import { unsupported } from './errors.js'
import { operate } from './operators.js'
import { filters } from './filters.js'
import { str } from './text.js'
import { isLower, isUpper } from './unicode.js'
import {
  isList,
  Markup,
  PyObject,
  Range,
  textOf,
  Tuple,
  typeName,
  Undefined,
  type Runtime,
  type Callable,
  type Value,
} from './values.js'

type Test = (value: Value, other: Value, runtime: Runtime) => boolean

const rest = (value: Value, divisor: Value, runtime: Runtime): Value => operate('%', value, divisor, runtime)
const isSequence = (value: Value): boolean =>
  textOf(value) !== undefined ||
  isList(value) ||
  value instanceof Tuple ||
  value instanceof Dict ||
  value instanceof Range ||
  value instanceof Undefined

/** `a is b`, where Python says the same whatever it keeps in memory. */
function same(a: Value, b: Value, { meter }: Runtime): boolean {
  if (a === null || b === null || typeof a === 'boolean' || typeof b === 'boolean') return a === b
  if (a instanceof PyObject && !(a instanceof Tuple || a instanceof Markup)) return a === b
  if (isList(a)) return a === b
  if (typeName(a) !== typeName(b) || !equals(a, b, meter)) return false
  // CPython keeps one object for each small integer.
  if (typeof a === 'bigint' && a >= -5n && a <= 256n) return true
  throw unsupported(`sameas of equal ${typeName(a)} values`)
}

const simple: Readonly<Record<string, Test>> = {
  defined: (value) => !(value instanceof Undefined),
  undefined: (value) => value instanceof Undefined,
  none: (value) => value === null,
  boolean: (value) => typeof value === 'boolean',
  true: (value) => value === true,
  false: (value) => value === false,
  integer: (value) => typeof value === 'bigint',
  float: (value) => typeof value === 'number',
  number: (value) => typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean',
  string: (value) => textOf(value) !== undefined,
  mapping: (value) => value instanceof Dict,
  sequence: isSequence,
  iterable: (value) => tryIterate(value) !== undefined,
  callable: (value) => value instanceof Undefined || (value instanceof PyObject && value.call !== undefined),
  escaped: (value) => value instanceof Markup,
  odd: (value, _other, runtime) => equals(rest(value, 2n, runtime), 1n, runtime.meter),
  even: (value, _other, runtime) => equals(rest(value, 2n, runtime), 0n, runtime.meter),
  lower: (value, _other, runtime) => isLower(read(value, runtime)),
  upper: (value, _other, runtime) => isUpper(read(value, runtime)),
  filter: (value, _other, runtime) => named(value, filters, runtime),
  test: (value, _other, runtime) => named(value, tests, runtime),
}

function read(value: Value, { meter }: Runtime): string {
  const text = str(value, meter)
  meter.read(text.length)
  return text
}

function named(value: Value, table: ReadonlyMap<string, Callable>, { meter }: Runtime): boolean {
  requireHash(value, meter)
  const name = textOf(value) ?? ''
  meter.key(name.length)
  return table.has(name)
}

/** Tests that compare, by all their names. */
const comparisons: Readonly<Record<string, string>> = {
  ...{ '==': '==', eq: '==', equalto: '==', '!=': '!=', ne: '!=', '>': '>', gt: '>', greaterthan: '>' },
  ...{ '>=': '>=', ge: '>=', '<': '<', lt: '<', lessthan: '<', '<=': '<=', le: '<=' },
}

const test = (name: string, parameters: Parameters, run: Test): readonly [string, Callable] =>
  entry(name, parameters, ([value, other], runtime) => run(value as Value, other as Value, runtime))

/** Every test of Jinja by name. */
export const tests: ReadonlyMap<string, Callable> = new Map([
  ...Object.entries(simple).map(([name, run]) => test(name, { [name === 'callable' ? '/value' : 'value']: REQUIRED }, run)),
  ...Object.entries(comparisons).map(([name, operator]) =>
    test(name, { '/a': REQUIRED, '/b': REQUIRED }, (a, b, { meter }) => compare(operator, a, b, meter)),
  ),
  test('divisibleby', { value: REQUIRED, num: REQUIRED }, (value, num, runtime) =>
    equals(rest(value, num, runtime), 0n, runtime.meter),
  ),
  test('sameas', { value: REQUIRED, other: REQUIRED }, same),
  test('in', { value: REQUIRED, seq: REQUIRED }, (value, seq, { meter }) => contains(seq, value, meter)),
])
