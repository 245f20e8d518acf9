/** @file Options as they are now. */

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null)

/** An object with functions (files, a runtime, a loss) does something, and may keep its state in itself. */
const isData = (value: unknown): value is Record<string, unknown> =>
  isPlain(value) && !Object.values(value).some((entry) => typeof entry === 'function')

function copy<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copy) as T
  return isData(value) ? copyEntries(value) : value
}

const copyEntries = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, copy(entry)])) as T

/**
 * A copy of options that later changes of their lists and plain objects do not reach: what a caller does with them while a
 * call is running is no part of the call. Everything else (signals, functions, models, typed arrays) is the caller's own.
 */
export function snapshot<T>(options: T): T {
  return isPlain(options) ? copyEntries(options) : copy(options)
}
