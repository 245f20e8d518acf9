/** @file Rows that lie in memory, as a source like any file. */
import { ContentHash, fingerprintArray } from '../util/fingerprint.js'
import type { DataRow } from './row-data.js'
import type { Row, RowSource } from './rows.js'

/** @param name what messages call them */
export const memorySource = (rows: readonly DataRow[], name: string): RowSource => ({
  file: name,
  length: rows.length,
  size: 0,
  fingerprint: () => Promise.resolve(fingerprintRows(rows)),
  place: (index) => ({ line: index + 1, unit: 'row' }),
  row(index) {
    const value = rows[index]
    if (value === undefined) throw new RangeError(`row ${index} of ${rows.length}`)
    return Promise.resolve({ value: plain(value) as Row['value'], file: name, line: index + 1, unit: 'row' as const })
  },
})

/** Values as JSON has them: typed arrays become lists, as all readers of files give them. */
export function plain(value: unknown): unknown {
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return Array.from(value as unknown as ArrayLike<unknown>, plain)
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (Array.isArray(value)) return value.some(isSpecial) ? value.map(plain) : value
  if (typeof value !== 'object' || value === null || ![Object.prototype, null].includes(Object.getPrototypeOf(value) as null))
    return value
  const entries = Object.entries(value)
  return entries.some(([, entry]) => isSpecial(entry))
    ? Object.fromEntries(entries.map(([key, entry]) => [key, plain(entry)]))
    : value
}

const isSpecial = (value: unknown): boolean => typeof value === 'bigint' || (typeof value === 'object' && value !== null)

/** A hash of all values, with typed arrays byte for byte. */
function fingerprintRows(rows: readonly DataRow[]): string {
  const utf8 = new TextEncoder()
  const hash = new ContentHash()
  let bytes = 0
  for (const row of rows) {
    const text = utf8.encode(`${JSON.stringify(row, told)}\n`)
    bytes += text.length
    hash.update(text)
  }
  return `${bytes}:${hash.digest()}`
}

/** What JSON cannot say, as something that it can. */
const told = (_: string, value: unknown): unknown =>
  typeof value === 'bigint'
    ? { bigint: String(value) }
    : typeof value === 'number' && !Number.isFinite(value)
      ? { number: String(value) }
      : ArrayBuffer.isView(value)
        ? { [value.constructor.name]: fingerprintArray(value) }
        : value
