/** @file JSON lines: one object a line. */
import { InvalidDataError, messageOf } from '../errors.js'
import type { Files } from '../io/files.js'
import { parseExactRow } from '../util/exact-json.js'
import { isObject } from '../util/json.js'
import { RecordFile } from './record-file.js'
import type { RowSource } from './rows.js'

/** Opens a file of one JSON object a line; blank lines, CRLF and a byte order mark are fine. */
export async function openJsonl(files: Files, path: string): Promise<RowSource> {
  const records = await RecordFile.open(files, path, { quoted: false })
  return {
    file: path,
    length: records.length,
    size: records.size,
    async row(index) {
      const text = (await records.text(index)).trimEnd()
      const line = records.line(index)
      let value: unknown
      try {
        value = parseExactRow(text)
      } catch (cause) {
        const array =
          index === 0 && text.trimStart().startsWith('[')
            ? ' The file looks like one JSON array: write each element on a line of its own.'
            : ''
        throw new InvalidDataError(
          `${path}, line ${line}: not valid JSON (${messageOf(cause)}); expected one JSON object a line.${array}`,
          { cause },
        )
      }
      if (!isObject(value)) {
        const found = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`
        throw new InvalidDataError(
          `${path}, line ${line}: expected a JSON object, found ${found}; write rows as {"field": …}, one a line.`,
        )
      }
      return { value, file: path, line }
    },
  }
}
