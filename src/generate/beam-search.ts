/** @file Beam search over the texts of one prompt, as transformers' `generate(num_beams=N, do_sample=False)` defines it. */
import type { Beams } from './beam-options.js'
import { nothingMayFollow, processLogits, type ProcessorOptions } from './logits-processors.js'
import { logProbabilities } from './sampling.js'
import type { TextStream } from './text-stream.js'

export interface BeamSearchOptions extends Omit<Beams, 'numReturn'>, ProcessorOptions {
  readonly prompt: readonly number[]
  /** Most tokens of a text. */
  readonly limit: number
  /** Tokens that end a text. */
  readonly ends: ReadonlySet<number>
  /** Special tokens that stop a text as stop strings do. */
  readonly stops: ReadonlySet<number>
  /** The text of no tokens yet, where stop strings are to be looked for. */
  readonly text?: TextStream | undefined
}

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

/** One more token for a beam. */
interface Candidate {
  readonly from: number
  readonly id: number
  readonly score: number
}

/**
 * The state of a search. Of all continuations of the running beams the best count: among the first `beams` of them those
 * that end become finished texts, and the best that do not end run on.
 *
 * Sums are rounded to float32 as in PyTorch, so that ties and near ties fall the same way.
 */
export class BeamSearch {
  /** Best first. At the beginning there is one; transformers has `beams` equal ones of which all but one count nothing. */
  running: readonly RunningBeam[]
  /** Best first, at most `beams`. */
  private finished: readonly FinishedBeam[] = []
  private readonly beams: number
  private readonly lengthPenalty: number

  constructor(private readonly options: BeamSearchOptions) {
    const { beams, lengthPenalty, text } = options
    this.beams = beams
    this.lengthPenalty = lengthPenalty
    this.running = [{ ids: [], score: 0, text }]
  }

  /**
   * Takes the next token for every running beam.
   * @param logits by running beam, [vocabulary]; changed
   * @returns for each beam that runs now, the number of the one that it continues; nothing when the search has ended
   * @throws InvalidOptionError if the options rule out every token and no text has come to its end
   */
  advance(logits: readonly Float32Array[]): readonly number[] {
    const { limit, ends, stops, prompt } = this.options
    // Enough that `beams` are left to run on if every beam likes every end token best.
    const candidates = this.best(logits, Math.max(2, 1 + ends.size + stops.size) * this.beams)
    const [first] = this.running
    if (candidates.length === 0 && this.finished.length === 0 && first !== undefined)
      throw nothingMayFollow({ prompt, ids: first.ids }, this.options, logits[0]!.length)
    const finished: FinishedBeam[] = []
    const next: (RunningBeam & { readonly from: number })[] = []
    for (const [rank, { from, id, score }] of candidates.entries()) {
      const { ids: before, text: textBefore } = this.running[from]!
      const marker = ends.has(id) ? 'eos' : stops.has(id) ? 'stop' : undefined
      const text = marker === undefined ? textBefore?.fork() : undefined
      text?.push(id)
      const reason = marker ?? (text?.stopped === true ? 'stop' : before.length + 1 === limit ? 'length' : undefined)
      if (reason === undefined && next.length < this.beams) next.push({ ids: [...before, id], score, text, from })
      else if (reason !== undefined && rank < this.beams)
        finished.push({
          ids: marker === undefined ? [...before, id] : before,
          score: this.penalized(score, before.length + 1),
          reason,
        })
    }
    // The sort is stable: of equals the earlier stays in front.
    this.finished = [...this.finished, ...finished].sort((a, b) => b.score - a.score).slice(0, this.beams)
    this.running = this.canImprove(next) ? next : []
    return this.running.length === 0 ? [] : next.map(({ from }) => from)
  }

  /** The best texts; where the search was broken off before as many had finished, also those still running. */
  results(count: number): readonly (Omit<FinishedBeam, 'reason'> & { readonly reason: FinishedBeam['reason'] | 'aborted' })[] {
    const open = this.running.map(({ ids, score }) => {
      return { ids, score: ids.length === 0 ? 0 : this.penalized(score, ids.length), reason: 'aborted' as const }
    })
    return [...this.finished, ...open].slice(0, count)
  }

  /** The best continuations of all beams, best first; of equals the first. */
  private best(logits: readonly Float32Array[], count: number): readonly Candidate[] {
    const { prompt, ends } = this.options
    const best: Candidate[] = []
    for (const [from, { ids, score }] of this.running.entries()) {
      const row = logProbabilities(logits[from]!)
      processLogits(row, { prompt, ids, ends }, this.options)
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

  /** Whether a running beam may still come among the finished. */
  private canImprove([first]: readonly RunningBeam[]): boolean {
    if (first === undefined) return false
    if (this.finished.length < this.beams) return true
    const { earlyStopping, limit } = this.options
    if (earlyStopping === true) return false
    // Without "never", the length now stands for all lengths to come, which is not exact.
    const length = earlyStopping === 'never' && this.lengthPenalty > 0 ? limit : first.ids.length
    return this.penalized(first.score, length) > this.finished.at(-1)!.score
  }

  private penalized(score: number, length: number): number {
    return Math.fround(score / length ** this.lengthPenalty)
  }
}
