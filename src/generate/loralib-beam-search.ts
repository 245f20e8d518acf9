/**
 * @file Beam search over the texts of one prompt as gpt2_beam.py of microsoft/LoRA defines it, with which the figures of the
 * paper were made. It differs from transformers': as many candidates as beams, of which those that end leave the beam for one
 * step; the search goes on to the last token; penalties and bans look at what was generated alone, and act on the logits.
 */
import { nothingMayFollow, processLogits, type ProcessorOptions } from './logits-processors.js'
import { argmax, checkLogits } from './sampling.js'
import { bestContinuations, type FoundText, type RunningBeam, type TextSearch } from './text-search.js'

/** What the search reads. */
export interface LoralibBeamSearchOptions extends ProcessorOptions {
  readonly beams: number
  readonly lengthPenalty: number
  /** Most tokens of a text. */
  readonly limit: number
  /** Tokens that end a text. */
  readonly ends: ReadonlySet<number>
}

/** A text that has come to its end. */
interface EndedText {
  /** With the token that ended it. */
  readonly ids: readonly number[]
  readonly score: number
}

/** The logarithm of the softmax in two steps of float32, in place: a likely token's has the few digits that its probability has. */
function logOfSoftmax(logits: Float32Array): Float32Array {
  const top = logits[argmax(logits)]!
  // Every token is ruled out.
  if (top === -Infinity) return logits
  let sum = 0
  for (const logit of logits) sum += Math.exp(logit - top)
  for (let id = 0; id < logits.length; id++) logits[id] = Math.log(Math.fround(Math.exp(logits[id]! - top) / sum))
  return logits
}

/** The state of a search, which finds one text. */
export class LoralibBeamSearch implements TextSearch {
  running: readonly RunningBeam[] = [{ ids: [], score: 0 }]
  private found: EndedText | undefined

  constructor(private readonly options: LoralibBeamSearchOptions) {}

  /** The best text so far, with the token that ended it; undefined where none has come to its end. */
  get best(): EndedText | undefined {
    return this.found
  }

  advance(logits: readonly Float32Array[]): readonly number[] {
    const { beams, ends, limit } = this.options
    const rows = this.running.map(({ ids }, i) => {
      const row = logits[i]!
      checkLogits(row)
      processLogits(row, { prompt: [], ids, ends }, this.options)
      return logOfSoftmax(row)
    })
    const candidates = bestContinuations(this.running, rows, beams)
    const [first] = this.running
    if (candidates.length === 0 && this.found === undefined)
      throw nothingMayFollow({ prompt: [], ids: first!.ids }, this.options, rows[0]!.length)
    const next = candidates.map(({ from, id, score }) => ({ ids: [...this.running[from]!.ids, id], score, from }))
    const going = next.filter(({ ids, score }) => {
      const ended = ends.has(ids.at(-1)!) || ids.length === limit
      if (ended) this.keep({ ids, score: this.penalized(score, ids.length) })
      return !ended
    })
    this.running = this.canImprove(going) ? going : []
    return this.running.length === 0 ? [] : going.map(({ from }) => from)
  }

  results(): readonly FoundText[] {
    if (this.found === undefined)
      return this.running
        .slice(0, 1)
        .map(({ ids, score }) => ({ ids, score: this.penalized(score, ids.length), reason: 'aborted' }))
    const { ids, score } = this.found
    const ended = this.options.ends.has(ids.at(-1)!)
    return [{ ids: ended ? ids.slice(0, -1) : ids, score, reason: ended ? 'eos' : 'length' }]
  }

  /** Of equals the first stays. */
  private keep(text: EndedText): void {
    if (this.found === undefined || text.score > this.found.score) this.found = text
  }

  /**
   * Whether a running text may still become the best. gpt2_beam.py goes on to the last token whatever was found; where sums
   * of log probabilities, which only fall, can beat it at no length any more, the result is the same without.
   */
  private canImprove([first]: readonly RunningBeam[]): boolean {
    if (first === undefined) return false
    if (this.found === undefined) return true
    const { limit, lengthPenalty } = this.options
    const length = lengthPenalty > 0 ? limit : first.ids.length + 1
    return this.penalized(first.score, length) > this.found.score
  }

  private penalized(score: number, length: number): number {
    return length === 0 ? 0 : Math.fround(score / Math.fround(length ** this.options.lengthPenalty))
  }
}
