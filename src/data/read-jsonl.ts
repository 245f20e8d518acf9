/** @file JSON rows: one object a line, or one array of objects. */
import { InvalidDataError, messageOf } from '../errors.js'
import { parseExactRow } from '../util/exact-json.js'
import { isObject } from '../util/json.js'
import { firstByte, RecordFile } from './record-file.js'
import type { RowFile } from './row-file.js'
import type { RowSource } from './rows.js'

const OPEN_LIST = 0x5b

/**
 * Opens a file of one JSON object a line; blank lines, CRLF and a byte order mark are fine. A file that begins with `[` is one
 * array of objects, laid out in any way, which is read one element at a time too.
 */
export async function openJsonl(source: RowFile): Promise<RowSource> {
  const path = source.name
  const isArray = (await firstByte(source)) === OPEN_LIST
  const records = await RecordFile.open(source, isArray ? 'array' : 'lines')
  return {
    file: path,
    length: records.length,
    size: records.size,
    fingerprint: (cacheFolder) => source.fingerprint(cacheFolder),
    place: (index) => ({ line: records.line(index) }),
    async row(index) {
      const text = (await records.text(index)).trimEnd()
      const line = records.line(index)
      let value: unknown
      try {
        value = parseExactRow(text)
      } catch (cause) {
        const spread =
          index === 0 && !isArray && records.length > 1 && /^\{\s*("[^"]*"\s*:\s*[[{]?)?$/.test(text)
            ? ' The file looks like one object over several lines: write its rows as an array, [{…}, {…}], or one a line.'
            : ''
        throw new InvalidDataError(
          `${path}, line ${line}: not valid JSON (${messageOf(cause)}); expected one JSON object ${isArray ? 'an element' : 'a line'}.${spread}`,
          { cause },
        )
      }
      if (!isObject(value)) {
        const found = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`
        throw new InvalidDataError(
          `${path}, line ${line}: expected a JSON object, found ${found}; write rows as {"field": …}, ${isArray ? 'separated by commas' : 'one a line'}.`,
        )
      }
      return { value, file: path, line }
    },
  }
}
