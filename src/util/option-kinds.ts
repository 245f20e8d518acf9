/** @file What the value of an option may be: the test, the words for it, and what text is read as. */

/** What the text of a flag, of a config file or of a form is read as. */
export type TextType =
  'text' | 'integer' | 'number' | 'switch' | 'texts' | 'names' | 'modules' | 'integers' | 'mapping' | 'columns' | 'constants'

/** What a value may be, also one that no text can say. */
export interface ValueKind {
  /** The end of a message: `be a whole number of at least 1`. */
  readonly must: string
  readonly fits: (value: unknown) => boolean
}

/** What a value may be, whatever it is. */
export interface AnyKind<out T extends TextType = TextType> extends ValueKind {
  readonly type: T
  /** All texts that there are. */
  readonly choices?: readonly unknown[]
  /** Smallest number of all, for text that is read as one. */
  readonly min?: number
}

/** The values of an option, exactly: the annotation makes a kind of too few values an error as well as one of too many. */
export interface Kind<in out V, out T extends TextType = TextType> extends AnyKind<T> {
  readonly fits: (value: unknown) => value is V
}

/** A kind with words and a test of its own. */
export const kind = <V, const T extends TextType>(
  type: T,
  must: string,
  fits: (value: unknown) => boolean,
  more: { readonly min?: number } = {},
): Kind<V, T> => ({ type, must, fits: fits as Kind<V>['fits'], ...more })

const isNumber = (value: unknown): value is number => typeof value === 'number'

/** A number that passes a test; NaN must not. */
export const number = (must: string, fits: (value: number) => boolean, min?: number): Kind<number, 'number'> =>
  kind('number', must, (value) => isNumber(value) && fits(value), min === undefined ? {} : { min })

/** A finite number from `min` on. */
export const atLeast = (min: number): Kind<number, 'number'> =>
  number(`be a finite number of at least ${min}`, (value) => value >= min && Number.isFinite(value), min)

/** A whole number from `min` on. */
export const whole = (min: number): Kind<number, 'integer'> =>
  kind('integer', `be a whole number of at least ${min}`, (value) => Number.isInteger(value) && (value as number) >= min, { min })

export const toggle: Kind<boolean, 'switch'> = kind('switch', 'be true or false', (value) => typeof value === 'boolean')

export const text: Kind<string, 'text'> = kind('text', 'be a text', (value) => typeof value === 'string')

/** One of some texts, listed as it is usual for their number. @param must in place of `be one of a, b, c` */
export function choice<const V extends string>(choices: readonly V[], must?: string): Kind<V, 'text'> {
  const words = choices.length === 2 ? choices.map((each) => `"${each}"`).join(' or ') : `one of ${choices.join(', ')}`
  return { ...kind('text', must ?? `be ${words}`, (value) => choices.includes(value as V)), choices }
}

/** The seed of a {@link Random}. */
export const seed: Kind<number, 'integer'> = kind(
  'integer',
  'be a whole number of at least 0 and at most 53 bits',
  (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  { min: 0 },
)

/** A function that is told something. */
export const callback: ValueKind = { must: 'be a function', fits: (value) => typeof value === 'function' }

/** Something that has these members: a signal, a communicator. @param what in words: `an AbortSignal` */
export const having = (what: string, ...members: readonly string[]): ValueKind => ({
  must: `be ${what}`,
  fits: (value) => typeof value === 'object' && value !== null && members.every((member) => member in value),
})

export const abortSignal = having('an AbortSignal', 'aborted', 'throwIfAborted')
