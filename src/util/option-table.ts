/**
 * @file Options as data. An interface has the type of each option and the words that editors show; the table beside it has
 * everything else, one row an option: what a value must be, the default, the flag and its help. Checks, defaults, flags,
 * `--help`, config files and whatever else asks for options are made from the rows.
 *
 * To add an option: a member of the interface, and the row that the compiler then asks for.
 */
import type { OptionGroup } from './option-groups.js'
import type { AnyKind, Kind, ValueKind } from './option-kinds.js'
import { checkOption } from './check-option.js'
import { checkKeys } from './option-keys.js'
import { snapshot } from './snapshot.js'

/** A flag that is more than its name. */
export interface OptionFlag {
  /** In kebab-case. */
  readonly name: string
  /** What stands for the value in the help: `DIR`, `N`. */
  readonly value?: string
  /** The command line cannot do without. */
  readonly required?: true
  /** In place of the option's own default; null leaves it open, for the help tells it in words. */
  readonly default?: string | number | boolean | null
  /** A switch that turns the option off; the help says what that does. */
  readonly negates?: true
  /** Every command has it. */
  readonly common?: true
  /** Makes the value of what the flag was read as, where they differ. */
  readonly read?: (value: never) => unknown
}

/** An option that text can say. */
type SettingRow<K extends AnyKind> = { readonly is: K } & (Shown | { readonly flag?: undefined; readonly help?: undefined })

/** Of options that the command line or a form may ask for. */
interface Shown {
  readonly flag: string | OptionFlag | null
  /** What it is, for people: on the command line, and in forms. A name in backticks is that of another option. */
  readonly help: string
}

/** An option that only code can give: a signal, a function that is told something. */
interface EffectRow<V> {
  /** What it must be; true where the function that takes it looks for itself. */
  readonly effect: true | ValueKind
  readonly default?: V
}

interface Defaults<O, V> {
  /** Stands where the option is not given. */
  readonly default?: V
  /** The option whose value does. */
  readonly defaultsTo?: keyof O
}

type Optional<O, K extends keyof O> =
  object extends Pick<O, K> ? Defaults<O, Exclude<O[K], undefined>> : { readonly required: true }

/** A row for each option of an interface, with what a table of options has beside. */
export type OptionTable<O, Columns = unknown> = {
  readonly [K in keyof O]-?:
    (SettingRow<Kind<Exclude<O[K], undefined>>> & Optional<O, K> & Columns) | EffectRow<Exclude<O[K], undefined>>
}

/** Any row, for code that goes through tables. */
export type OptionRow = ((SettingRow<AnyKind> & { readonly required?: true }) | EffectRow<unknown>) & {
  readonly default?: unknown
  readonly defaultsTo?: PropertyKey
  readonly group?: OptionGroup
}

/** The name of an option's flag, undefined where it has none. */
export function flagName(row: OptionRow): string | undefined {
  if (!('flag' in row) || row.flag === null) return undefined
  return typeof row.flag === 'string' ? row.flag : row.flag?.name
}

export type AnyTable = Readonly<Record<string, OptionRow>>

type WithoutDefaults<T> = { readonly [K in keyof T]: Omit<T[K], 'default' | 'defaultsTo'> }

/** The same options without defaults: of what stands in place of others where it is given. */
export const withoutDefaults = <const T extends object>(table: T): WithoutDefaults<T> =>
  Object.fromEntries(
    Object.entries(table as unknown as AnyTable).map(([name, { default: _, defaultsTo: __, ...row }]) => [name, row]),
  ) as unknown as WithoutDefaults<T>

type Filled<T> = {
  [K in keyof T]: T[K] extends { readonly default: unknown } | { readonly defaultsTo: unknown } ? K : never
}[keyof T]

/** Options with their defaults filled in; those without stay as they are. */
export type Resolved<O, T> = Omit<O, Filled<T>> & { readonly [K in Filled<T> & keyof O]-?: Exclude<O[K], undefined> }

/** The defaults of a table. */
export const optionDefaults = <O extends object, T extends OptionTable<O>>(
  table: T,
): { readonly [K in Filled<T> & keyof O]-?: Exclude<O[K], undefined> } =>
  Object.fromEntries(
    Object.entries(table as unknown as AnyTable).flatMap(([name, row]) =>
      row.default === undefined ? [] : [[name, row.default]],
    ),
  ) as never

/**
 * The options of a call as they are now, checked and with their defaults. One whose value is undefined counts as not given.
 * @param where the function as its caller writes it: `train`
 * @throws InvalidOptionError naming the option that is unknown, missing or out of range
 */
export function resolveOptions<O extends object, const T extends OptionTable<O>>(
  table: T,
  given: O,
  where: string,
): Resolved<O, T> {
  checkKeys(given, table, where)
  const rows = table as unknown as AnyTable
  const taken = snapshot(given ?? {}) as Readonly<Record<string, unknown>>
  const valueOf = (name: string): unknown => {
    const { default: preset, defaultsTo } = rows[name]!
    if (taken[name] !== undefined) return taken[name]
    return defaultsTo === undefined ? preset : valueOf(defaultsTo as string)
  }
  const resolved = Object.keys(rows).map((name) => [name, valueOf(name)] as const)
  for (const [name, value] of resolved) {
    const row = rows[name]!
    if ('is' in row && (value !== undefined || row.required === true)) checkOption(name, value, row.is)
    else if ('effect' in row && row.effect !== true && value !== undefined) checkOption(name, value, row.effect)
  }
  return Object.fromEntries(resolved.filter(([, value]) => value !== undefined)) as Resolved<O, T>
}
