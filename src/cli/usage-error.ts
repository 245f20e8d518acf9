/** @file The error of a wrong command line: exit code 2. */
import { knownAs } from '../util/synonyms.js'
import type { Flags } from './flag.js'
import { nearestNames } from '../util/nearest.js'

/** The command line (or a config file) cannot be understood. */
export class UsageError extends Error {}

/** ` Did you mean "--lr"?`, or nothing. */
export function didYouMean(name: string, candidates: readonly string[], prefix = ''): string {
  return question(nearestNames(name, candidates)[0], prefix)
}

/** The same of flags, which other programs call by other names: ` Did you mean "--r"?` of `lora_rank`. */
export function flagMeant(name: string, flags: Flags, prefix = ''): string {
  const names = Object.entries(flags).map(([flag, { option }]) => [flag, option] as const)
  return question(knownAs(name, names) ?? nearestNames(name, Object.keys(flags))[0], prefix)
}

/** ` Did you mean "--lr"?`, or nothing where nothing is known. */
export const question = (meant: string | undefined, prefix = ''): string =>
  meant === undefined ? '' : ` Did you mean "${prefix}${meant}"?`
