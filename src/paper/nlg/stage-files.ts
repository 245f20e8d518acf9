/**
 * @file The files between the stages of examples/NLG, as its scripts write and read them: texts (`*_formatted.jsonl`), tokens
 * (`*.jsonl`) and predictions. Each stage reads what the script before it has written, and the other way round.
 */
import { openJsonl } from '../../data/read-jsonl.js'
import { fileAt } from '../../data/row-file.js'
import { at, foundFields, kindOf, rowsOf, type Row } from '../../data/rows.js'
import { InvalidDataError } from '../../errors.js'
import type { Files } from '../../io/files.js'
import { strip } from '../../jinja/unicode.js'
import { pythonJsonLine } from '../../util/python-json.js'

/** A row of format_converting_*.py. */
export interface TextRow {
  /** What the text is about. */
  readonly context: string
  /** The text of people. */
  readonly completion: string
  /** Of WebNLG: whether the category is one that is trained on. */
  readonly cate?: boolean
}

/** A row of gpt2_encode.py. */
export interface TokenRow {
  readonly context: readonly number[]
  readonly completion: readonly number[]
}

/** A row of gpt2_beam.py. */
export interface PredictedRow {
  /** Number of the row of tokens, from 0. */
  readonly id: number
  /** Tokens, with the one that ended the text, and zeros behind it. */
  readonly predict: readonly number[]
}

const isText = (value: unknown): value is string => typeof value === 'string'
const isId = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0
const isIds = (value: unknown): value is readonly number[] => Array.isArray(value) && value.every(isId)

/** A field of a row. @throws InvalidDataError naming file, line and field */
function field<T>(row: Row, name: string, fits: (value: unknown) => value is T, expected: string): T {
  const value = row.value[name]
  if (value === undefined) throw new InvalidDataError(`${at(row)}: ${foundFields(row)}; expected "${name}", ${expected}`)
  if (!fits(value)) throw new InvalidDataError(`${at(row)}: "${name}" must be ${expected}, but is ${kindOf(value)}`)
  return value
}

async function rowsOfFile<T>(files: Files, path: string, read: (row: Row) => T): Promise<T[]> {
  const rows: T[] = []
  for await (const row of rowsOf([await openJsonl(await fileAt(files, path))])) rows.push(read(row))
  if (rows.length === 0) throw new InvalidDataError(`${path} holds no row`)
  return rows
}

/** Texts. @throws InvalidDataError naming the line and the field that is missing or no text */
export const readTextRows = (files: Files, path: string): Promise<TextRow[]> =>
  rowsOfFile(files, path, (row) => {
    const text = 'a text, as format_converting_*.py writes it'
    const { cate } = row.value
    if (cate !== undefined && typeof cate !== 'boolean')
      throw new InvalidDataError(`${at(row)}: "cate" must be true or false, but is ${kindOf(cate)}`)
    const [context, completion] = [field(row, 'context', isText, text), field(row, 'completion', isText, text)]
    return cate === undefined ? { context, completion } : { context, completion, cate }
  })

/** Tokens. @throws InvalidDataError naming the line and the field that is missing or no list of ids */
export const readTokenRows = (files: Files, path: string): Promise<TokenRow[]> =>
  rowsOfFile(files, path, (row) => {
    const ids = 'a list of token ids, as gpt2_encode.py writes it'
    return { context: field(row, 'context', isIds, ids), completion: field(row, 'completion', isIds, ids) }
  })

/** Predictions. @throws InvalidDataError naming the line and the field that is missing or wrong */
export const readPredictedRows = (files: Files, path: string): Promise<PredictedRow[]> =>
  rowsOfFile(files, path, (row) => ({
    id: field(row, 'id', isId, 'the number of a row, as gpt2_beam.py writes it'),
    predict: field(row, 'predict', isIds, 'a list of token ids, as gpt2_beam.py writes it'),
  }))

/** Writes rows as `json.dumps` of Python does. */
export const writeRows = (files: Files, path: string, rows: readonly (TextRow | TokenRow | PredictedRow)[]): Promise<void> =>
  files.write(path, rows.map((row) => `${pythonJsonLine({ ...row })}\n`).join(''))

/** The lines of a text as Python reads them, without white space around them. */
export function linesOf(text: string): string[] {
  const lines = text.split(/\r\n|\r|\n/)
  if (lines.at(-1) === '') lines.pop()
  return lines.map((line) => strip(line, undefined, 'both'))
}
