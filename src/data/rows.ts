/** @file A row of data: its fields, where it came from, and what of it was read. */
import { InvalidDataError } from '../errors.js'
import { someNames } from '../util/some-of.js'

/** One row: its fields, and where it stands, for messages. */
export interface Row {
  readonly value: Readonly<Record<string, unknown>>
  readonly file: string
  /** Line in the file, counted from 1; for Parquet the row's number, counted from 1. */
  readonly line: number
  /** What is counted, for messages; a line by default. */
  readonly unit?: 'row'
  /** Fields that were chosen from columns of other names. */
  readonly chosen?: ReadonlySet<string>
  /** Where given, it notes what is read of the row. */
  readonly use?: RowUse
}

/** What of a row was read. */
export interface RowUse {
  /** Names of fields. */
  readonly read: Set<string>
  /** Parts of fields that reach nothing though the field is read, such as `messages[].name`. */
  readonly lost: Set<string>
}

/** Rows opened for random access. Of a file in memory: the place of each row, never the rows. */
export interface RowSource {
  readonly file: string
  /** Number of rows. */
  readonly length: number
  /** Size of the file in bytes; 0 of rows that lie in memory. */
  readonly size: number
  /** Of a table without a header: the number of its columns, which are called by their numbers, from 1 on. */
  readonly width?: number
  /**
   * Tells whether two are the same, by every byte.
   * @param cacheFolder where the hashes of large files are remembered
   */
  fingerprint(cacheFolder?: string): Promise<string>
  /** Where the row at `index` stands, readable or not. */
  place(index: number): Pick<Row, 'line' | 'unit'>
  /**
   * The row at `index`, read from disk; reading in order costs one file access for many rows.
   * @throws InvalidDataError naming file, line and field
   */
  row(index: number): Promise<Row>
}

/** Whether a row brings a field; null counts as absent, as tables write it. */
export const hasField = (row: Row, field: string): boolean => row.value[field] !== undefined && row.value[field] !== null

/** The first of some names under which a row brings a field. */
export const firstField = (row: Row, names: readonly string[]): string | undefined => names.find((name) => hasField(row, name))

/** What a row holds, for messages. */
export const foundFields = ({ value }: Row): string => `found the fields ${someNames(Object.keys(value)) || '(none)'}`

/** The value of a field, which counts as read from here on. */
export function takeField(row: Row, field: string): unknown {
  row.use?.read.add(field)
  return row.value[field]
}

/** What a value is, for messages. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'number') return `the number ${value}`
  return typeof value === 'string' ? 'text' : typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** Where a row stands in its file. */
export const placeOf = ({ unit, line }: Pick<Row, 'line' | 'unit'>): string => `${unit ?? 'line'} ${line}`

/** Where a row stands, the start of every message about it. */
export const at = (row: Pick<Row, 'file' | 'line' | 'unit'>): string => `${row.file}, ${placeOf(row)}`

/** Puts file and line before the message of an error that does not name them: of the chat template, of the tokenizer. */
export function located<T>(row: Row, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof InvalidDataError && !cause.message.startsWith(at(row)))
      throw new InvalidDataError(`${at(row)}: ${cause.message}`, { cause })
    throw cause
  }
}

/** Every row of some sources, in order. */
export async function* rowsOf(sources: readonly RowSource[]): AsyncGenerator<Row> {
  for (const source of sources) for (let index = 0; index < source.length; index++) yield source.row(index)
}
