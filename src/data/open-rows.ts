/** @file Data files opened by their extensions, their rows read one at a time from where they lie. */
import { InvalidDataError } from '../errors.js'
import type { Files } from '../io/files.js'
import { openCsv } from './read-csv.js'
import { openJsonl } from './read-jsonl.js'
import { openParquet } from './read-parquet.js'
import { blobFile, fileAt, type RowFile } from './row-file.js'
import { rowsOf, type Row, type RowSource } from './rows.js'
import { gunzip } from './unpack.js'

const readers: Readonly<Record<string, (file: RowFile) => Promise<RowSource>>> = {
  jsonl: openJsonl,
  ndjson: openJsonl,
  json: openJsonl,
  csv: (file) => openCsv(file, ','),
  tsv: (file) => openCsv(file, '\t'),
  parquet: openParquet,
}

/** Formats by the media types that blobs have. */
const mediaTypes: Readonly<Record<string, string>> = {
  ...{ 'application/jsonl': 'jsonl', 'application/x-ndjson': 'jsonl', 'application/ndjson': 'jsonl' },
  ...{ 'application/jsonlines': 'jsonl', 'application/x-jsonlines': 'jsonl', 'application/json': 'json' },
  ...{ 'text/csv': 'csv', 'text/tab-separated-values': 'tsv' },
  ...{ 'application/vnd.apache.parquet': 'parquet', 'application/x-parquet': 'parquet' },
}

const known = Object.keys(readers)
  .map((name) => `.${name}`)
  .join(', ')

/** The format that a name ends in, and whether what it names is compressed as a whole: `rows.csv.gz`. */
export function formatOf(name: string): { readonly format: string; readonly packed: boolean } | undefined {
  // The query of an address is no part of its name.
  const path = /^https?:/i.test(name) ? name.replace(/[?#].*$/, '') : name
  const [, extension = '', gz] = /\.([^./\\]+?)(\.gz)?$/i.exec(path) ?? []
  const format = extension.toLowerCase()
  return Object.hasOwn(readers, format) ? { format, packed: gz !== undefined } : undefined
}

/** Where files lie, and where copies of what is packed may lie. */
export interface RowPlace {
  readonly files: Files
  readonly cacheFolder?: string | undefined
}

async function open(file: RowFile, { format, packed }: { format: string; packed: boolean }, place: RowPlace): Promise<RowSource> {
  return readers[format]!(packed ? await gunzip(file, place) : file)
}

/**
 * Opens a data file by its extension: .jsonl, .ndjson or .json (one object a line, or one array of them), .csv, .tsv,
 * .parquet, each also with .gz. Scans it once for the places of its rows.
 * @throws FileError if the file is missing, InvalidDataError if its kind is unknown or its frame is damaged
 */
export async function openRows(files: Files, path: string, cacheFolder?: string): Promise<RowSource> {
  const format = formatOf(path)
  if (format === undefined)
    throw new InvalidDataError(
      `${path}: the extension tells no data format; rename the file to one of ${known}, each also with .gz behind it.`,
    )
  return open(await fileAt(files, path), format, { files, cacheFolder })
}

/**
 * Opens a blob by its name, which a `File` has, or its type.
 * @param fallback what messages call one without a name
 * @throws InvalidDataError if neither tells a data format, or its frame is damaged
 */
export async function openBlob(blob: Blob, fallback: string, place: RowPlace): Promise<RowSource> {
  const name = 'name' in blob && typeof blob.name === 'string' && blob.name !== '' ? blob.name : undefined
  const type = blob.type.split(';', 1)[0]!.trim().toLowerCase()
  const format =
    (name === undefined ? undefined : formatOf(name)) ??
    (Object.hasOwn(mediaTypes, type) ? { format: mediaTypes[type]!, packed: false } : undefined)
  if (format === undefined)
    throw new InvalidDataError(
      `${name ?? fallback}: neither the name nor the type (${type === '' ? 'none' : type}) of the blob tells a data format; give a File whose name ends in one of ${known}, or a Blob of type application/jsonl, application/json, text/csv or application/vnd.apache.parquet.`,
    )
  return open(blobFile(blob, name ?? fallback), format, place)
}

/** Every row of a file, in order. */
export async function* readRows(files: Files, path: string): AsyncGenerator<Row> {
  yield* rowsOf([await openRows(files, path)])
}
