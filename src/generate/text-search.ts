/** @file What a search over the texts of one prompt is, whatever its rules. */
import type { TextStream } from './text-stream.js'

/** A text that may be continued. */
export interface RunningBeam {
  readonly ids: readonly number[]
  /** Sum of the log probabilities of its tokens. */
  readonly score: number
  readonly text?: TextStream | undefined
}

export interface FinishedBeam {
  /** Without a token that ended the text. */
  readonly ids: readonly number[]
  /** Sum of log probabilities over length^lengthPenalty; the length counts a token that ended the text. */
  readonly score: number
  readonly reason: 'eos' | 'stop' | 'length'
}

/** A text that was found, or the search was broken off at. */
export type FoundText = Omit<FinishedBeam, 'reason'> & { readonly reason: FinishedBeam['reason'] | 'aborted' }

/** The state of a search. */
export interface TextSearch {
  /** The texts that may be continued, best first; one without tokens at the beginning, none at the end. */
  readonly running: readonly RunningBeam[]
  /**
   * Takes the next token for every running beam.
   * @param logits by running beam, [vocabulary]; changed
   * @returns for each beam that runs now, the number of the one that it continues; nothing when the search has ended
   * @throws InvalidOptionError if the options rule out every token and no text has come to its end
   */
  advance(logits: readonly Float32Array[]): readonly number[]
  /** The best texts; where the search was broken off, also those still running. */
  results(count: number): readonly FoundText[]
}

/** One more token for a beam. */
export interface Candidate {
  readonly from: number
  readonly id: number
  readonly score: number
}

/**
 * The best continuations of all beams, best first; of equals the first. What has no probability is none. Sums are rounded to
 * float32 as in PyTorch, so that ties and near ties fall the same way.
 * @param logProbabilities of the next token, by beam
 */
export function bestContinuations(
  running: readonly RunningBeam[],
  logProbabilities: readonly Float32Array[],
  count: number,
): readonly Candidate[] {
  const best: Candidate[] = []
  for (const [from, { score }] of running.entries()) {
    const row = logProbabilities[from]!
    for (let id = 0; id < row.length; id++) {
      const sum = Math.fround(row[id]! + score)
      if (sum === -Infinity || (best.length === count && sum <= best[count - 1]!.score)) continue
      let at = best.length
      while (at > 0 && best[at - 1]!.score < sum) at--
      best.splice(at, 0, { from, id, score: sum })
      if (best.length > count) best.pop()
    }
  }
  return best
}
