/** @file Lines that are typed, with a history of their own and Ctrl-C, or that come through a pipe. */
import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { Lines } from './loop.js'

/** The parts of a terminal that are used. */
export interface Typed {
  readonly input: Readable & { readonly isTTY?: boolean }
  /** Where the prompt is shown. */
  readonly output: Writable
}

/**
 * In a terminal Ctrl-C stops what is being answered; twice with nothing between, where nothing is answered, it ends the lines. Through a
 * pipe lines have no prompt.
 */
export class TypedLines implements Lines {
  private readonly reader: Interface
  private readonly waiting: string[] = []
  private take: ((line: string | undefined) => void) | undefined
  private ended = false
  private stop: (() => void) | undefined
  private isSecond = false

  constructor(
    private readonly typed: Typed,
    /** Told that the next Ctrl-C ends it. */
    onFirst: () => void,
  ) {
    const terminal = typed.input.isTTY === true
    this.reader = createInterface({
      input: typed.input,
      terminal,
      crlfDelay: Infinity,
      ...(terminal && { output: typed.output }),
    })
    this.reader.on('line', (line) => {
      this.isSecond = false
      if (this.take === undefined) this.waiting.push(line)
      else this.give(line)
    })
    this.reader.on('close', () => {
      this.ended = true
      this.give(undefined)
    })
    this.reader.on('SIGINT', () => {
      if (this.stop !== undefined) this.stop()
      else if (this.isSecond) this.reader.close()
      else {
        this.isSecond = true
        onFirst()
        this.reader.prompt()
      }
    })
  }

  private give(line: string | undefined): void {
    const { take } = this
    this.take = undefined
    take?.(line)
  }

  next(prompt: string): Promise<string | undefined> {
    const line = this.waiting.shift()
    if (line !== undefined || this.ended) return Promise.resolve(line)
    return new Promise((resolve) => {
      this.take = resolve
      if (this.typed.input.isTTY !== true) return
      this.reader.setPrompt(prompt)
      this.reader.prompt()
    })
  }

  onStop(stop: () => void): () => void {
    this.stop = stop
    return () => (this.stop = undefined)
  }

  close(): void {
    this.reader.close()
  }
}
