/** @file What a run says once of the rows that it reads: rows that are left out, fields that nothing reads, rows that are cut. */
import type { RowListener, RowReport } from '../data/dataset.js'
import { at } from '../data/rows.js'
import { someNames } from '../util/some-of.js'

const MOST_FIELDS = 1000
const SHOWN_PLACES = 3

export interface RowNotesOptions {
  /** The length that was asked for; rows that are cut without one are worth a word. */
  readonly maxLength?: number | undefined
  /** Positions of the model. */
  readonly maxPositions: number
  /** The field by which rows were kept together: it is read before the rows are. */
  readonly valSplitBy?: string | undefined
}

/** Rows of which one thing is to be said: how many, and where the first of them stand. */
class Places {
  count = 0
  private readonly first: string[] = []

  add(row: Pick<RowReport, 'file' | 'line' | 'unit'>): void {
    if (++this.count <= SHOWN_PLACES) this.first.push(at(row))
  }

  toString(): string {
    return this.first.join('; ') + (this.count > SHOWN_PLACES ? '; …' : '')
  }
}

export class RowNotes implements RowListener {
  private readonly skipped = new Places()
  private readonly unread = new Set<string>()
  private readonly cut = new Places()
  private taken = false

  constructor(private readonly options: RowNotesOptions) {}

  get asksUnread(): boolean {
    return !this.taken
  }

  onSkip(row: Pick<RowReport, 'file' | 'line' | 'unit'>): void {
    if (!this.taken) this.skipped.add(row)
  }

  onRow(report: RowReport): void {
    if (this.taken) return
    // Names that every row makes up anew are no list to keep.
    for (const field of report.unread)
      if (field !== this.options.valSplitBy && this.unread.size < MOST_FIELDS) this.unread.add(field)
    if (report.truncated && this.options.maxLength === undefined) this.cut.add(report)
  }

  /** Messages about the rows until now. Nothing is noted of those that are read afterwards: every epoch meets the same ones. */
  take(): string[] {
    this.taken = true
    const { skipped, unread, cut } = this
    const messages: string[] = []
    if (skipped.count > 0)
      messages.push(`left out ${skipped.count} ${skipped.count === 1 ? 'row' : 'rows'} without a token to learn: ${skipped}`)
    if (unread.size > 0) messages.push(`nothing reads these fields of the rows: ${someNames([...unread])}`)
    if (cut.count > 0) {
      const [are, were] = cut.count === 1 ? ['row is', 'was'] : ['rows are', 'were']
      messages.push(`${cut.count} ${are} longer than the model's ${this.options.maxPositions} positions and ${were} cut: ${cut}`)
    }
    return messages
  }
}
