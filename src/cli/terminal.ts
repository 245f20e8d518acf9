/** @file stdout and stderr as the commands see them. */
import pc from 'picocolors'
import { printable } from '../errors.js'
import type { Output } from './flags.js'

const ESCAPE = '\u001b'
/** The codes that picocolors writes for bold, dim, green, yellow and cyan, and their ends. */
const OWN_COLORS = new RegExp(`(${ESCAPE}\\[(?:1|2|22|32|33|36|39)m)`)

/** A line without control characters but those of our own colours. */
const safe = (line: string): string =>
  line
    .split(OWN_COLORS)
    .map((part, i) => (i % 2 === 1 ? part : printable(part)))
    .join('')

/** The parts of a process's streams that are used. */
export interface Stream {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** Colours follow NO_COLOR and FORCE_COLOR, and otherwise whether both streams are terminals. */
export function terminal(
  stdout: Stream,
  stderr: Stream,
  env: Readonly<Record<string, string | undefined>>,
  json: boolean,
): Output {
  const terminals = stdout.isTTY === true && stderr.isTTY === true && env['TERM'] !== 'dumb'
  const forced = (env['FORCE_COLOR'] ?? '') !== '' && env['FORCE_COLOR'] !== '0'
  const color = pc.createColors((env['NO_COLOR'] ?? '') === '' && (forced || terminals))
  const live = stderr.isTTY === true && env['TERM'] !== 'dumb' && !json
  let shown: string | undefined
  const clear = (): void => {
    if (shown !== undefined) stderr.write('\r\u001b[2K')
  }
  // The status line stands below what is printed: it is taken away first and put back after.
  const beside = (write: () => void): void => {
    clear()
    write()
    if (shown !== undefined) stderr.write(shown)
  }
  return {
    json,
    color,
    live,
    columns: stderr.columns ?? 80,
    // What a model writes goes to files and pipes as it is.
    write: (text) => void stdout.write(stdout.isTTY === true ? printable(text) : text),
    print: (line) => beside(() => stdout.write(`${safe(line)}\n`)),
    printJson: (value) => beside(() => stdout.write(`${JSON.stringify(value)}\n`)),
    note: (line) => beside(() => stderr.write(`${safe(line)}\n`)),
    status: (line) => {
      if (!live) return
      clear()
      shown = line === undefined ? undefined : safe(line)
      if (shown !== undefined) stderr.write(shown)
    },
  }
}
