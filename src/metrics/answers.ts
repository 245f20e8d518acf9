/** @file Answers as texts: exact match and the F1 of their words, as SQuAD's script computes them. */
import { words } from '../jinja/unicode.js'
import { clippedCounts, total } from './ngrams.js'
import { mean } from './mean.js'
import { checkSegments, type Segment, type SegmentScore } from './segment.js'

/** What {@link exactMatch} and {@link tokenF1} say. */
export interface AnswerScores {
  /** Mean over the segments, between 0 and 1. */
  readonly score: number
  /** The best that a reference gives each. */
  readonly segments: readonly SegmentScore[]
  /** Words between white space, in small letters, without ASCII punctuation and articles. */
  readonly tokenizer: 'squad'
}

/** The words of an answer that count. */
const answerWords = (text: string): readonly string[] =>
  words(
    text
      .toLowerCase()
      .replace(/[!-/:-@[-`{-~]/g, '')
      .replace(/(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu, ' '),
  )

function best(
  segments: readonly Segment[],
  metric: string,
  compare: (hypothesis: readonly string[], reference: readonly string[]) => number,
): AnswerScores {
  checkSegments(segments, metric)
  const scores = segments.map(({ hypothesis, references }) => {
    const answer = answerWords(hypothesis)
    return Math.max(...references.map((reference) => compare(answer, answerWords(reference))))
  })
  return { score: mean(scores), segments: scores.map((score) => ({ score })), tokenizer: 'squad' }
}

/**
 * The share of answers that are one of their references, but for small and capital letters, ASCII punctuation, articles and white
 * space.
 *
 * Source: Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text" (2016); the script of version 2.0.
 *
 * @throws InvalidDataError without segments, or for one without references
 * @example
 * exactMatch([{ hypothesis: 'The cat.', references: ['cat', 'a dog'] }]).score // 1
 */
export const exactMatch = (segments: readonly Segment[]): AnswerScores =>
  best(segments, 'exact-match', (a, b) => (a.join(' ') === b.join(' ') ? 1 : 0))

/**
 * The F1 of the words that an answer shares with its reference, the best of several; of empty answers 1 where both are empty.
 *
 * Source: Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text" (2016); the script of version 2.0.
 *
 * @throws InvalidDataError without segments, or for one without references
 * @example
 * tokenF1([{ hypothesis: 'the black cat', references: ['cat'] }]).score // 2/3
 */
export const tokenF1 = (segments: readonly Segment[]): AnswerScores =>
  best(segments, 'token-f1', (a, b) => {
    const common = total(clippedCounts(a, [b]))
    return a.length === 0 || b.length === 0 ? Number(a.length === b.length) : (2 * common) / (a.length + b.length)
  })
