/** @file From the text of a flag, or a value of a config file, to what the library takes. */
import { InvalidOptionError } from '../errors.js'
import { isObject } from '../util/json.js'
import type { Flag } from './flag.js'
import { question, UsageError } from './usage-error.js'

/** A text with quotes in it, which others around it would confuse, is shown as it is. */
const show = (value: unknown): string => {
  // YAML has numbers that JSON has not.
  if (typeof value === 'number') return String(value)
  return typeof value !== 'string' ? JSON.stringify(value) : value.includes('"') ? value : `"${value}"`
}

function fail(where: string, expected: string, value: unknown, more = ''): never {
  throw new UsageError(`${where} must be ${expected}, got ${show(value)}.${more}`)
}

const isList = (value: unknown): value is unknown[] => Array.isArray(value)
const splitNames = (text: string): string[] => text.split(',').map((part) => part.trim())

function number(value: unknown, flag: Flag, where: string): number {
  const kind = `${flag.type === 'integer' || flag.type === 'integers' ? 'a whole number' : 'a number'}${flag.min === undefined ? '' : ` of at least ${flag.min}`}`
  const parsed = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof parsed !== 'number' || !Number.isFinite(parsed)) fail(where, kind, value)
  if (kind.startsWith('a whole') && !Number.isSafeInteger(parsed)) fail(where, kind, value)
  if (flag.min !== undefined && parsed < flag.min) fail(where, kind, value)
  return parsed
}

/** A list as a config file has it: of texts, none of them empty, at least one. */
function texts(list: readonly unknown[], where: string, each: string): string[] {
  if (list.length === 0) fail(where, `a list of at least one ${each}`, list)
  const wrong = list.findIndex((entry) => typeof entry !== 'string' || entry === '')
  if (wrong >= 0) fail(`entry ${wrong + 1} of ${where}`, `a ${each}`, list[wrong])
  return list as string[]
}

function names(value: unknown, where: string, expected = 'names separated by commas, or a list of names'): string[] {
  if (isList(value)) return texts(value, where, 'name')
  const list = typeof value === 'string' ? splitNames(value) : fail(where, expected, value)
  if (list.includes('')) fail(where, expected, value)
  return list
}

/** `a,b` is a list of names; `all-linear` and anything that is more than names is passed on as one string. */
function modules(value: unknown, where: string): string[] | string {
  if (isList(value)) return names(value, where)
  if (typeof value !== 'string' || value === '')
    fail(where, 'names separated by commas, "all-linear", "none" or a regular expression', value)
  return value === 'all-linear' || value === 'none' || !/^[\w.,\s-]+$/.test(value) ? value : names(value, where)
}

function mapping(value: unknown, { value: shown = 'q_proj=16,v_proj=4' }: Flag, where: string): Record<string, number> {
  const expected = `a list such as ${shown} or JSON such as {"${shown.split('=')[0]}":16}`
  let entries: unknown = value
  if (typeof value === 'string' && value.trim().startsWith('{')) {
    try {
      entries = JSON.parse(value)
    } catch {
      fail(where, expected, value)
    }
  } else if (typeof value === 'string')
    entries = Object.fromEntries(
      splitNames(value).map((part) => [part.slice(0, Math.max(0, part.lastIndexOf('='))), part.slice(part.lastIndexOf('=') + 1)]),
    )
  if (!isObject(entries)) fail(where, expected, value)
  return Object.fromEntries(
    Object.entries(entries).map(([name, text]) => {
      const parsed = typeof text === 'string' && text.trim() !== '' ? Number(text) : text
      if (name === '' || typeof parsed !== 'number' || !Number.isFinite(parsed)) fail(where, expected, value)
      return [name, parsed]
    }),
  )
}

