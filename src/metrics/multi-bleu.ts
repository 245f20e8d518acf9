/** @file BLEU as Moses's multi-bleu-detok.perl defines it. */
import { BLEU_ORDER, bleuStatistics, geometricMean, sumOf, type BleuStatistics } from './bleu-statistics.js'
import { prepare, settingsOf, type TextOptions, type TextSettings } from './prepare.js'
import { checkSegments, type Segment } from './segment.js'

/** What {@link multiBleu} says. */
export interface MultiBleu extends TextSettings {
  /** BLEU of all segments together, between 0 and 1 (the script prints a hundred times that). */
  readonly score: number
  /** Precision of n-grams of order 1 to 4. */
  readonly precisions: readonly number[]
  /** What the score loses for hypotheses that are shorter than their references: 1 is nothing. */
  readonly brevityPenalty: number
  /** Words of all hypotheses. */
  readonly length: number
  /** Words of the references that are closest in length. */
  readonly referenceLength: number
}

/** 0 / 0 is no precision. */
const precisionsOf = ({ hits, totals }: BleuStatistics): number[] => hits.map((hit, i) => (hit === 0 ? 0 : hit / totals[i]!))

/**
 * BLEU-4 over all segments with the letters as they are and the closest reference length (of two the shorter): what GenerationEval
 * prints as BLEU, by multi-bleu-detok.perl. 0 where no n-gram of some order is found.
 *
 * Source: Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation" (2002); what the script prints.
 *
 * @throws InvalidDataError without segments, or for one without references; InvalidOptionError for a wrong option
 * @example
 * multiBleu([{ hypothesis: 'The cat sat on it.', references: ['The cat sat on the mat.'] }]).score
 */
export function multiBleu(segments: readonly Segment[], options: TextOptions = {}): MultiBleu {
  checkSegments(segments, 'multi-bleu')
  const settings = settingsOf(options, 'multi-bleu', { tokenizer: '13a', lowercase: false })
  const statistics = sumOf(prepare(segments, settings).map((segment) => bleuStatistics(segment, (length, n) => Math.max(0, length - n + 1)))) // prettier-ignore
  const { length, referenceLength } = statistics
  const precisions = precisionsOf(statistics)
  const brevityPenalty = length >= referenceLength ? 1 : length === 0 ? 0 : Math.exp(1 - referenceLength / length)
  return {
    score: precisions.filter((precision) => precision > 0).length < BLEU_ORDER ? 0 : brevityPenalty * geometricMean(precisions),
    precisions,
    brevityPenalty,
    length,
    referenceLength,
    ...settings,
  }
}
