/** @file The error of a wrong command line: exit code 2. */
import { nearestNames } from '../util/nearest.js'

/** The command line (or a config file) cannot be understood. */
export class UsageError extends Error {}

/** ` Did you mean "--lr"?`, or nothing. */
export function didYouMean(name: string, candidates: readonly string[], prefix = ''): string {
  const nearest = nearestNames(name, candidates)[0]
  return nearest === undefined ? '' : ` Did you mean "${prefix}${nearest}"?`
}
