/** @file BLEU as the E2E challenge's scripts compute it. */
import { bleuOrders, bleuStatistics, geometricMean, sumOf, type BleuStatistics } from './bleu-statistics.js'
import { prepare, settingsOf, type TextOptions, type TextSettings } from './prepare.js'
import { checkSegments, type Segment, type SegmentScore } from './segment.js'

/** BLEU of one segment. */
export interface BleuSegment extends SegmentScore {
  /**
   * BLEU with one added to every hit and every total, so that a segment without a 4-gram in common is not nothing. No share of a
   * hypothesis of less than three words, whose totals stay below one: pymteval divides by 1e-9 there.
   */
  readonly smoothed: number
}

/** What {@link bleu} says. */
export interface Bleu extends TextSettings {
  /** BLEU of all segments together, between 0 and 1. */
  readonly score: number
  /** The same of each segment alone. */
  readonly segments: readonly BleuSegment[]
}

/** What stands for none: of hits, of n-grams, of words. Pymteval's numbers. */
const NO_HITS = 1e-15
const NO_TOTAL = 1e-9
const NO_LENGTH = 1e-5

function scoreOf({ hits, totals, length, referenceLength }: BleuStatistics, added = 0): number {
  const penalty = length > referenceLength ? 1 : Math.exp(1 - referenceLength / Math.max(length, NO_LENGTH))
  return penalty * geometricMean(bleuOrders.map((_, i) => Math.max(hits[i]! + added, NO_HITS) / Math.max(totals[i]! + added, NO_TOTAL))) // prettier-ignore
}

/**
 * BLEU-4 over all segments, small and capital letters alike, with the closest reference length (of two the shorter): what the E2E
 * challenge's `measure_scores.py -p` prints. Texts without n-grams of an order count negatively there, and here.
 *
 * Source: Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation" (2002); e2e-metrics, `pymteval`.
 *
 * @throws InvalidDataError without segments, or for one without references; InvalidOptionError for a wrong option
 * @example
 * bleu([{ hypothesis: 'The cat sat.', references: ['The cat sat.', 'A cat was sitting.'] }]).score
 */
export function bleu(segments: readonly Segment[], options: TextOptions = {}): Bleu {
  checkSegments(segments, 'bleu')
  const settings = settingsOf(options, 'bleu', { tokenizer: '13a', lowercase: true })
  const each = prepare(segments, settings).map((segment) => bleuStatistics(segment, (length, n) => length - n + 1))
  return {
    score: scoreOf(sumOf(each)),
    segments: each.map((statistics) => ({ score: scoreOf(statistics), smoothed: scoreOf(statistics, 1) })),
    ...settings,
  }
}
