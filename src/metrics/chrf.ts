/** @file chrF and chrF++: F scores of n-grams of characters and words. */
import { points, words } from '../jinja/unicode.js'
import { atLeast, toggle, whole } from '../util/option-kinds.js'
import { resolveOptions, type OptionTable } from '../util/option-table.js'
import { countsOf, ngrams } from './ngrams.js'
import { mean } from './mean.js'
import { checkSegments, type Segment, type SegmentScore } from './segment.js'

/** Options of {@link chrf}. */
export interface ChrfOptions {
  /** Longest n-grams of characters; 6 by default. */
  readonly characterOrder?: number
  /** Longest n-grams of words: 2 by default, chrF++; 0 is chrF. */
  readonly wordOrder?: number
  /** How much more recall counts than precision; 2 by default. */
  readonly beta?: number
  /** Whether letters are made small first; false by default. */
  readonly lowercase?: boolean
}

export const chrfOptionTable = {
  characterOrder: { is: whole(1), default: 6 },
  wordOrder: { is: whole(0), default: 2 },
  beta: { is: atLeast(0), default: 2 },
  lowercase: { is: toggle, default: false },
} as const satisfies OptionTable<ChrfOptions>

/** What {@link chrf} says. */
export interface Chrf {
  /** The mean of the orders' F scores over all segments together, between 0 and 1. */
  readonly score: number
  /** The same of each segment alone; undefined of those whose references are all empty, which do not count. */
  readonly segments: readonly (SegmentScore | undefined)[]
  /** What n-grams are made of. */
  readonly tokenizer: 'characters and words' | 'characters'
  /** Whether letters were made small. */
  readonly lowercase: boolean
}

/** Punctuation in ASCII. */
const PUNCTUATION = /[!-/:-@[-`{-~]/

/** Words, of which one mark of punctuation at the end, or else at the beginning, is a word of its own. */
const wordsOf = (text: string): string[] =>
  words(text).flatMap((word) => {
    const characters = points(word)
    if (characters.length === 1) return [word]
    if (PUNCTUATION.test(characters.at(-1)!)) return [word.slice(0, -1), word.slice(-1)]
    return PUNCTUATION.test(characters[0]!) ? [word.slice(0, 1), word.slice(1)] : [word]
  })

/** Runs of characters; those of nearly all texts are slices. */
function characterNgrams(text: string, characters: readonly string[], n: number): string[] {
  const plain = characters.length === text.length
  const count = Math.max(0, characters.length - n + 1)
  return Array.from({ length: count }, (_, i) => (plain ? text.slice(i, i + n) : characters.slice(i, i + n).join('')))
}

/** The n-grams of a text: characters by order, then words by order. */
function gramsOf(text: string, { characterOrder, wordOrder }: Required<ChrfOptions>): (readonly string[])[] {
  const written = words(text)
  const joined = written.join('')
  const characters = points(joined)
  const split = wordOrder > 0 ? wordsOf(text) : []
  return [
    ...Array.from({ length: characterOrder }, (_, i) => characterNgrams(joined, characters, i + 1)),
    ...Array.from({ length: wordOrder }, (_, i) => ngrams(split, i + 1)),
  ]
}

/** Of one order: n-grams of the hypothesis, of the reference, and of both. */
interface Counts {
  readonly hypothesis: number
  readonly reference: number
  readonly matches: number
}

/** How many n-grams two texts share, each as often as both have it. @param wanted those of one of them */
function shared(wanted: ReadonlyMap<string, number>, grams: readonly string[]): number {
  const left = new Map<string, number>()
  let matches = 0
  for (const gram of grams) {
    const times = left.get(gram) ?? wanted.get(gram)
    if (times === undefined || times === 0) continue
    matches++
    left.set(gram, times - 1)
  }
  return matches
}

/** Stands for 0 / 0, as in chrF++.py. */
const NOTHING = 1e-16

function fScore({ hypothesis, reference, matches }: Counts, beta: number): number {
  const precision = hypothesis === 0 ? NOTHING : matches / hypothesis
  const recall = reference === 0 ? NOTHING : matches / reference
  const both = beta ** 2 * precision + recall
  return both === 0 ? 0 : ((1 + beta ** 2) * precision * recall) / both
}

/** The counts with the reference that gives the best score, the first of equals. */
function bestCounts({ hypothesis, references }: Segment, options: Required<ChrfOptions>): Counts[] | undefined {
  const own = gramsOf(hypothesis, options)
  const wanted = own.map(countsOf)
  let best: Counts[] | undefined
  let score = -1
  for (const text of references) {
    const others = gramsOf(text, options)
    if (others[0]!.length === 0) continue
    const counts = others.map((grams, i) => ({ hypothesis: own[i]!.length, reference: grams.length, matches: shared(wanted[i]!, grams) })) // prettier-ignore
    const found = mean(counts.map((each) => fScore(each, options.beta)))
    if (found > score) [best, score] = [counts, found]
  }
  return best
}

const sumOf = (all: readonly (readonly Counts[])[]): readonly Counts[] =>
  all.reduce((a, b) =>
    a.map((counts, i) => ({
      hypothesis: counts.hypothesis + b[i]!.hypothesis,
      reference: counts.reference + b[i]!.reference,
      matches: counts.matches + b[i]!.matches,
    })),
  )

/**
 * chrF++: the mean of F scores of n-grams of characters (without white space) and of words, each order over all segments, with the
 * reference that is best for each segment. Empty references do not count, nor do segments that have no others; 0 if none is left.
 *
 * Source: Popović, "chrF++: words helping character n-grams" (2017).
 *
 * @throws InvalidDataError without segments, or for one without references; InvalidOptionError for a wrong option
 * @example
 * chrf([{ hypothesis: 'the cat sat', references: ['the cats sat'] }]).score
 */
export function chrf(segments: readonly Segment[], options: ChrfOptions = {}): Chrf {
  checkSegments(segments, 'chrf++')
  const settings = resolveOptions(chrfOptionTable, options, 'chrf++')
  const scoreOf = (counts: readonly Counts[]): number => mean(counts.map((each) => fScore(each, settings.beta)))
  const lower = (text: string): string => (settings.lowercase ? text.toLowerCase() : text)
  const each = segments.map(({ hypothesis, references }) =>
    bestCounts({ hypothesis: lower(hypothesis), references: references.map(lower) }, settings),
  )
  const counted = each.filter((counts) => counts !== undefined)
  return {
    score: counted.length === 0 ? 0 : scoreOf(sumOf(counted)),
    segments: each.map((counts) => counts && { score: scoreOf(counts) }),
    tokenizer: settings.wordOrder > 0 ? 'characters and words' : 'characters',
    lowercase: settings.lowercase,
  }
}
