/** @file UTF-8 that is checked: a damaged or wrongly encoded file is an error that names the line, never � in the data. */
import { FileError } from '../errors.js'

const NEWLINE = 0x0a

function isValid(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}

const countNewlines = (bytes: Uint8Array): number => {
  let count = 0
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++
  return count
}

/** Number of the first line of `bytes` that is not UTF-8, counted from 0. A newline byte never lies inside a character. */
function firstBadLine(bytes: Uint8Array): number {
  let line = 0
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(NEWLINE, start)
    const end = newline < 0 ? bytes.length : newline + 1
    if (!isValid(bytes.subarray(start, end))) return line
    start = end
  }
  return line
}

const notUtf8 = (path: string, line: number): FileError =>
  new FileError(`${path}, line ${line}: the bytes are not valid UTF-8; save the file as UTF-8 and run again`)

/** Whole bytes as text, without a byte order mark. @throws FileError that names the file and the line */
export function decodeUtf8(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw notUtf8(path, firstBadLine(bytes) + 1)
  }
}

/** Chunks of bytes as chunks of text; characters cut by a chunk's end are kept whole. */
export async function* decodeUtf8Chunks(chunks: AsyncIterable<Uint8Array>, path: string): AsyncIterable<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let lines = 0
  let tail: Uint8Array = new Uint8Array(0)
  for await (const chunk of chunks) {
    let text: string
    try {
      text = decoder.decode(chunk, { stream: true })
    } catch {
      const around = new Uint8Array(tail.length + chunk.length)
      around.set(tail)
      around.set(chunk, tail.length)
      throw notUtf8(path, lines + firstBadLine(around) + 1)
    }
    lines += countNewlines(chunk)
    const newline = chunk.lastIndexOf(NEWLINE)
    tail = chunk.subarray(newline + 1)
    if (text !== '') yield text
  }
  try {
    const rest = decoder.decode()
    if (rest !== '') yield rest
  } catch {
    throw notUtf8(path, lines + 1)
  }
}
