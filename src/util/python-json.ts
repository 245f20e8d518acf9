/** @file JSON as Python's `json.dumps` writes it, so that files compare equal byte for byte. */

/** What JSON can hold. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue }

/** A number that Python holds as a float: written `1.0`, not `1`. */
export class PythonFloat {
  constructor(readonly value: number) {}
}

type Writable = null | boolean | number | string | PythonFloat | readonly Writable[] | { readonly [key: string]: Writable }

/** Order of strings by code point, as Rust and Python sort; JavaScript's own order differs beyond U+FFFF. */
export function compareCodePoints(a: string, b: string, at = commonUnits(a, b)): number {
  // Where the second halves of two pairs differ, the code points begin one before; where they are none, both are the same.
  const pairs = at > 0 ? pointAt(a, at - 1) - pointAt(b, at - 1) : 0
  return pairs === 0 ? pointAt(a, at) - pointAt(b, at) : pairs
}

/** How many UTF-16 units two strings begin with alike. */
export function commonUnits(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  let at = 0
  while (at < length && a.charCodeAt(at) === b.charCodeAt(at)) at++
  return at
}

/** The code point that begins at a unit; the end comes before all. */
const pointAt = (text: string, unit: number): number => text.codePointAt(unit) ?? -1

/** `repr` of a Python float: the shortest digits, exponents from 1e16 and below 1e-4, at least two digits in them. */
export function pythonFloat(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity'
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  const magnitude = Math.abs(value)
  if (magnitude >= 1e16 || magnitude < 1e-4) {
    const [digits, exponent] = value.toExponential().split('e') as [string, string]
    return `${digits}e${exponent.slice(0, 1)}${exponent.slice(1).padStart(2, '0')}`
  }
  const text = String(value)
  return text.includes('.') ? text : `${text}.0`
}

/** A string with everything outside printable ASCII escaped, as `ensure_ascii` does. */
const pythonString = (text: string): string =>
  JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** A value on one line, as `json.dumps(value)` writes it: keys in their order, ASCII only, a blank behind commas and colons. */
export function pythonJsonLine(value: Writable): string {
  if (Array.isArray(value)) return `[${(value as readonly Writable[]).map(pythonJsonLine).join(', ')}]`
  if (value === null || typeof value !== 'object' || value instanceof PythonFloat) return pythonJson(value)
  const members = Object.entries(value).map(([key, item]) => `${pythonString(key)}: ${pythonJsonLine(item as Writable)}`)
  return `{${members.join(', ')}}`
}

/** `json.dumps(value, indent=2, sort_keys=True)`: JSON text with sorted keys, two spaces a level and ASCII only. Whole numbers are written as Python's int. */
export function pythonJson(value: Writable, indent = ''): string {
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return pythonString(value)
  if (value instanceof PythonFloat) return pythonFloat(value.value)
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0) ? String(value) : pythonFloat(value)
  const inner = `${indent}  `
  if (Array.isArray(value)) {
    const items = (value as readonly Writable[]).map((item) => `${inner}${pythonJson(item, inner)}`)
    return items.length === 0 ? '[]' : `[\n${items.join(',\n')}\n${indent}]`
  }
  const entries = Object.entries(value as Record<string, Writable>).sort(([a], [b]) => compareCodePoints(a, b))
  const lines = entries.map(([key, item]) => `${inner}${pythonString(key)}: ${pythonJson(item, inner)}`)
  return lines.length === 0 ? '{}' : `{\n${lines.join(',\n')}\n${indent}}`
}
