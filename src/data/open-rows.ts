/** @file Data files opened by their extensions, their rows read one at a time from disk. */
import { InvalidDataError } from '../errors.js'
import type { Files } from '../io/files.js'
import { openCsv } from './read-csv.js'
import { openJsonl } from './read-jsonl.js'
import { openParquet } from './read-parquet.js'
import type { Row, RowSource } from './rows.js'

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
