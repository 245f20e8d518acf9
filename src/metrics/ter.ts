/** @file Translation edit rate as pyter computes it: shifts of blocks while they help, then Levenshtein's distance. */
import { allRows, extendRow, type Row } from '../util/edit-distance.js'
import { mean } from './mean.js'
import { toggle } from '../util/option-kinds.js'
import { resolveOptions, type OptionTable } from '../util/option-table.js'
import { prepare, textOptionTable, type PreparedSegment, type TextOptions, type TextSettings } from './prepare.js'
import { checkSegments, type Segment, type SegmentScore } from './segment.js'

/** Options of {@link ter}. */
export interface TerOptions extends TextOptions {
  /**
   * Counts one segment more, with a rate of 1, as GenerationEval's eval.py does: it reads the end of its files as an empty line;
   * false by default.
   */
  readonly official?: boolean
}

/** What {@link ter} says. */
export interface Ter extends TextSettings {
  /** Mean over the segments: 0 is best, above 1 there are more edits than words. */
  readonly score: number
  /** The lowest rate that a reference gives each. */
  readonly segments: readonly SegmentScore[]
}

export const terOptionTable = {
  ...textOptionTable({ tokenizer: 'nltk', lowercase: false }),
  official: { is: toggle, default: false },
} as const satisfies OptionTable<TerOptions>

/** A block of the hypothesis, and where it is put in what is left without it. */
interface Shift {
  readonly from: number
  readonly to: number
  readonly length: number
}

/**
 * Every block that stands elsewhere in the reference, as long as the words agree. It is put at the index that it has there: in the
 * list without the block, as pyter does, so that one that goes right lands behind where it would end.
 */
function* candidates(words: Int32Array, reference: Int32Array): Generator<Shift> {
  for (let i = 0; i < words.length; i++)
    for (let j = 0; j < reference.length; j++) {
      if (i === j || words[i] !== reference[j]) continue
      let length = 1
      while (i + length < words.length && j + length < reference.length && words[i + length] === reference[j + length]) length++
      const to = Math.min(j, words.length - length)
      // A block at the end stays where it is.
      if (to !== i) yield { from: i, to, length }
    }
}

function shifted(words: Int32Array, { from, to, length }: Shift): Int32Array {
  const result = words.slice()
  if (to > from) result.copyWithin(from, from + length, to + length)
  else result.copyWithin(to + length, to, from)
  result.set(words.subarray(from, from + length), to)
  return result
}

/** Which of two lists of one length is later in the order of their words. */
function isLater(a: Int32Array, b: Int32Array): boolean {
  const i = a.findIndex((word, at) => word !== b[at])
  return i >= 0 && a[i]! > b[i]!
}

/**
 * The distances to a reference that shifts lead to, from rows that shifts share: a block that goes right leaves the words before it
 * alone, and those behind where it lands. One that goes left is one that goes right in both texts read backwards.
 */
class ShiftedDistances {
  private readonly scratch: Row
  /** The block that was taken out last, the distance without it, and the row of what stands before `reached` without it. */
  private block = { from: -1, length: 0, reached: 0, distance: 0 }
  private readonly without: Row

  /**
   * @param before the rows of the words, from the first on
   * @param behind the same of both texts read backwards
   */
  constructor(
    private readonly words: Int32Array,
    private readonly reference: Int32Array,
    private readonly before: readonly Row[],
    private readonly behind: readonly Row[],
  ) {
    this.scratch = new Int32Array(reference.length + 1)
    this.without = new Int32Array(reference.length + 1)
  }

  /**
   * With a block moved right. Those of one block come in the order of where they go.
   * @param most what is worth knowing; above it the answer may be Infinity
   */
  of({ from, to, length }: Shift, most: number): number {
    const { words, reference, scratch, without } = this
    if (this.block.from !== from || this.block.length !== length || this.block.reached > to) {
      without.set(this.before[from]!)
      this.block = { from, length, reached: from, distance: this.joined(without, words.length - from - length) }
    }
    // Putting the block in again saves its words at most. Of words that stand where they should, taking them out costs as much.
    if (this.block.distance - length > most) return Infinity
    for (; this.block.reached < to; this.block.reached++) extendRow(without, words[this.block.reached + length]!, reference)
    scratch.set(without)
    for (let i = from; i < from + length; i++) extendRow(scratch, words[i]!, reference)
    return this.joined(scratch, words.length - to - length)
  }

  /** The distance of a beginning, by its row, and so many of the last words. */
  private joined(row: Row, last: number): number {
    const rest = this.behind[last]!
    const { length } = this.reference
    let least = Infinity
    for (let j = 0; j <= length; j++) {
      const sum = row[j]! + rest[length - j]!
      if (sum < least) least = sum
    }
    return least
  }
}

const mirrored = ({ from, to, length }: Shift, words: number): Shift => ({
  from: words - from - length,
  to: words - to - length,
  length,
})

/** Long blocks first, which may help most; those of one block by where they go. */
const inOrder = (shifts: Shift[]): Shift[] => shifts.sort((a, b) => b.length - a.length || a.from - b.from || a.to - b.to)

const backwards = (items: Int32Array): Int32Array => items.slice().reverse()

