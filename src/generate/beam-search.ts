/** @file Beam search over the texts of one prompt, as transformers' `generate(num_beams=N, do_sample=False)` defines it. */
import type { Beams } from './beam-options.js'
import { nothingMayFollow, processLogits, type ProcessorOptions } from './logits-processors.js'
import { logProbabilities } from './sampling.js'
import { bestContinuations, type FinishedBeam, type FoundText, type RunningBeam, type TextSearch } from './text-search.js'
import type { TextStream } from './text-stream.js'

export interface BeamSearchOptions extends Omit<Beams, 'beamStyle' | 'numReturn'>, ProcessorOptions {
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

/**
 * The state of a search. Of all continuations of the running beams the best count: among the first `beams` of them those
 * that end become finished texts, and the best that do not end run on.
 */
export class BeamSearch implements TextSearch {
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

  advance(logits: readonly Float32Array[]): readonly number[] {
    const { limit, ends, stops, prompt } = this.options
    const rows = this.running.map(({ ids }, i) => {
      const row = logProbabilities(logits[i]!)
      processLogits(row, { prompt, ids, ends }, this.options)
      return row
    })
    // Enough that `beams` are left to run on if every beam likes every end token best.
    const candidates = bestContinuations(this.running, rows, Math.max(2, 1 + ends.size + stops.size) * this.beams)
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
  results(count: number): readonly FoundText[] {
    const open = this.running.map(({ ids, score }) => {
      return { ids, score: ids.length === 0 ? 0 : this.penalized(score, ids.length), reason: 'aborted' as const }
    })
    return [...this.finished, ...open].slice(0, count)
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
