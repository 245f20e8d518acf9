/** @file Lines of standard input. */
import { InvalidDataError } from '../errors.js'
import type { Row } from '../data/rows.js'

/** Each line that is not blank as a row {"text"}. @throws InvalidDataError for bytes that are no UTF-8 */
export async function* linesAsRows(input: AsyncIterable<Uint8Array>): AsyncGenerator<Row> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let [rest, line] = ['', 0]
  const decode = (bytes?: Uint8Array): string => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true })
    } catch (cause) {
      throw new InvalidDataError(`stdin, after line ${line}: the bytes are not valid UTF-8; give text in UTF-8.`, { cause })
    }
  }
  const rowOf = (text: string): Row | undefined => {
    line++
    return text.trim() === '' ? undefined : { value: { text: text.replace(/\r$/, '') }, file: 'stdin', line }
  }
  for await (const bytes of input) {
    const lines = (rest + decode(bytes)).split('\n')
    rest = lines.pop()!
    for (const text of lines) {
      const row = rowOf(text)
      if (row !== undefined) yield row
    }
  }
  const last = rowOf(rest + decode())
  if (last !== undefined) yield last
}
