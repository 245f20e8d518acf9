/** @file CIDEr-D as coco-caption computes it: n-grams weighted by how few segments have them. */
import { countsOf } from './ngrams.js'
import { mean } from './mean.js'
import { prepare, settingsOf, type PreparedSegment, type PreparedText, type TextOptions, type TextSettings } from './prepare.js'
import { checkSegments, type Segment, type SegmentScore } from './segment.js'

/** What {@link cider} says. */
export interface Cider extends TextSettings {
  /** Mean over the segments, between 0 and 10. */
  readonly score: number
  /** CIDEr-D of each. */
  readonly segments: readonly SegmentScore[]
}

const ORDERS = [1, 2, 3, 4] as const

/** How far lengths may differ: the standard deviation of the penalty, in words. */
const SIGMA = 6

/** The weights of a text's n-grams of one order. */
interface Vector {
  readonly weights: ReadonlyMap<string, number>
  readonly norm: number
}

/** A text as the vectors of its n-grams, by order. */
interface Weighted {
  readonly vectors: readonly Vector[]
  readonly length: number
}

/** How many segments have an n-gram in their references, of all orders. */
function documentFrequencies(segments: readonly PreparedSegment[]): Map<string, number> {
  return countsOf(grams(segments))
}

function* grams(segments: readonly PreparedSegment[]): Generator<string> {
  for (const { references } of segments) {
    const seen = new Set<string>()
    for (const reference of references) for (const n of ORDERS) for (const gram of reference.ngrams(n)) seen.add(gram)
    yield* seen
  }
}

/** Weighs texts, each once. */
function weigher(segments: readonly PreparedSegment[]): (text: PreparedText) => Weighted {
  const frequencies = documentFrequencies(segments)
  const all = Math.log(segments.length)
  const known = new Map<PreparedText, Weighted>()
  const vectorOf = (ngrams: readonly string[]): Vector => {
    const weights = countsOf(ngrams)
    let squares = 0
    for (const [gram, times] of weights) {
      const weight = times * (all - Math.log(Math.max(1, frequencies.get(gram) ?? 0)))
      weights.set(gram, weight)
      squares += weight ** 2
    }
    return { weights, norm: Math.sqrt(squares) }
  }
  return (text) => {
    const before = known.get(text)
    if (before !== undefined) return before
    const weighted = { vectors: ORDERS.map((n) => vectorOf(text.ngrams(n))), length: text.tokens.length }
    known.set(text, weighted)
    return weighted
  }
}

/** The cosine of two vectors, where what the hypothesis has too much of does not count. */
function similarity(hypothesis: Vector, reference: Vector): number {
  let product = 0
  for (const [gram, weight] of hypothesis.weights) {
    const other = reference.weights.get(gram)
    if (other !== undefined) product += Math.min(weight, other) * other
  }
  const norms = hypothesis.norm * reference.norm
  return norms === 0 ? product : product / norms
}

function scoreOf(hypothesis: Weighted, references: readonly Weighted[]): number {
  const each = references.map((reference) => {
    // Lengths in bigrams, as coco-caption counts them: of an empty text as of one word there are none.
    const difference = Math.max(0, hypothesis.length - 1) - Math.max(0, reference.length - 1)
    const penalty = Math.exp(-(difference ** 2) / (2 * SIGMA ** 2))
    return mean(hypothesis.vectors.map((vector, i) => similarity(vector, reference.vectors[i]!))) * penalty
  })
  return 10 * mean(each)
}

/**
 * CIDEr-D over all segments, with the references themselves as the corpus of document frequencies: what the E2E challenge's scripts
 * print as CIDEr. 0 for one segment alone, where no n-gram tells anything.
 *
 * Source: Vedantam, Zitnick and Parikh, "CIDEr: Consensus-based Image Description Evaluation" (2015); coco-caption.
 *
 * @throws InvalidDataError without segments, or for one without references; InvalidOptionError for a wrong option
 * @example
 * cider([
 *   { hypothesis: 'a cat sat', references: ['a cat sat down'] },
 *   { hypothesis: 'dogs bark', references: ['the dogs bark'] },
 * ]).score
 */
export function cider(segments: readonly Segment[], options: TextOptions = {}): Cider {
  checkSegments(segments, 'cider')
  const settings = settingsOf(options, 'cider', { tokenizer: 'ptb', lowercase: true })
  const prepared = prepare(segments, settings)
  const weigh = weigher(prepared)
  const scores = prepared.map(({ hypothesis, references }) => scoreOf(weigh(hypothesis), references.map(weigh)))
  return { score: mean(scores), segments: scores.map((score) => ({ score })), ...settings }
}
