/** @file Options as they are now. */

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null)

/**
 * A copy that later changes of lists and plain objects do not reach: what a caller does with its options while a call is
 * running is no part of the call. Everything else (signals, functions, typed arrays) is the caller's own.
 */
export function snapshot<T>(value: T): T {
  if (Array.isArray(value)) return value.map(snapshot) as T
  if (!isPlain(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, snapshot(entry)])) as T
}
