/** @file BLEU as NLTK computes it, with its third smoothing. */
import { bleuStatistics, geometricMean, sumOf, type BleuStatistics } from './bleu-statistics.js'
import { prepare, settingsOf, type PreparedSegment, type TextOptions, type TextSettings } from './prepare.js'
import { checkSegments, type Segment, type SegmentScore } from './segment.js'

/** What {@link nltkBleu} says. */
export interface NltkBleu extends TextSettings {
  /** BLEU of all segments together, between 0 and 1. */
  readonly score: number
  /** The same of each segment alone; undefined of those whose references are all empty, which do not count. */
  readonly segments: readonly (SegmentScore | undefined)[]
}

function scoreOf({ hits, totals, length, referenceLength }: BleuStatistics): number {
  if (hits[0] === 0) return 0
  const penalty = length > referenceLength ? 1 : Math.exp(1 - referenceLength / length)
  // Method 3, the geometric sequence of NIST: the k-th order without a hit has 1 / 2^k of one.
  let missing = 0
  return penalty * geometricMean(hits.map((hit, i) => (hit > 0 ? hit : 2 ** -++missing) / totals[i]!))
}

/** Without empty references; undefined where no other is left. */
function withReferences(segment: PreparedSegment): PreparedSegment | undefined {
  const references = segment.references.filter(({ tokens }) => tokens.length > 0)
  return references.length === 0 ? undefined : { ...segment, references }
}

/**
 * BLEU-4 over all segments by NLTK's `corpus_bleu` with `SmoothingFunction().method3`: what GenerationEval prints as BLEU NLTK.
 * Empty references do not count, nor do segments that have no others; 0 if none is left.
 *
 * Source: Chen and Cherry, "A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU" (2014), method 3; NLTK 3.10.
 *
 * @throws InvalidDataError without segments, or for one without references; InvalidOptionError for a wrong option
 * @example
 * nltkBleu([{ hypothesis: 'The cat sat on it.', references: ['The cat sat on the mat.'] }]).score
 */
export function nltkBleu(segments: readonly Segment[], options: TextOptions = {}): NltkBleu {
  checkSegments(segments, 'nltk-bleu')
  const settings = settingsOf(options, 'nltk-bleu', { tokenizer: 'nltk', lowercase: false })
  const each = prepare(segments, settings).map((segment) => {
    const counted = withReferences(segment)
    return counted && bleuStatistics(counted, (length, n) => Math.max(1, length - n + 1))
  })
  const counted = each.filter((statistics) => statistics !== undefined)
  return {
    score: counted.length === 0 ? 0 : scoreOf(sumOf(counted)),
    segments: each.map((statistics) => statistics && { score: scoreOf(statistics) }),
    ...settings,
  }
}
