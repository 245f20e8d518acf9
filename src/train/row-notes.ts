/** @file What a run says once of the rows that it reads: fields that nothing reads, rows that were cut, ends that nothing stops at. */
import type { RowReport } from '../data/dataset.js'
import { someNames } from '../util/some-of.js'
import { RowPlaces } from './row-places.js'

const MOST_FIELDS = 1000

export interface RowNotesOptions {
  /** The length that was asked for; rows that are cut without one are worth a word. */
  readonly maxLength?: number | undefined
  /** Positions of the model. */
  readonly maxPositions: number
  /** Of a language model that learns turns: text that tells what a run does about ends where generation does not stop. */
  readonly ends?: TurnEnds
}

/** The ends of learned dialogues. */
export class TurnEnds {
  private readonly found = new Map<number, string>()
  private openText: string | undefined
  private fresh: string[] = []

  /** Tokens that learned dialogues end in and that transformers' generation does not stop at. */
  get tokens(): readonly number[] {
    return [...this.found.keys()]
  }

  add({ turnEnd }: RowReport): void {
    if (turnEnd === undefined || turnEnd.stops) return
    const { token, text } = turnEnd
    if (token === undefined) {
      if (this.openText !== undefined) return
      this.openText = text
      this.fresh.push(
        `the chat template ends learned turns with no special token (the last ends in ${JSON.stringify(text)}), so the trained model has nothing to stop at; ` +
          "add the model's end token behind the assistant's turns in the template, or generate with stop strings",
      )
    } else if (!this.found.has(token)) {
      this.found.set(token, text)
      this.fresh.push(
        `learned turns end in ${JSON.stringify(text)} (token ${token}), where the model's generation_config.json does not stop; ` +
          'generation with what is trained here stops there, and generation_config.json beside it says so to other programs',
      )
    }
  }

  take(): string[] {
    const { fresh } = this
    this.fresh = []
    return fresh
  }
}

export class RowNotes {
  private readonly skipped = new RowPlaces()
  private readonly unread = new Set<string>()
  private freshUnread: string[] = []
  private readonly cut = new RowPlaces()

  constructor(private readonly options: RowNotesOptions) {}

  readonly onSkip = this.skipped.add

  readonly onRow = (report: RowReport): void => {
    const { unread, truncated } = report
    for (const field of unread)
      // Names that every row makes up anew are no list to keep.
      if (!this.unread.has(field) && this.unread.size < MOST_FIELDS) {
        this.unread.add(field)
        this.freshUnread.push(field)
      }
    if (truncated && this.options.maxLength === undefined) this.cut.add(report)
    this.options.ends?.add(report)
  }

  /** Messages about the rows since the last call. */
  take(): string[] {
    return [...this.takeSkipped(), ...this.takeUnread(), ...this.takeCut(), ...(this.options.ends?.take() ?? [])]
  }

  private takeUnread(): string[] {
    const { freshUnread: fresh } = this
    if (fresh.length === 0) return []
    this.freshUnread = []
    return [`nothing reads these fields of the rows: ${someNames(fresh)}`]
  }

  private takeSkipped(): string[] {
    const { count, places } = this.skipped.take()
    return count === 0 ? [] : [`left out ${count} ${count === 1 ? 'row' : 'rows'} without a token to learn: ${places}`]
  }

  private takeCut(): string[] {
    const { count, places } = this.cut.take()
    if (count === 0) return []
    const [are, were] = count === 1 ? ['row is', 'was'] : ['rows are', 'were']
    return [`${count} ${are} longer than the model's ${this.options.maxPositions} positions and ${were} cut: ${places}`]
  }
}
