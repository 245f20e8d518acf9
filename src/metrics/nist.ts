/** @file NIST's score: n-grams weighted by what they tell. */
import { clippedCounts } from './ngrams.js'
import { prepare, settingsOf, type PreparedSegment, type TextOptions, type TextSettings } from './prepare.js'
import { checkSegments, type Segment, type SegmentScore } from './segment.js'

/** What {@link nist} says. */
export interface Nist extends TextSettings {
  /** NIST of all segments together, in bits: 0 and more. */
  readonly score: number
  /** The same of each segment alone, n-grams weighted by its own references. */
  readonly segments: readonly SegmentScore[]
}

const ORDERS = [1, 2, 3, 4, 5] as const

/** So that hypotheses two thirds as long as their references keep half of the score. */
const BETA = -Math.log(0.5) / Math.log(1.5) ** 2

/** How often each n-gram, of all orders, is in the references; and their words, which stand for the n-gram of none. */
class Information {
  private readonly counts = new Map<string, number>()
  private words = 0

  constructor(segments: readonly PreparedSegment[]) {
    for (const { references } of segments)
      for (const reference of references) {
        this.words += reference.tokens.length
        for (const n of ORDERS) for (const gram of reference.ngrams(n)) this.counts.set(gram, (this.counts.get(gram) ?? 0) + 1)
      }
  }

  /** log2 of how often the words before the last are there, over how often all are. */
  of(gram: string): number {
    const end = gram.lastIndexOf(' ')
    const before = end < 0 ? this.words : this.counts.get(gram.slice(0, end))!
    return Math.log2(before / this.counts.get(gram)!)
  }
}

interface NistStatistics {
  /** By order: information of the n-grams that a reference has. */
  readonly hits: readonly number[]
  readonly length: number
  /** Mean length of the references. */
  readonly referenceLength: number
  readonly segments: number
}

function statisticsOf({ hypothesis, references }: PreparedSegment, information: Information): NistStatistics {
  const hits = ORDERS.map((n) => {
    let sum = 0
    const clipped = clippedCounts(hypothesis.ngrams(n), references.map((text) => text.ngrams(n))) // prettier-ignore
    for (const [gram, times] of clipped) sum += information.of(gram) * times
    return sum
  })
  const referenceLength = references.reduce((sum, { tokens }) => sum + tokens.length, 0) / references.length
  return { hits, length: hypothesis.tokens.length, referenceLength, segments: 1 }
}

const sumOf = (all: readonly NistStatistics[]): NistStatistics =>
  all.reduce((a, b) => ({
    hits: a.hits.map((hits, i) => hits + b.hits[i]!),
    length: a.length + b.length,
    referenceLength: a.referenceLength + b.referenceLength,
    segments: a.segments + b.segments,
  }))

/** Of no n-grams nothing, where pymteval divides by zero. Texts that are too short for one count negatively there, and here. */
const share = (hit: number, ngrams: number): number => (hit === 0 || ngrams === 0 ? 0 : hit / ngrams)

function scoreOf({ hits, length, referenceLength, segments }: NistStatistics): number {
  if (length === 0) return 0
  const penalty = length >= referenceLength ? 1 : Math.exp(-BETA * Math.log(length / referenceLength) ** 2)
  return penalty * hits.reduce((sum, hit, i) => sum + share(hit, length - segments * i), 0)
}

/**
 * NIST over all segments, with n-grams up to 5 and small and capital letters alike: what the E2E challenge's `measure_scores.py
 * -p` prints.
 *
 * Source: Doddington, "Automatic Evaluation of Machine Translation Quality Using N-gram Co-Occurrence Statistics" (2002);
 * e2e-metrics, `pymteval`.
 *
 * @throws InvalidDataError without segments, or for one without references; InvalidOptionError for a wrong option
 * @example
 * nist([{ hypothesis: 'The cat sat.', references: ['The cat sat.', 'A cat was sitting.'] }]).score
 */
export function nist(segments: readonly Segment[], options: TextOptions = {}): Nist {
  checkSegments(segments, 'nist')
  const settings = settingsOf(options, 'nist', { tokenizer: '13a', lowercase: true })
  const prepared = prepare(segments, settings)
  const information = new Information(prepared)
  return {
    score: scoreOf(sumOf(prepared.map((segment) => statisticsOf(segment, information)))),
    segments: prepared.map((segment) => ({ score: scoreOf(statisticsOf(segment, new Information([segment]))) })),
    ...settings,
  }
}
