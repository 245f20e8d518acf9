/** @file Standard input: its lines, or the whole of it. */
import { InvalidDataError } from '../errors.js'
import type { Row } from '../data/rows.js'
import { joinBytes } from '../util/join-bytes.js'

const NEWLINE = 0x0a

/** Lines without what ends them. A newline never lies inside a UTF-8 character. */
async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array[] = []
  for await (const bytes of input) {
    let start = 0
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      yield joinBytes([...rest, bytes.subarray(start, end)])
      rest = []
      start = end + 1
    }
    if (start < bytes.length) rest.push(bytes.slice(start))
  }
  if (rest.length > 0) yield joinBytes(rest)
}

/** Each line as a row {"text"}, also an empty one: rows keep their numbers. @throws InvalidDataError for bytes that are no UTF-8 */
export async function* linesAsRows(input: AsyncIterable<Uint8Array>): AsyncGenerator<Row> {
  let line = 0
  for await (const bytes of linesOf(input)) {
    line++
    yield { value: { text: textOf(bytes, line).replace(/\r$/, '') }, file: 'stdin', line }
  }
}

/** All of it as one text. @throws InvalidDataError for bytes that are no UTF-8 */
export async function wholeText(input: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const bytes of input) parts.push(bytes)
  return decoded(joinBytes(parts), 'stdin', false)
}

function textOf(bytes: Uint8Array, line: number): string {
  // A byte order mark stands at the beginning of the first line alone.
  return decoded(bytes, `stdin, line ${line}`, line > 1)
}

function decoded(bytes: Uint8Array, where: string, ignoreBOM: boolean): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM }).decode(bytes)
  } catch (cause) {
    throw new InvalidDataError(`${where}: the bytes are not valid UTF-8; give text in UTF-8.`, { cause })
  }
}
