/** @file Largest resident memory of this process. */
import { readFileSync } from 'node:fs'

/**
 * `getrusage` counts the memory of the parent before `exec` too, so a child of a large process looks large; Linux knows
 * better in `/proc`.
 */
export function peakBytes(): number {
  try {
    const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
    if (line !== null) return Number(line[1]) * 1024
  } catch {
    // No Linux.
  }
  return process.resourceUsage().maxRSS * 1024
}
