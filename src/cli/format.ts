/** @file Numbers, bars and tables for people. */
import { digits } from '../util/numbers-as-text.js'

export { count, counted, digits, mean, percent } from '../util/numbers-as-text.js'

/** Bytes in units of 1000, as disks are sold. */
export const megabytes = (bytes: number): string =>
  bytes < 1e5 ? `${digits(bytes / 1e3, 3)} kB` : bytes < 1e9 ? `${digits(bytes / 1e6, 3)} MB` : `${digits(bytes / 1e9, 4)} GB`

/** 75 as `1:15`, 3700 as `1:01:40`. */
export function clock(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–:––'
  const whole = Math.max(0, Math.round(seconds))
  const two = (n: number): string => String(n).padStart(2, '0')
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor(whole / 60) % 60
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}

/** A bar of text, filled to a share between 0 and 1. */
export function bar(share: number, width = 24): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width)
  return `${'━'.repeat(filled)}${'╌'.repeat(width - filled)}`
}

/** Columns side by side; numbers (columns in `right`) are aligned to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd()
  return [line(head), widths.map((width) => '─'.repeat(width)).join('  '), ...rows.map(line)]
}
