/** @file What rows may be given as: files by their paths, blobs, and rows in memory. */
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import { chunksOf } from '../io/blobs.js'
import { isObject } from '../util/json.js'
import { inWords, type ArgumentKind } from '../util/arguments.js'
import { kind, type Kind } from '../util/option-kinds.js'
import { checkOption } from '../util/check-option.js'

/** One row as an object (of any interface: its fields are looked up by name), in any of the shapes that files may have. */
export type DataRow = object

/** Rows one after another. */
export type RowIterable = Iterable<DataRow> | AsyncIterable<DataRow> | ReadableStream<DataRow>

/**
 * Rows, wherever they come from:
 * - the path of a file (JSONL, JSON, CSV, TSV or Parquet, and each of them with .gz), of a folder with `train`, `valid` and
 *   `test` files, or `hf:owner/name[:config][@split]`, a data set of the hub; or several of them;
 * - a `Blob` or `File` with such a content, which its name or its type tells; or several of them;
 * - the rows themselves, as a list or anything that yields them. They are kept in memory, for rows are read in any order; what
 *   can be iterated only once (a generator, a stream) is read the first time that it is used, and its rows serve whoever is
 *   given the same object later;
 * - a function that returns such an iterable, called each time that the rows are opened.
 */
export type RowData =
  string | Blob | readonly (string | Blob)[] | readonly DataRow[] | RowIterable | (() => RowIterable | Promise<RowIterable>)

const isFile = (value: unknown): value is string | Blob => typeof value === 'string' || value instanceof Blob

const isStream = (value: object): value is ReadableStream<DataRow> => 'getReader' in value

const isIterable = (value: unknown): value is RowIterable =>
  typeof value === 'object' && value !== null && (isStream(value) || Symbol.iterator in value || Symbol.asyncIterator in value)

function isRowData(value: unknown): boolean {
  if (isFile(value)) return value !== ''
  if (Array.isArray(value)) return value.length > 0 && (value.every((each) => isFile(each) && each !== '') || !value.some(isFile))
  return typeof value === 'function' || isIterable(value)
}

const must = 'be rows: paths of files, blobs, or a list or iterable of at least one row'

/** Rows as an option; on the command line the paths of files. */
export const rowData: Kind<RowData, 'texts'> = kind('texts', must, isRowData)

export const rowsArgument: ArgumentKind<RowData> = { must, fits: rowData.fits }

/** @param name of the option, for the message @throws InvalidOptionError for anything else than rows */
export function checkRowData(data: unknown, name: string): void {
  checkOption(name, data, rowData)
}

/** The files that rows lie in, or undefined where they are in memory. */
export function filesOf(data: RowData): readonly (string | Blob)[] | undefined {
  if (isFile(data)) return [data]
  return Array.isArray(data) && isFile(data[0]) ? (data as readonly (string | Blob)[]) : undefined
}

/** What the files of rows are called, as they were given; undefined of rows in memory, which have no name. */
export const fileNamesOf = (data: RowData): readonly string[] | undefined =>
  filesOf(data)?.map((file) => (typeof file === 'string' ? file : file instanceof File ? file.name : 'a blob'))

/** What has been read of iterables that can be read only once. */
const readOnce = new WeakMap<object, Promise<readonly DataRow[]>>()

/**
 * Rows in memory as a list.
 * @param name what messages call them
 * @throws InvalidDataError naming an entry that is no object; InvalidOptionError if a function returns nothing to iterate
 */
export async function listRows(data: RowData, name: string): Promise<readonly DataRow[]> {
  const source: unknown = typeof data === 'function' ? await data() : data
  if (!isIterable(source))
    throw new InvalidOptionError(
      `${name} is a function, which must return rows to iterate (a list, a generator, a stream), got ${inWords(source)}`,
    )
  const held = readOnce.get(source)
  if (held !== undefined) return held
  const iterator = iteratorOf(source)
  // What is its own iterator begins nowhere a second time, and neither does a stream.
  const once = (iterator as unknown) === source || isStream(source)
  if (!once) return collect(iterator, name)
  const rows = collect(iterator, name)
  readOnce.set(source, rows)
  return rows
}

/** Browsers differ in whether streams can be iterated themselves. */
function iteratorOf(source: RowIterable): Iterator<unknown> | AsyncIterator<unknown> {
  if (isStream(source)) return chunksOf(source)[Symbol.asyncIterator]()
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
}

async function collect(iterator: Iterator<unknown> | AsyncIterator<unknown>, name: string): Promise<readonly DataRow[]> {
  const rows: DataRow[] = []
  for (;;) {
    const { value, done } = await iterator.next()
    if (done === true) return rows
    if (!isObject(value))
      throw new InvalidDataError(
        `${name}, row ${rows.length + 1}: expected an object, found ${value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`}; give rows as {"field": …}.`,
      )
    rows.push(value)
  }
}
