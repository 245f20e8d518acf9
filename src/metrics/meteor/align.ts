/**
 * @file METEOR's aligner: of all possible matches the set that covers most words in fewest chunks, looked for with a beam from
 * left to right over the reference. The search is approximate and two of its habits are odd; scores depend on them, so they
 * are kept, and named where they are.
 */
import type { Match } from './matches.js'

/** Paths that go on from each position. */
const BEAM_SIZE = 40

/** Matches that were chosen, in the order of the reference. */
export interface Alignment {
  readonly matches: readonly Match[]
  /** Stretches of matches that follow one another in both texts. */
  readonly chunks: number
}

/** A match in a path, and those before it: paths that part share what they have in common. */
interface Chosen {
  readonly match: Match
  readonly before: Chosen | undefined
}

/** A path through the reference, up to a position. */
interface Path {
  readonly chosen: Chosen | undefined
  /** Bit i of number i / 32: the word i of the hypothesis is matched, by what was chosen before `latest`. */
  readonly used: Int32Array
  /** A match that `used` does not have yet: most paths are dropped before anyone asks. */
  readonly latest: Match | undefined
  /** Words that are matched, of both texts, as the aligner counts them. */
  readonly covered: number
  readonly chunks: number
  /** How far apart matched words stand. */
  readonly distance: number
  /** Where the open chunk ends in the hypothesis; -1 without one. */
  readonly chunkEnd: number
  /** The position of the reference up to which words are matched. */
  readonly referenceEnd: number
}

/**
 * What a matched phrase adds to the words covered. First habit: what is not exact counts half, and halves are cut off, so a
 * word counts nothing.
 */
const coverage = (module: Match['module'], length: number): number => (module === 'exact' ? length : length >> 1)

const isUsed = (used: Int32Array, { hypothesisStart, hypothesisLength }: Match): boolean => {
  for (let i = hypothesisStart; i < hypothesisStart + hypothesisLength; i++)
    if ((used[i >> 5]! & (1 << (i & 31))) !== 0) return true
  return false
}

/** The words of the hypothesis that a path has matched. */
function usedBy({ used, latest }: Path): Int32Array {
  if (latest === undefined) return used
  const more = used.slice()
  const end = latest.hypothesisStart + latest.hypothesisLength
  for (let i = latest.hypothesisStart; i < end; i++) more[i >> 5]! |= 1 << (i & 31)
  return more
}

const distanceOf = ({ hypothesisStart, referenceStart }: Match): number => Math.abs(hypothesisStart - referenceStart)

/** A path that takes a match. @param used the words that it has matched before */
const take = (path: Path, used: Int32Array, match: Match, distance: number): Path => ({
  chosen: { match, before: path.chosen },
  used,
  latest: match,
  covered: path.covered + coverage(match.module, match.hypothesisLength) + coverage(match.module, match.referenceLength),
  // A chunk is counted when it is over; the open one goes on if the match follows it in the hypothesis.
  chunks: path.chunks + (path.chunkEnd >= 0 && match.hypothesisStart !== path.chunkEnd ? 1 : 0),
  distance,
  chunkEnd: match.hypothesisStart + match.hypothesisLength,
  referenceEnd: match.referenceStart + match.referenceLength,
})

/** A path that leaves a word of the reference unmatched, which ends its chunk. */
const skip = (path: Path, used: Int32Array, distance: number): Path => ({
  chosen: path.chosen,
  used,
  latest: undefined,
  covered: path.covered,
  chunks: path.chunkEnd < 0 ? path.chunks : path.chunks + 1,
  distance,
  chunkEnd: -1,
  referenceEnd: path.referenceEnd,
})

const isBetter = (a: Path, b: Path): boolean =>
  a.covered !== b.covered ? a.covered > b.covered : a.chunks !== b.chunks ? a.chunks < b.chunks : a.distance < b.distance

/** Puts a path among the best, behind those that are as good. */
function insert(beam: Path[], path: Path): void {
  let place = beam.length
  while (place > 0 && isBetter(path, beam[place - 1]!)) place--
  if (place >= BEAM_SIZE) return
  beam.splice(place, 0, path)
  if (beam.length > BEAM_SIZE) beam.pop()
}

/**
 * The matches that every path takes, by the position where they begin: the only one there, of words that no other match
 * covers.
 */
function fixedMatches(starting: readonly (readonly Match[])[], hypothesisLength: number): (Match | undefined)[] {
  const inHypothesis = new Int32Array(hypothesisLength)
  const inReference = new Int32Array(starting.length)
  for (const matches of starting)
    for (const match of matches) {
      for (let i = 0; i < match.hypothesisLength; i++) inHypothesis[match.hypothesisStart + i]!++
      for (let i = 0; i < match.referenceLength; i++) inReference[match.referenceStart + i]!++
    }
  const once = (counts: Int32Array, start: number, length: number): boolean =>
    counts.subarray(start, start + length).every((count) => count === 1)
  return starting.map(([match, ...others]) =>
    match !== undefined &&
    others.length === 0 &&
    once(inHypothesis, match.hypothesisStart, match.hypothesisLength) &&
    once(inReference, match.referenceStart, match.referenceLength)
      ? match
      : undefined,
  )
}

/** Stretches of matches that follow one another in both texts. */
function countChunks(matches: readonly Match[]): number {
  let chunks = 0
  let [hypothesisEnd, referenceEnd] = [-1, -1]
  for (const { hypothesisStart, hypothesisLength, referenceStart, referenceLength } of matches) {
    if (hypothesisStart !== hypothesisEnd || referenceStart !== referenceEnd) chunks++
    hypothesisEnd = hypothesisStart + hypothesisLength
    referenceEnd = referenceStart + referenceLength
  }
  return chunks
}

/**
 * Chooses among possible matches.
 * @param starting for each position of the reference the matches that begin there, in the order in which they are tried
 */
export function align(starting: readonly (readonly Match[])[], hypothesisLength: number): Alignment {
  const fixed = fixedMatches(starting, hypothesisLength)
  let beam: Path[] = [
    {
      chosen: undefined,
      used: new Int32Array((hypothesisLength + 31) >> 5),
      latest: undefined,
      covered: 0,
      chunks: 0,
      distance: 0,
      chunkEnd: -1,
      referenceEnd: 0,
    },
  ]
  starting.forEach((matches, position) => {
    const next: Path[] = []
    for (const path of beam) {
      if (position < path.referenceEnd) {
        insert(next, path)
        continue
      }
      const used = usedBy(path)
      const certain = fixed[position]
      if (certain !== undefined) {
        insert(next, take(path, used, certain, path.distance + distanceOf(certain)))
        continue
      }
      let { distance } = path
      for (const match of matches) {
        if (isUsed(used, match)) continue
        insert(next, take(path, used, match, distance))
        // Second habit: a match lengthens not its own path but those that are made after it.
        distance += distanceOf(match)
      }
      insert(next, skip(path, used, distance))
    }
    beam = next
  })
  // The chunk that is open at the end counts too, which may change the order.
  const [best] = beam
    .map((path) => skip(path, path.used, path.distance))
    .reduce<Path[]>((sorted, path) => (insert(sorted, path), sorted), [])
  const matches: Match[] = []
  for (let chosen = best!.chosen; chosen !== undefined; chosen = chosen.before) matches.push(chosen.match)
  matches.reverse()
  return { matches, chunks: countChunks(matches) }
}
