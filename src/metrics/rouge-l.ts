/** @file ROUGE-L as coco-caption computes it: longest common subsequences. */
import { prepare, settingsOf, type PreparedSegment, type TextOptions, type TextSettings } from './prepare.js'
import { checkSegments, type Segment, type SegmentScore } from './segment.js'
import { mean } from './mean.js'

/** What {@link rougeL} says. */
export interface RougeL extends TextSettings {
  /** Mean over the segments, between 0 and 1. */
  readonly score: number
  /** The F measure of each. */
  readonly segments: readonly SegmentScore[]
}

/** How much more recall counts than precision. */
const BETA = 1.2

/** Words that stand in both texts in the same order, as many as there are. */
function longestCommonSubsequence(a: readonly string[], b: readonly string[]): number {
  const lengths = new Int32Array(b.length + 1)
  for (const word of a) {
    let diagonal = 0
    for (let j = 1; j <= b.length; j++) {
      const above = lengths[j]!
      lengths[j] = word === b[j - 1] ? diagonal + 1 : Math.max(above, lengths[j - 1]!)
      diagonal = above
    }
  }
  return lengths[b.length]!
}

/** coco-caption splits at single spaces: nothing is one empty word, which equals that of another empty text. */
const someWords = (tokens: readonly string[]): readonly string[] => (tokens.length === 0 ? [''] : tokens)

function scoreOf({ hypothesis, references }: PreparedSegment): number {
  const words = someWords(hypothesis.tokens)
  let [precision, recall] = [0, 0]
  for (const { tokens } of references) {
    const reference = someWords(tokens)
    const common = longestCommonSubsequence(words, reference)
    precision = Math.max(precision, common / words.length)
    recall = Math.max(recall, common / reference.length)
  }
  return precision === 0 || recall === 0 ? 0 : ((1 + BETA ** 2) * precision * recall) / (recall + BETA ** 2 * precision)
}

/**
 * ROUGE-L: the F measure of the longest common subsequence with each reference, β = 1.2; the best precision and the best recall
 * may be of different references. The mean over segments is what the E2E challenge's scripts print.
 *
 * Source: Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004); coco-caption.
 *
 * @throws InvalidDataError without segments, or for one without references; InvalidOptionError for a wrong option
 * @example
 * rougeL([{ hypothesis: 'the cat sat', references: ['the cat is here', 'a cat sat down'] }]).score
 */
export function rougeL(segments: readonly Segment[], options: TextOptions = {}): RougeL {
  checkSegments(segments, 'rouge-l')
  const settings = settingsOf(options, 'rouge-l', { tokenizer: 'ptb', lowercase: true })
  const scores = prepare(segments, settings).map(scoreOf)
  return { score: mean(scores), segments: scores.map((score) => ({ score })), ...settings }
}
