/** @file Arguments of public functions that are no options: what stands in a wrong place is told so at the call. */
import { InvalidOptionError } from '../errors.js'

/** What an argument may be. */
export interface ArgumentKind<V> {
  /** The end of a message: `be a model`. */
  readonly must: string
  readonly fits: (value: unknown) => value is V
  /** What to do with something that is often given in its place. */
  readonly advice?: (value: unknown) => string | undefined
}

const isPromise = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

const LONGEST = 60

/** What was given, in words: `the text "demo/base"`, `a promise`. */
export function inWords(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'string')
    return `the text ${JSON.stringify(value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value)}`
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (isPromise(value)) return 'a promise; await it'
  if (typeof value === 'object' && value !== null) {
    const { name } = (value.constructor ?? Object) as { readonly name: string }
    return name === 'Object' ? 'an object' : `an object of the class ${name}`
  }
  return typeof value === 'function' ? 'a function' : String(value)
}

/**
 * @param where the function as its caller writes it: `predict`
 * @param what the argument: `the first argument`
 * @throws InvalidOptionError for a value of another kind, with what to do where that is known
 */
export function checkArgument<V>(
  value: unknown,
  { must, fits, advice }: ArgumentKind<V>,
  where: string,
  what = 'the first argument',
): asserts value is V {
  if (fits(value)) return
  const mend = advice?.(value)
  throw new InvalidOptionError(`${where}: ${what} must ${must}, got ${inWords(value)}${mend === undefined ? '' : `; ${mend}`}`)
}

/** The path of a file or a folder, or a name that the hub knows it by. */
export const pathArgument: ArgumentKind<string> = {
  must: 'be a path',
  fits: (value): value is string => typeof value === 'string' && value !== '',
}

/** A list of anything. */
export const listArgument: ArgumentKind<readonly unknown[]> = { must: 'be a list', fits: Array.isArray }

/** An object of names and values. */
export const recordArgument: ArgumentKind<Readonly<Record<string, unknown>>> = {
  must: 'be an object of names and values',
  fits: (value): value is Readonly<Record<string, unknown>> =>
    typeof value === 'object' && value !== null && !Array.isArray(value) && !isPromise(value),
}