/** Names by name: what is wanted, and what it is called. */
function columns(value: unknown, where: string): Record<string, string> {
  const expected = 'a list such as prompt=question,completion=answer, or JSON such as {"prompt":"question"}'
  let entries: unknown = value
  if (typeof value === 'string' && value.trim().startsWith('{')) {
    try {
      entries = JSON.parse(value)
    } catch {
      fail(where, expected, value)
    }
  } else if (typeof value === 'string') {
    const parts = splitNames(value).map(
      (part) => [part.slice(0, Math.max(0, part.indexOf('='))), part.slice(part.indexOf('=') + 1)] as const,
    )
    const names = new Set(parts.map(([name]) => name))
    if (names.size < parts.length) fail(where, 'one column for each field', value)
    entries = Object.fromEntries(parts)
  }
  if (!isObject(entries) || Object.keys(entries).length === 0) fail(where, expected, value)
  for (const [name, column] of Object.entries(entries))
    if (name === '' || typeof column !== 'string' || column === '') fail(where, expected, value)
  return entries as Record<string, string>
}

const isConstant = (value: unknown): boolean =>
  typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))

/** Numbers, true or false, or lists of them, by name. */
function constants(value: unknown, where: string): Record<string, unknown> {
  const expected = 'a list such as sr=16000,flag=true,offsets=[0,1], or JSON such as {"sr":16000}'
  const parse = (text: string): unknown => {
    try {
      return JSON.parse(text)
    } catch {
      return fail(where, expected, value)
    }
  }
  const read = (text: string): unknown => {
    if (text.trim().startsWith('{')) return parse(text)
    // A comma within brackets belongs to a list.
    const parts = text.split(/,(?![^[]*\])/)
    return Object.fromEntries(parts.map((part) => [part.slice(0, Math.max(0, part.indexOf('='))).trim(), parse(part.slice(part.indexOf('=') + 1))])) // prettier-ignore
  }
  const entries = typeof value === 'string' ? read(value) : value
  if (!isObject(entries)) fail(where, expected, value)
  for (const [name, given] of Object.entries(entries))
    if (name === '' || !(isConstant(given) || (isList(given) && given.every(isConstant)))) fail(where, expected, value)
  return entries
}

/**
 * Reads one value.
 * @param where how to call the flag in messages: `--lr`, or `lr in run.yaml`
 * @throws UsageError if the value does not fit; InvalidOptionError if it is planned but not supported yet
 */
export function readValue(value: unknown, flag: Flag, where: string): unknown {
  const parsed = ((): unknown => {
    switch (flag.type) {
      case 'text':
        // In YAML a number or a word like `no` may be meant as text.
        return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : fail(where, 'text', value)
      case 'integer':
      case 'number':
        return number(value, flag, where)
      case 'switch':
        return value === true || value === 'true'
          ? true
          : value === false || value === 'false'
            ? false
            : fail(where, 'true or false', value)
      case 'texts':
        return isList(value)
          ? texts(value, where, 'text')
          : typeof value === 'string' && value !== ''
            ? [value]
            : fail(where, 'a text or a list of texts', value)
      case 'names':
        return names(value, where)
      case 'modules':
        return modules(value, where)
      case 'integers':
        return (
          isList(value)
            ? value
            : typeof value === 'number'
              ? [value]
              : names(value, where, 'whole numbers separated by commas, or a list of them')
        ).map((item) => number(item, { ...flag, min: 0 }, where))
      case 'mapping':
        return mapping(value, flag, where)
      case 'columns':
        return columns(value, where)
      case 'constants':
        return constants(value, where)
    }
  })()
  if (flag.choices !== undefined && !flag.choices.includes(parsed as string))
    fail(where, `one of ${flag.choices.join(', ')}`, value, question(flag.meant?.(parsed as string)))
  refuseNotYet(parsed, flag, where)
  return parsed
}

function refuseNotYet(value: unknown, { notYet }: Flag, where: string): void {
  if (notYet === undefined || value === false) return
  const supported =
    typeof notYet === 'object' && ('above' in notYet ? (value as number) <= notYet.above : !notYet.includes(value as string))
  if (!supported) throw new InvalidOptionError(`${where}${value === true ? '' : ` ${show(value)}`} is not supported yet`)
}
