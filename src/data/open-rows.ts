/** @file Data files opened by their extensions, their rows read one at a time from where they lie. */
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import type { Files } from '../io/files.js'
import { openCsv } from './read-csv.js'
import { openJsonl } from './read-jsonl.js'
import { openParquet } from './read-parquet.js'
import type { GivenReading } from './row-reading.js'
import { blobFile, fileAt, type RowFile } from './row-file.js'
import { rowsOf, type Row, type RowSource } from './rows.js'
import { gunzip } from './unpack.js'

/** Opens a file. @param hasHeader of a table: whether its first line names the columns */
type Reader = (file: RowFile, hasHeader: boolean) => Promise<RowSource>

/** Tables, which may lack the names of their columns. */
const tables: Readonly<Record<string, Reader>> = {
  csv: (file, hasHeader) => openCsv(file, ',', hasHeader),
  tsv: (file, hasHeader) => openCsv(file, '\t', hasHeader),
}

const readers: Readonly<Record<string, Reader>> = {
  jsonl: openJsonl,
  ndjson: openJsonl,
  json: openJsonl,
  ...tables,
  parquet: (file) => openParquet(file),
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

/** How a file is read: what of the options of rows says so. */
type FileReading = Partial<Pick<GivenReading, 'header'>>

/** @throws InvalidOptionError for rows that bring the names of their fields, where their columns are to have none */
export function checkHeader(name: string, { header }: FileReading, format?: string): void {
  if (header !== false || (format !== undefined && Object.hasOwn(tables, format))) return
  throw new InvalidOptionError(
    `${name}: header: false (--no-header) is for CSV and TSV files without names of columns, and ${format === undefined ? 'rows in memory' : `rows of .${format}`} have the names of their fields; leave it out`,
  )
}

async function open(
  file: RowFile,
  { format, packed }: { format: string; packed: boolean },
  place: RowPlace,
  reading: FileReading,
): Promise<RowSource> {
  checkHeader(file.name, reading, format)
  return readers[format]!(packed ? await gunzip(file, place) : file, reading.header ?? true)
}

/**
 * Opens a data file by its extension: .jsonl, .ndjson or .json (one object a line, or one array of them), .csv, .tsv,
 * .parquet, each also with .gz. Scans it once for the places of its rows.
 * @throws FileError if the file is missing, InvalidDataError if its kind is unknown or its frame is damaged; InvalidOptionError
 * where there is to be no header and the format has none
 */
export async function openRows(
  files: Files,
  path: string,
  { cacheFolder, ...reading }: Omit<RowPlace, 'files'> & FileReading = {},
): Promise<RowSource> {
  const format = formatOf(path)
  if (format === undefined)
    throw new InvalidDataError(
      `${path}: the extension tells no data format; rename the file to one of ${known}, each also with .gz behind it.`,
    )
  return open(await fileAt(files, path), format, { files, cacheFolder }, reading)
}

/**
 * Opens a blob by its name, which a `File` has, or its type.
 * @param fallback what messages call one without a name
 * @throws InvalidDataError if neither tells a data format, or its frame is damaged
 */
export async function openBlob(blob: Blob, fallback: string, place: RowPlace, reading: FileReading = {}): Promise<RowSource> {
  const name = 'name' in blob && typeof blob.name === 'string' && blob.name !== '' ? blob.name : undefined
  const type = blob.type.split(';', 1)[0]!.trim().toLowerCase()
  const format =
    (name === undefined ? undefined : formatOf(name)) ??
    (Object.hasOwn(mediaTypes, type) ? { format: mediaTypes[type]!, packed: false } : undefined)
  if (format === undefined)
    throw new InvalidDataError(
      `${name ?? fallback}: neither the name nor the type (${type === '' ? 'none' : type}) of the blob tells a data format; give a File whose name ends in one of ${known}, or a Blob of type application/jsonl, application/json, text/csv or application/vnd.apache.parquet.`,
    )
  return open(blobFile(blob, name ?? fallback), format, place, reading)
}

/** Every row of a file, in order. */
export async function* readRows(files: Files, path: string): AsyncGenerator<Row> {
  yield* rowsOf([await openRows(files, path)])
}