/** The shift that helps most; of several the one whose list of words comes last. Undefined where none helps. */
function bestShift(words: Int32Array, reference: Int32Array, distance: number, before: readonly Row[]): Int32Array | undefined {
  const right: Shift[] = []
  const left: Shift[] = []
  for (const shift of candidates(words, reference)) {
    if (shift.to > shift.from) right.push(shift)
    else left.push(mirrored(shift, words.length))
  }
  const behind = allRows(backwards(words), backwards(reference))
  let least = distance - 1
  let best: Int32Array | undefined
  const consider = (shifts: Shift[], distances: ShiftedDistances, back: (shift: Shift) => Shift): void => {
    for (const shift of inOrder(shifts)) {
      // A block that is taken out and put in again changes the distance by its words, twice.
      if (distance - 2 * shift.length > least) break
      const found = distances.of(shift, least)
      if (found > least) continue
      const list = shifted(words, back(shift))
      if (best === undefined || found < least || isLater(list, best)) best = list
      least = found
    }
  }
  consider(right, new ShiftedDistances(words, reference, before, behind), (shift) => shift)
  consider(left, new ShiftedDistances(backwards(words), backwards(reference), behind, before), (shift) => mirrored(shift, words.length)) // prettier-ignore
  return best
}

/** By code points, as Python orders texts; JavaScript's own order is that of UTF-16. */
function byCodePoints(a: string, b: string): number {
  const [left, right] = [Array.from(a), Array.from(b)]
  const at = left.findIndex((point, i) => point !== right[i])
  if (at < 0) return left.length - right.length
  return at >= right.length ? 1 : left[at]!.codePointAt(0)! - right[at]!.codePointAt(0)!
}

/** Numbers for words, in their order. */
function numberWords(texts: Iterable<readonly string[]>): (words: readonly string[]) => Int32Array {
  const all = new Set<string>()
  for (const words of texts) for (const word of words) all.add(word)
  const numbers = new Map([...all].sort(byCodePoints).map((word, i) => [word, i]))
  return (words) => Int32Array.from(words, (word) => numbers.get(word)!)
}

/** No order of the words brings the distance below this: words that only one text has are edits. */
function leastDistance(words: Int32Array, reference: Int32Array): number {
  const left = new Map<number, number>()
  for (const word of reference) left.set(word, (left.get(word) ?? 0) + 1)
  let common = 0
  for (const word of words) {
    const times = left.get(word) ?? 0
    if (times === 0) continue
    common++
    left.set(word, times - 1)
  }
  return Math.max(words.length, reference.length) - common
}

/**
 * Edits with shifts, as long as there can be fewer than `limit`.
 * @param least a bound that no shift goes below
 */
function edits(words: Int32Array, reference: Int32Array, least: number, limit: number): number {
  let current = words
  for (let shifts = 0; ; shifts++) {
    if (shifts + least >= limit) return Infinity
    const rows = allRows(current, reference)
    const distance = rows.at(-1)!.at(-1)!
    const next = distance > least ? bestShift(current, reference, distance, rows) : undefined
    if (next === undefined) return shifts + distance
    current = next
  }
}

/** The lowest rate of several references. */
function lowestRate(words: Int32Array, references: readonly Int32Array[]): number {
  let lowest = references.some(({ length }) => length === 0) ? 1 : Infinity
  const bounded = references
    .filter(({ length }) => length > 0)
    .map((reference) => ({ reference, least: leastDistance(words, reference) }))
    .sort((a, b) => a.least / a.reference.length - b.least / b.reference.length)
  // The most promising first: of the others most need no search.
  for (const { reference, least } of bounded) lowest = Math.min(lowest, edits(words, reference, least, lowest * reference.length) / reference.length) // prettier-ignore
  return lowest
}

/**
 * Translation edit rate: insertions, deletions, replacements and shifts of blocks, each one edit, over the words of the reference;
 * of several references the lowest rate. Shifts are chosen greedily, as pyter does (tercom's rules are others). An empty reference
 * gives 1. The mean over segments is what GenerationEval prints.
 *
 * Source: Snover et al., "A Study of Translation Edit Rate with Targeted Human Annotation" (2006); pyter.
 *
 * @throws InvalidDataError without segments, or for one without references; InvalidOptionError for a wrong option
 * @example
 * ter([{ hypothesis: 'b c d a', references: ['a b c d'] }]).score // 0.25: one shift
 */
export function ter(segments: readonly Segment[], options: TerOptions = {}): Ter {
  checkSegments(segments, 'ter')
  const { official, ...settings } = resolveOptions(terOptionTable, options, 'ter')
  const prepared = prepare(segments, settings)
  const numbersOf = numberWords(texts(prepared))
  const scores = prepared.map(
    ({ hypothesis, references }) =>
    lowestRate(numbersOf(hypothesis.tokens), references.map(({ tokens }) => numbersOf(tokens))), // prettier-ignore
  )
  return { score: mean(official ? [...scores, 1] : scores), segments: scores.map((score) => ({ score })), ...settings }
}

function* texts(segments: readonly PreparedSegment[]): Generator<readonly string[]> {
  for (const { hypothesis, references } of segments) {
    yield hypothesis.tokens
    for (const { tokens } of references) yield tokens
  }
}
