/** @file What a run with KTO says once of its rows: how many are desirable, and whether the weights make up for it. */
import type { RowListener, RowReport } from '../data/dataset.js'
import type { Objective } from './objective.js'

/** A share of one kind that the paper's bounds allow (Ethayarajh et al., 2024, equation 8). */
const MOST = 4 / 3

const rounded = (value: number): number => Number(value.toPrecision(3))

export class UnpairedNotes implements RowListener {
  private desirable = 0
  private undesirable = 0
  private taken = false

  onRow({ desirable }: RowReport): void {
    if (this.taken || desirable === undefined) return
    if (desirable) this.desirable++
    else this.undesirable++
  }

  /**
   * Messages about the rows until now; nothing is noted afterwards, for every epoch meets the same ones.
   * @param lastRows rows of the last batch of an epoch
   */
  take({ settings, preliminary }: Objective, lastRows: number): string[] {
    this.taken = true
    const { desirable, undesirable } = this
    if (desirable + undesirable === 0) return []
    const messages: string[] = []
    const balance = this.balance(Number(settings?.['desirableWeight']), Number(settings?.['undesirableWeight']))
    if (balance !== undefined) messages.push(balance)
    if (preliminary !== undefined && lastRows === 1)
      messages.push(
        'the last batch of a pass has a single row: its KL divergence is estimated from its own completion, as in TRL; leave a row out, or choose another batchSize (--batch-size)',
      )
    return messages
  }

  private balance(desirableWeight: number, undesirableWeight: number): string | undefined {
    const { desirable, undesirable } = this
    const rows = `${desirable} desirable and ${undesirable} undesirable rows`
    if (desirable === 0 || undesirable === 0) return `there are ${rows}: KTO learns from both kinds`
    const ratio = (desirableWeight * desirable) / (undesirableWeight * undesirable)
    if (desirable === undesirable || (ratio >= 1 && ratio <= MOST)) return undefined
    const least = (undesirableWeight * undesirable) / desirable
    const other = (desirableWeight * desirable) / undesirable
    return (
      `there are ${rows}; the weights of their losses should make up for it: desirableWeight (--desirable-weight) ` +
      `${rounded(least)} to ${rounded(MOST * least)}, or undesirableWeight (--undesirable-weight) ${rounded(other / MOST)} to ${rounded(other)}`
    )
  }
}
