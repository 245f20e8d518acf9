/**
 * @file The names of options. A misspelt one would be dropped without a word, so every public function compares the keys
 * it is given with those it knows.
 *
 * To add an option: add it to its interface, and the compiler points at the table of names beside the interface
 * (`… satisfies OptionKeys<TheOptions>`), where it is one more `name: true`. Tables of interfaces that extend others spread
 * theirs. To add a function that takes options: call {@link checkKeys} with the table before anything else.
 */
import { InvalidOptionError } from '../errors.js'
import { checkOption } from './check-option.js'
import { nearestNames } from './nearest.js'
import type { ValueKind } from './option-kinds.js'
import { knownAs } from './synonyms.js'

type AllKeys<Options> = Options extends unknown ? keyof Options : never

/**
 * A table of every name of an options type; `satisfies` finds missing and superfluous ones. Of a union: the names of all. A kind
 * in place of true is what the value must be, of options that the function does not check itself.
 */
export type OptionKeys<Options> = Readonly<Record<AllKeys<Options>, true | ValueKind>>

const isValueKind = (entry: unknown): entry is ValueKind => typeof entry === 'object' && entry !== null && 'fits' in entry

/**
 * Refuses options of unknown names; one whose value is undefined counts as not given, and so do options left out altogether.
 * @param where the function as its caller writes it: `train`
 * @throws InvalidOptionError naming a key that is unknown and those nearest to it, for a value that is not what the table says, and for
 * options that are no object
 */
export function checkKeys(options: unknown, known: Readonly<Record<string, unknown>>, where: string): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new InvalidOptionError(
      `${where}: options must be an object of names and values, got ${options === null ? 'null' : Array.isArray(options) ? 'a list' : typeof options}`,
    )
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (Object.hasOwn(known, name)) {
      if (isValueKind(known[name])) checkOption(name, value, known[name])
      continue
    }
    const names = Object.keys(known)
    const meant = knownAs(
      name,
      names.map((each) => [each]),
    )
    const near = meant === undefined ? nearestNames(name, names) : [meant]
    throw new InvalidOptionError(
      `${where}: unknown option "${name}"; ${near.length === 0 ? `known are ${names.join(', ')}` : `did you mean ${near.join(' or ')}?`}`,
    )
  }
}

/** The given options of these names: of options for several things, those for one. */
export const pickKeys = <Options extends object, Key extends string>(
  options: Options,
  keys: Readonly<Record<Key, unknown>>,
): Pick<Options, Key & keyof Options> =>
  Object.fromEntries(Object.entries(options).filter(([name, value]) => value !== undefined && Object.hasOwn(keys, name))) as Pick<
    Options,
    Key & keyof Options
  >
