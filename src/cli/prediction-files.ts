/** @file Rows with what a model says of them, as lines of JSON or as a table. */
import { existsSync } from 'node:fs'
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import { at, type Row } from '../data/rows.js'
import { keptKeys, keptNumber } from '../util/exact-json.js'
import { PythonFloat, pythonFloat } from '../util/python-json.js'

/** A row and what was made of it. */
export interface PredictedRow<P extends object = object> {
  readonly row: Row
  readonly prediction: P
}

/** The field that it is written to; of a table the beginning of the names of its columns. */
export type AnswerField = 'prediction' | 'generation'

/** Bytes that are written at once. */
const CHUNK_BYTES = 64 << 10

type Writer = (rows: AsyncIterable<PredictedRow>, field: AnswerField) => AsyncGenerator<string>

const writers: Readonly<Record<string, Writer>> = { jsonl: jsonLines, ndjson: jsonLines, csv: table }

const extensionOf = (path: string): string => /\.([^./\\]+)$/.exec(path)?.[1]?.toLowerCase() ?? ''

const writerOf = (out: string): Writer | undefined =>
  Object.hasOwn(writers, extensionOf(out)) ? writers[extensionOf(out)] : undefined

/**
 * How a file of predictions is written, told by its name.
 * @throws InvalidOptionError for another kind, or a file that is there and shall not be replaced
 */
export function predictionWriter(
  out: string,
  overwrite: boolean,
  field: AnswerField = 'prediction',
): (rows: AsyncIterable<PredictedRow>) => AsyncGenerator<Uint8Array> {
  const writer = writerOf(out)
  if (writer === undefined)
    throw new InvalidOptionError(
      `"${out}": ${field}s are written as .jsonl, .ndjson or .csv${extensionOf(out) === 'parquet' ? '; Parquet is read, but not written' : ''}. Give the file one of these endings`,
    )
  if (!overwrite && existsSync(out))
    throw new InvalidOptionError(`"${out}" is there already. Choose another file, or replace it with overwrite (--overwrite).`)
  return (rows) => inChunks(writer(rows, field))
}

async function* inChunks(lines: AsyncGenerator<string>): AsyncGenerator<Uint8Array> {
  const utf8 = new TextEncoder()
  let chunk = ''
  for await (const line of lines) {
    chunk += `${line}\n`
    if (chunk.length < CHUNK_BYTES) continue
    yield utf8.encode(chunk)
    chunk = ''
  }
  if (chunk !== '') yield utf8.encode(chunk)
}

/** A row's own fields, and what was made of it beside them. @throws InvalidDataError for a row that has such a field, or a number that JavaScript does not hold */
export function predictionLine({ row, prediction }: PredictedRow, field: AnswerField = 'prediction'): string {
  checkField(row, field)
  const own = keptKeys(row.value).map((key) => `${JSON.stringify(key)}:${json(row.value, key, row)}`)
  return `{${[...own, `${JSON.stringify(field)}:${JSON.stringify(prediction)}`].join(',')}}`
}

async function* jsonLines(rows: AsyncIterable<PredictedRow>, field: AnswerField): AsyncGenerator<string> {
  for await (const row of rows) yield predictionLine(row, field)
}

/** A table with a header: the fields of the first row, then those of its prediction, `prediction.label` and the like. */
async function* table(rows: AsyncIterable<PredictedRow>, field: AnswerField): AsyncGenerator<string> {
  let columns: readonly string[] | undefined
  for await (const { row, prediction } of rows) {
    const said = Object.entries(prediction).map(([name, value]) => [`${field}.${name}`, cell(value)] as const)
    const cells = new Map([...ownCells(row, field), ...said])
    if (columns === undefined) {
      columns = [...cells.keys()]
      yield columns.map(quoted).join(',')
    }
    checkColumns(row, cells, columns)
    yield columns.map((name) => quoted(cells.get(name) ?? '')).join(',')
  }
}

/** The cells of a row's own fields. @throws InvalidDataError for a field that is called as one of the prediction's */
function ownCells(row: Row, field: AnswerField): Map<string, string> {
  const names = Object.keys(row.value)
  const taken = names.find((name) => name.startsWith(`${field}.`))
  if (taken !== undefined) refuseField(row, taken, field)
  return new Map(names.map((name) => [name, textOf(row, name)]))
}

/** @throws InvalidDataError for a row with a field that is no column */
function checkColumns(row: Row, cells: ReadonlyMap<string, string>, columns: readonly string[]): void {
  const strange = [...cells.keys()].find((name) => !columns.includes(name))
  if (strange !== undefined)
    throw new InvalidDataError(
      `${at(row)}: the row has "${strange}", which the first row lacks, so that it is no column of the table; write lines of JSON: --out with the ending .jsonl.`,
    )
}

/**
 * What looks at each row, in their order, before anything is made of them: whether it can be written as it is.
 * @param out the file that they will be written to; undefined prints lines of JSON
 */
export function rowCheck(out: string | undefined, field: AnswerField): (row: Row) => void {
  if (out === undefined || writerOf(out) !== table) return (row) => void predictionLine({ row, prediction: {} }, field)
  let columns: readonly string[] | undefined
  return (row) => {
    const cells = ownCells(row, field)
    checkColumns(row, cells, (columns ??= [...cells.keys()]))
  }
}

/** @throws InvalidDataError for a row whose own field would be written over */
function checkField(row: Row, field: AnswerField): void {
  if (Object.hasOwn(row.value, field)) refuseField(row, field, field)
}

function refuseField(row: Row, name: string, field: AnswerField): never {
  throw new InvalidDataError(
    `${at(row)}: the row has a field "${name}" already, where the ${field} is written; give it another name.`,
  )
}

/** RFC 4180. */
const quoted = (text: string): string => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

const cell = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

/** A field in a table: text as it is, nothing for null, lists and objects as JSON. */
function textOf(row: Row, name: string): string {
  const value = row.value[name]
  return value === null || value === undefined ? '' : typeof value === 'string' ? value : json(row.value, name, row)
}

/** A part of a row as JSON, with the numbers that JavaScript's own would lose. */
function json(container: object, key: string | number, row: Row): string {
  const kept = keptNumber(container, key)
  if (kept !== undefined) return kept instanceof PythonFloat ? pythonFloat(kept.value) : String(kept)
  const value = (container as Record<string | number, unknown>)[key]
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value))
    throw new InvalidDataError(
      `${at(row)}: the number ${value} under "${key}" is beyond 2^53, where not every number can be kept; write it as text.`,
    )
  if (Array.isArray(value)) return `[${value.map((_, i) => json(value, i, row)).join(',')}]`
  if (typeof value === 'object' && value !== null && !(value instanceof Date))
    return `{${keptKeys(value)
      .map((name) => `${JSON.stringify(name)}:${json(value, name, row)}`)
      .join(',')}}`
  return JSON.stringify(value) ?? 'null'
}
