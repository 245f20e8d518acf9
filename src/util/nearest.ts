/** @file Suggestions for misspelt names. */
import { extendRow, firstRow } from './edit-distance.js'

const unitsOf = (text: string): Int32Array => Int32Array.from({ length: text.length }, (_, i) => text.charCodeAt(i))

/** Insertions, deletions and substitutions that turn one text into the other. */
function editDistance(a: string, b: string): number {
  const [row, other] = [firstRow(b.length), unitsOf(b)]
  for (const unit of unitsOf(a)) extendRow(row, unit, other)
  return row[b.length]!
}

/** Up to three candidates that are near enough to `name` to be meant, nearest first. */
export function nearestNames(name: string, candidates: readonly string[]): string[] {
  const limit = Math.max(2, Math.ceil(name.length / 2))
  return candidates
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ candidate }) => candidate)
}
