/** @file Texts that come in chunks, a line at a time. */

/**
 * Calls back with each line of a text, whole or in chunks, without its end, and the line's number from 1. An end of line after
 * the last one begins no other. A call and not an iterator: tables have tens of millions of lines.
 */
export async function eachLine(text: string | AsyncIterable<string>, use: (line: string, number: number) => void): Promise<void> {
  let number = 0
  let rest = ''
  for await (const chunk of typeof text === 'string' ? [text] : text) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const line of lines) use(line.endsWith('\r') ? line.slice(0, -1) : line, ++number)
  }
  if (rest !== '') use(rest, ++number)
}
