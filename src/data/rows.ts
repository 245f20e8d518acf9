/** @file Rows of data files, read one at a time from disk: what a row is, where it came from, and which reader a file needs. */
import { InvalidDataError } from '../errors.js'
import type { Files } from '../io/files.js'
import { someNames } from '../util/some-of.js'
import { openCsv } from './read-csv.js'
import { openJsonl } from './read-jsonl.js'
import { openParquet } from './read-parquet.js'

/** One row: its fields, and where it stands, for messages. */
export interface Row {
  readonly value: Readonly<Record<string, unknown>>
  readonly file: string
  /** Line in the file, counted from 1; for Parquet the row's number, counted from 1. */
  readonly line: number
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

/** A data file opened for random access. In memory: the place of each row, never the rows. */
export interface RowSource {
  readonly file: string
  /** Number of rows. */
  readonly length: number
  /** Size of the file in bytes. */
  readonly size: number
  /**
   * The row at `index`, read from disk; reading in order costs one file access for many rows.
   * @throws InvalidDataError naming file, line and field
   */
  row(index: number): Promise<Row>
}

/** Whether a row brings a field; null counts as absent, as tables write it. */
export const hasField = (row: Row, field: string): boolean => row.value[field] !== undefined && row.value[field] !== null

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

/** Where a row stands, the start of every message about it. */
export const at = (row: Pick<Row, 'file' | 'line'>): string => `${row.file}, line ${row.line}`

const readers: Readonly<Record<string, (files: Files, path: string) => Promise<RowSource>>> = {
  jsonl: openJsonl,
  ndjson: openJsonl,
  json: openJsonl,
  csv: (files, path) => openCsv(files, path, ','),
  tsv: (files, path) => openCsv(files, path, '\t'),
  parquet: openParquet,
}

/**
 * Opens a data file by its extension: .jsonl, .ndjson or .json (one object a line), .csv, .tsv, .parquet.
 * Scans it once for the places of its rows.
 * @throws FileError if the file is missing, InvalidDataError if its kind is unknown or its frame is damaged
 */
export async function openRows(files: Files, path: string): Promise<RowSource> {
  const extension = /\.([^./\\]+)$/.exec(path)?.[1]?.toLowerCase() ?? ''
  const reader = Object.hasOwn(readers, extension) ? readers[extension] : undefined
  if (reader === undefined) {
    const known = Object.keys(readers).map((name) => `.${name}`)
    throw new InvalidDataError(`${path}: the extension tells no data format; rename the file to one of ${known.join(', ')}.`)
  }
  return reader(files, path)
}

/** Every row of a file, in order. */
export async function* readRows(files: Files, path: string): AsyncGenerator<Row> {
  const source = await openRows(files, path)
  for (let index = 0; index < source.length; index++) yield source.row(index)
}

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
