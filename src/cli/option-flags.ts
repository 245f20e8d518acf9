/** @file Flags made from the tables of the library's options, and options from what the flags were read as. */
import type { Kind, TextType } from '../util/option-kinds.js'
import type { OptionGroup } from '../util/option-groups.js'
import type { AnyTable, OptionFlag, OptionRow } from '../util/option-table.js'
import type { Flag } from './flag.js'

/** The flag of a row: its whole description, or undefined where it has none. */
type SpecOf<R> = R extends { readonly flag: infer F extends string | OptionFlag }
  ? F extends string
    ? { readonly name: F }
    : F
  : never

/** The flag's name where this table is to list it. */
type OwnName<R> =
  SpecOf<R> extends infer S
    ? S extends { readonly common: true }
      ? never
      : S extends { readonly name: infer N extends string }
        ? N
        : never
    : never

type DefaultOf<R> = SpecOf<R> extends { readonly default: infer D } ? D : R extends { readonly default: infer D } ? D : undefined

type FlagFrom<R> = Flag & {
  readonly type: R extends { readonly is: { readonly type: infer T } } ? T : never
} & (SpecOf<R> extends { readonly required: true }
    ? { readonly required: true }
    : R extends { readonly required: true }
      ? { readonly required: true }
      : unknown) &
  (DefaultOf<R> extends string | number ? { readonly default: DefaultOf<R> } : unknown) &
  (R extends { readonly is: { readonly type: 'switch' } }
    ? R extends { readonly default: unknown }
      ? unknown
      : { readonly open: true }
    : unknown) &
  (R extends { readonly group: OptionGroup } ? { readonly group: R['group'] } : unknown)

/** The flags of a table by their names, but for those that every command has. */
export type FlagsFrom<T> = { readonly [K in keyof T as OwnName<T[K]>]: FlagFrom<T[K]> }

type Given<T, K extends keyof T> = [SpecOf<T[K]>] extends [never] ? never : T[K] extends { readonly required: true } ? never : K
type Needed<T, K extends keyof T> = T[K] extends { readonly required: true } ? K : never
type ValueOf<R> = R extends { readonly is: Kind<infer V> } ? V : never

/** What the flags of a table say of its options. */
export type OptionsFrom<T> = { readonly [K in keyof T as Given<T, K>]?: ValueOf<T[K]> } & {
  readonly [K in keyof T as Needed<T, K>]: ValueOf<T[K]>
}

/** What stands for the value of a flag whose row says nothing else. */
const placeholders: Partial<Readonly<Record<TextType, string>>> = { integer: 'N', number: 'X', integers: 'N,N' }

/** The flag of a row, undefined where it has none. */
function specOf(row: OptionRow | undefined): OptionFlag | undefined {
  if (row === undefined || !('flag' in row) || row.flag === null) return undefined
  return typeof row.flag === 'string' ? { name: row.flag } : row.flag
}

/** The help with flags in place of the names of options. */
const helpOf = (help: string, table: AnyTable): string =>
  help.replace(/`(\w+)`/g, (_, option: string) => {
    const spec = specOf(table[option])
    if (spec === undefined) throw new Error(`internal: the help "${help}" names ${option}, which has no flag`)
    return `--${spec.name}`
  })

function flagFrom(option: string, table: AnyTable): Flag | undefined {
  const row = table[option]!
  const spec = specOf(row)
  if (spec === undefined || !('is' in row) || row.help === undefined) return undefined
  const { type, choices, min } = row.is
  const value = spec.value ?? (choices === undefined ? placeholders[type] : undefined)
  const preset = spec.default === undefined ? row.default : spec.default
  return {
    type,
    help: helpOf(row.help, table),
    ...(row.group !== undefined && { group: row.group }),
    ...(spec.negates !== true && { option }),
    ...(value !== undefined && { value }),
    ...((spec.required ?? row.required) === true && { required: true }),
    ...((typeof preset === 'string' || typeof preset === 'number') && { default: preset }),
    ...(type === 'switch' && row.default === undefined && { open: true as const }),
    ...(choices !== undefined && { choices: choices as readonly string[] }),
    ...(min !== undefined && { min }),
  }
}

/**
 * Flags of a table's options, in the order of the rows.
 * @param rows those that are wanted, of the table
 */
export function flagsFrom<const T extends object, const W extends object = T>(table: T, rows: W | T = table): FlagsFrom<W> {
  const all = table as AnyTable
  const flags = Object.keys(rows).flatMap((option) => {
    const spec = specOf(all[option])
    return spec === undefined || spec.common === true ? [] : [[spec.name, flagFrom(option, all)!] as const]
  })
  return Object.fromEntries(flags) as FlagsFrom<W>
}

/** The flag of an option that every command has. */
export const commonFlag = <const T extends object, K extends keyof T & string>(table: T, option: K): FlagFrom<T[K]> =>
  flagFrom(option, table as unknown as AnyTable) as FlagFrom<T[K]>

/** The options that the values of flags give; flags that were not given and have no default give none. */
export function optionsFrom<const T extends object>(table: T, values: Readonly<Record<string, unknown>>): OptionsFrom<T> {
  const options = Object.entries(table as AnyTable).flatMap(([option, row]) => {
    const spec = specOf(row)
    const value = spec && values[spec.name]
    if (spec === undefined || value === undefined) return []
    return [[option, spec.negates === true ? !value : (spec.read ?? same)(value as never)]]
  })
  return Object.fromEntries(options) as OptionsFrom<T>
}

const same = (value: unknown): unknown => value
