/** @file The value of an option against what it must be. */
import { InvalidOptionError } from '../errors.js'
import { inWords } from './arguments.js'
import type { AnyKind, ValueKind } from './option-kinds.js'

/** A value in a message. */
const show = (value: unknown): string =>
  Array.isArray(value) && value.length > 0
    ? `[${value.map(show).join(', ')}]`
    : typeof value === 'object' || typeof value === 'function'
      ? inWords(value)
      : typeof value === 'string'
        ? JSON.stringify(value)
        : String(value)

/** @throws InvalidOptionError if the value is none of its kind */
export function checkOption(name: string, value: unknown, { must, fits }: ValueKind & Partial<AnyKind>): void {
  if (fits(value)) return
  throw new InvalidOptionError(`${name} must ${must}${value === undefined ? '' : `, got ${show(value)}`}`)
}
