/** @file Token by token to text: whole characters only, and no further than a stop string. */

/** What a tokenizer must do here. */
export interface Decoder {
  decode(ids: readonly number[], options: { readonly skipSpecialTokens?: boolean }): string
}

/** Tokens of context that a decoder needs to space and join the next one rightly. */
const CONTEXT = 6

/**
 * Turns tokens into text as they come. A token alone may be half a character or lack the space that its place gives
 * it, so tokens are decoded together with those before them, and held back while their text is unfinished.
 */
export class TextStream {
  /** Text given out so far. */
  text = ''
  /** Whether a stop string ended the text. */
  stopped = false
  private readonly ids: number[]
  private contextStart: number
  private readUpTo: number
  private held = ''

  /**
   * @param prompt tokens before the text, for context
   * @param stops the text ends before the first of these
   */
  constructor(
    private readonly decoder: Decoder,
    prompt: readonly number[],
    private readonly stops: readonly string[],
  ) {
    this.ids = [...prompt]
    this.readUpTo = prompt.length
    this.contextStart = Math.max(0, prompt.length - CONTEXT)
  }

  /** A stream that has seen the same and goes its own way. */
  fork(): TextStream {
    const copy = new TextStream(this.decoder, this.ids, this.stops)
    copy.text = this.text
    copy.stopped = this.stopped
    copy.contextStart = this.contextStart
    copy.readUpTo = this.readUpTo
    copy.held = this.held
    return copy
  }

  /** Adds a token; gives the text that is certain now. */
  push(id: number): string {
    this.ids.push(id)
    const before = this.decode(this.contextStart, this.readUpTo)
    const after = this.decode(this.contextStart, this.ids.length)
    // U+FFFD at the end: the bytes of a character are not complete.
    if (after.length <= before.length || after.endsWith('\uFFFD')) return ''
    this.contextStart = this.readUpTo
    this.readUpTo = this.ids.length
    return this.release(after.slice(before.length), false)
  }

  /** Gives what was held back, at the end; nothing the second time. */
  finish(): string {
    const before = this.decode(this.contextStart, this.readUpTo)
    const rest = this.decode(this.contextStart, this.ids.length).slice(before.length)
    this.readUpTo = this.ids.length
    return this.release(rest, true)
  }

  private decode(start: number, end: number): string {
    return this.decoder.decode(this.ids.slice(start, end), { skipSpecialTokens: true })
  }

  private release(addition: string, last: boolean): string {
    if (this.stopped) return ''
    const open = this.held + addition
    const ends = this.stops.map((stop) => open.indexOf(stop)).filter((at) => at >= 0)
    this.stopped = ends.length > 0
    const certain = this.stopped ? Math.min(...ends) : last ? open.length : open.length - this.beginningOfStop(open)
    this.held = open.slice(certain)
    const delta = open.slice(0, certain)
    this.text += delta
    return delta
  }

  /** Length of the longest end of `text` that may be the beginning of a stop string. */
  private beginningOfStop(text: string): number {
    let longest = 0
    for (const stop of this.stops)
      for (let n = Math.min(stop.length - 1, text.length); n > longest; n--) if (text.endsWith(stop.slice(0, n))) longest = n
    return longest
  }
}
