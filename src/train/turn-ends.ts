/** @file How the learned dialogues of a run end, and what is to be said where generation does not stop at that. */
import type { RowListener, RowReport } from '../data/dataset.js'

export class TurnEnds implements RowListener {
  private readonly found = new Set<number>()
  private isOpen = false
  /** What is to be said of the rows read until now. */
  readonly messages: string[] = []

  /** Tokens that learned dialogues end in and that transformers' generation does not stop at. */
  get tokens(): readonly number[] {
    return [...this.found]
  }

  onRow({ turnEnd }: RowReport): void {
    if (turnEnd === undefined || turnEnd.stops) return
    const { token, text } = turnEnd
    if (token === undefined) {
      if (this.isOpen) return
      this.isOpen = true
      this.messages.push(
        `the chat template ends learned turns with no special token (the last ends in ${JSON.stringify(text)}), so the trained model has nothing to stop at; ` +
          "add the model's end token behind the assistant's turns in the template, or generate with stop strings",
      )
    } else if (!this.found.has(token)) {
      this.found.add(token)
      this.messages.push(
        `learned turns end in ${JSON.stringify(text)} (token ${token}), where the model's generation_config.json does not stop; ` +
          'generation with what is trained here stops there, and generation_config.json beside it says so to other programs',
      )
    }
  }
}
