/** @file Data of JavaScript as values of a template. */
import { keptKeys, keptNumber } from '../util/exact-json.js'
import { PythonFloat } from '../util/python-json.js'
import { Dict } from './dict.js'
import { TemplateError } from './errors.js'
import type { Value } from './values.js'

/** Deeper data has no template; Python's own JSON reader gives up at about a thousand. */
const MAX_DATA_DEPTH = 200

/**
 * A value of JSON, or of a row: whole numbers become ints and others floats, unless a `PythonFloat`, or the text that the
 * data was parsed from, says that a whole one is a float; properties that are undefined are left out.
 * @throws TemplateError naming the place of what is no data
 */
function toValue(data: unknown, place: () => string, depth = 0): Value {
  if (depth > MAX_DATA_DEPTH) throw new TemplateError(`${place().slice(0, 80)}… nests more than ${MAX_DATA_DEPTH} levels deep`)
  if (data === null || data === undefined) return null
  switch (typeof data) {
    case 'boolean':
    case 'string':
    case 'bigint':
      return data
    case 'number':
      return Number.isInteger(data) ? BigInt(data) : data
    case 'object':
      if (data instanceof PythonFloat) return data.value
      if (Array.isArray(data))
        return data.map((item: unknown, index) => valueAt(data, index, item, () => `${place()}[${index}]`, depth))
      if (isPlainObject(data)) {
        const entries = keptKeys(data).flatMap((key) => {
          const item = (data as Readonly<Record<string, unknown>>)[key]
          return item === undefined ? [] : [[key, valueAt(data, key, item, () => `${place()}.${key}`, depth)] as const]
        })
        return Dict.named(entries)
      }
  }
  throw new TemplateError(`${place()} is a ${describe(data)}; expected data as JSON has it`)
}

/** The value at a key of an object or an index of an array. */
export function valueAt(container: object, key: string | number, item: unknown, place: () => string, depth = 0): Value {
  if (typeof item !== 'number') return toValue(item, place, depth + 1)
  const kept = keptNumber(container, key)
  return kept === undefined ? toValue(item, place, depth + 1) : kept instanceof PythonFloat ? kept.value : kept
}

const isPlainObject = (data: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(data)
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

const describe = (data: unknown): string => (typeof data === 'object' && data !== null ? data.constructor.name : typeof data)
