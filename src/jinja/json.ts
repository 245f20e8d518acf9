/** @file `json.dumps`, as the `tojson` filter of transformers calls it. */
import { sortBy } from './compare.js'
import { Dict } from './dict.js'
import { TemplateError } from './errors.js'
import type { Meter } from './limits.js'
import { reprFloat, reprInt } from './numbers.js'
import { isList, textOf, Tuple, typeName, type Value } from './values.js'

export interface JsonOptions {
  readonly ensureAscii: boolean
  /** What one level is indented by; undefined puts everything on one line. */
  readonly indent: string | undefined
  readonly itemSeparator: string
  readonly keySeparator: string
  readonly sortKeys: boolean
}

/** JSON of a value. @throws TemplateError for what JSON does not know, as Python does */
export function toJson(value: Value, options: JsonOptions, meter: Meter): string {
  return write(value, options, meter, '\n')
}

function write(value: Value, options: JsonOptions, meter: Meter, lineStart: string): string {
  meter.step()
  if (value === null) return 'null'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'bigint') return reprInt(value, meter)
  if (typeof value === 'number') return jsonFloat(value)
  const text = textOf(value)
  if (text !== undefined) return jsonText(text, options.ensureAscii, meter)
  const inner = options.indent === undefined ? undefined : lineStart + options.indent
  const within = (item: Value): string => meter.deeper(() => write(item, options, meter, inner ?? lineStart))
  const enclosed = (open: string, parts: readonly string[], close: string): string => {
    if (parts.length === 0) return open + close
    const separator = options.itemSeparator + (inner ?? '')
    const [head, tail] = inner === undefined ? [open, close] : [open + inner, lineStart + close]
    const length = parts.reduce((sum, part) => sum + separator.length + part.length, head.length + tail.length)
    meter.write(length)
    return head + parts.join(separator) + tail
  }
  if (isList(value)) return enclosed('[', value.map(within), ']')
  if (value instanceof Tuple) return enclosed('[', value.items.map(within), ']')
  if (value instanceof Dict) {
    const entries = options.sortKeys ? sortBy(value.entries(), ([key]) => key, false, meter) : value.entries()
    const members = Array.from(
      entries,
      ([key, item]) => jsonText(jsonKey(key, meter), options.ensureAscii, meter) + options.keySeparator + within(item),
    )
    return enclosed('{', members, '}')
  }
  throw new TemplateError(`Object of type ${typeName(value)} is not JSON serializable`)
}

const jsonFloat = (value: number): string =>
  Number.isNaN(value) ? 'NaN' : Number.isFinite(value) ? reprFloat(value) : value > 0 ? 'Infinity' : '-Infinity'

function jsonKey(key: Value, meter: Meter): string {
  const text = textOf(key)
  if (text !== undefined) return text
  if (key === null) return 'null'
  if (typeof key === 'boolean') return String(key)
  if (typeof key === 'bigint') return reprInt(key, meter)
  if (typeof key === 'number') return jsonFloat(key)
  throw new TemplateError(`keys must be str, int, float, bool or None, not ${typeName(key)}`)
}

const SHORT: Readonly<Record<string, string>> = {
  ...{ '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\f': '\\f', '\b': '\\b' },
}

function jsonText(text: string, ensureAscii: boolean, meter: Meter): string {
  meter.read(text.length)
  // By UTF-16 unit, which is how JSON writes what lies beyond U+FFFF.
  const escaped = text.replace(
    ensureAscii ? /["\\]|[^\x20-\x7e]/g : /["\\\0-\x1f]/g,
    (unit) => SHORT[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  meter.write(escaped.length - text.length)
  return `"${escaped}"`
}
