/** @file Comma- and tab-separated values with a header line. Every field is text. */
import { parse } from 'csv-parse/browser/esm/sync'
import { InvalidDataError } from '../errors.js'
import { RecordFile } from './record-file.js'
import type { RowFile } from './row-file.js'
import type { RowSource } from './rows.js'

const MOST_SHOWN = 20

/** What to do about a first line that is none of names. */
const HEADER = '; a table without a header needs one, a first line with the names of its columns'

/**
 * Opens a table. Commas: RFC 4180, so fields may be quoted and hold commas, newlines and doubled quotes. Tabs: IANA's
 * text/tab-separated-values, where a quote is a character like any other (published TSV data is full of lone quotes).
 * @throws InvalidDataError if there is no header, a name is empty or twice, or a quote is never closed
 */
export async function openCsv(source: RowFile, delimiter: ',' | '\t'): Promise<RowSource> {
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

  if (records.length === 0)
    throw new InvalidDataError(`${path}: the file is empty; expected a header line with the names of the fields.`)
  const header = (await fields(0)).map((name) => name.trim())
  const line = records.line(0)
  const names = new Set<string>()
  header.forEach((name, column) => {
    if (name === '') throw new InvalidDataError(`${path}, line ${line}: column ${column + 1} of the header has no name${HEADER}.`)
    if (names.has(name)) throw new InvalidDataError(`${path}, line ${line}: the header names "${name}" twice${HEADER}.`)
    names.add(name)
  })

  return {
    file: path,
    length: records.length - 1,
    size: records.size,
    fingerprint: (cacheFolder) => source.fingerprint(cacheFolder),
    place: (index) => ({ line: records.line(index + 1) }),
    async row(index) {
      const values = await fields(index + 1)
      const line = records.line(index + 1)
      if (values.length !== header.length) {
        throw new InvalidDataError(
          `${path}, line ${line}: ${values.length} fields where the header names ${header.length} (${shown(header)}).`,
        )
      }
      return { value: Object.fromEntries(header.map((name, column) => [name, values[column]])), file: path, line }
    },
  }
}

/** Names of columns for a message; of many the first. */
const shown = (header: readonly string[]): string =>
  header.length <= MOST_SHOWN ? header.join(', ') : `${header.slice(0, MOST_SHOWN).join(', ')}, …`
