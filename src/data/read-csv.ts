/** @file Comma- and tab-separated values, with a header line or without. Every field is text. */
import { parse } from 'csv-parse/browser/esm/sync'
import { InvalidDataError } from '../errors.js'
import { RecordFile } from './record-file.js'
import type { RowFile } from './row-file.js'
import type { RowSource } from './rows.js'

const MOST_SHOWN = 20

/** What to do about a first line that is none of names. */
const HEADER =
  '; where the first line is a row, header: false (--no-header) reads it as one and calls the columns 1, 2, …, else correct the names'
/** Of a table with tabs: whoever writes quotes around a field means the other format. */
const NO_QUOTES = ' In TSV a quote is a character like any other: a table whose fields are quoted is CSV, with commas.'

/**
 * Opens a table. Commas: RFC 4180, so fields may be quoted and hold commas, newlines and doubled quotes. Tabs: IANA's
 * text/tab-separated-values, where a quote is a character like any other (published TSV data is full of lone quotes).
 * @param hasHeader whether the first line names the columns; else they are called by their numbers, from 1 on
 * @throws InvalidDataError if there is no header, a name is empty or twice, or a quote is never closed
 */
export async function openCsv(source: RowFile, delimiter: ',' | '\t', hasHeader: boolean): Promise<RowSource> {
  const path = source.name
  const quoted = delimiter === ','
  const records = await RecordFile.open(source, quoted ? 'quoted' : 'lines')

  const fields = async (index: number): Promise<string[]> => {
    const text = await records.text(index)
    // Blank lines after the record come with its text.
    const line = (text.split('\n', 1)[0] ?? '').replace(/\r$/, '')
    // Without quotes a record is its line; the parser takes ten times as long.
    if (!quoted || !(text.includes('"') || line.includes('\r'))) return line.split(delimiter)
    try {
      const parsed = parse(text, { delimiter, skip_empty_lines: true, skip_records_with_empty_values: false, to: 1 })
      return parsed[0] ?? []
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message.replace(/ at line \d+/g, '') : String(cause)
      throw new InvalidDataError(
        `${path}, line ${records.line(index)}: not valid CSV (${reason}); put fields that hold quotes, commas or newlines in double quotes.`,
        { cause },
      )
    }
  }

  if (hasHeader && records.length === 0)
    throw new InvalidDataError(`${path}: the file is empty; expected a header line with the names of the fields.`)
  const first = records.length === 0 ? [] : await fields(0)
  const names = hasHeader ? headerNames(first, `${path}, line ${records.line(0)}`) : first.map((_, column) => `${column + 1}`)
  /** Records before the first row. */
  const before = hasHeader ? 1 : 0

  return {
    file: path,
    length: records.length - before,
    ...(!hasHeader && { width: names.length }),
    size: records.size,
    fingerprint: (cacheFolder) => source.fingerprint(cacheFolder),
    place: (index) => ({ line: records.line(index + before) }),
    async row(index) {
      const values = await fields(index + before)
      const line = records.line(index + before)
      if (values.length !== names.length) {
        const expected = hasHeader
          ? `the header names ${names.length} (${shown(names)})`
          : `the first row, line ${records.line(0)}, has ${names.length}`
        const hint = !quoted && values.some((value) => value.startsWith('"')) ? NO_QUOTES : ''
        throw new InvalidDataError(`${path}, line ${line}: ${values.length} fields where ${expected}.${hint}`)
      }
      return { value: Object.fromEntries(names.map((name, column) => [name, values[column]])), file: path, line }
    },
  }
}

/** The names of a header. @param place of the line @throws InvalidDataError if one is empty or twice */
function headerNames(fields: readonly string[], place: string): readonly string[] {
  const header = fields.map((name) => name.trim())
  const names = new Set<string>()
  header.forEach((name, column) => {
    if (name === '') throw new InvalidDataError(`${place}: column ${column + 1} of the header has no name${HEADER}.`)
    if (names.has(name)) throw new InvalidDataError(`${place}: the header names "${name}" twice${HEADER}.`)
    names.add(name)
  })
  return header
}

/** Names of columns for a message; of many the first. */
const shown = (header: readonly string[]): string =>
  header.length <= MOST_SHOWN ? header.join(', ') : `${header.slice(0, MOST_SHOWN).join(', ')}, …`
