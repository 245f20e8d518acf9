/** @file What waits to be told to a tracker: bounded, sent in the background, and given up rather than waited for. */
import { messageOf } from '../errors.js'

/** The tracker was reached and will not take this: trying again is useless. */
export class Refused extends Error {}

/** How an {@link Outbox} sends. */
export interface OutboxOptions<T> {
  /** Of the tracker, for its warning. */
  readonly name: string
  /** Sends some, in order. The signal is raised when nobody waits any more. */
  readonly send: (items: readonly T[], signal: AbortSignal) => Promise<void>
  /** Most that are sent at once. */
  readonly batch: number
  /** Most that wait; the oldest go first. */
  readonly limit?: number
  /** Milliseconds until what failed is tried again, doubled each time up to a minute. */
  readonly retryMs?: number
  /** Milliseconds that the end of a run waits at most. */
  readonly endMs?: number
}

const LIMIT = 10_000
const RETRY_MS = 1000
const LONGEST_RETRY_MS = 60_000
const END_MS = 5000

/** A queue that is emptied in the background. Nothing here throws; its first failure is a warning, and the only one. */
export class Outbox<T> {
  private waiting: T[] = []
  private working: Promise<void> | undefined
  private readonly abort = new AbortController()
  private ending = false
  private failed = false
  private untold: string[] = []
  /** Ends the wait for another try. */
  private wake = (): void => undefined

  constructor(private readonly options: OutboxOptions<T>) {}

  push(item: T): void {
    if (this.abort.signal.aborted) return
    this.waiting.push(item)
    const { limit = LIMIT } = this.options
    if (this.waiting.length > limit) this.waiting.shift()
    this.working ??= this.work()
  }

  /** What there is to say since the last call. */
  warnings(): readonly string[] {
    const { untold } = this
    this.untold = []
    return untold
  }

  /** Resolves when all was sent or given up, after `endMs` at the latest. */
  async end(): Promise<void> {
    this.ending = true
    this.wake()
    const { endMs = END_MS } = this.options
    const inTime = await Promise.race([this.working?.then(() => true) ?? true, this.after(endMs).then(() => false)])
    this.wake()
    this.abort.abort()
    if (!inTime) this.warn(`it did not take everything within ${endMs / 1000} seconds of the run's end`)
  }

  private async work(): Promise<void> {
    // What is told in one go is sent together.
    await Promise.resolve()
    let { retryMs = RETRY_MS } = this.options
    while (this.waiting.length > 0 && !this.abort.signal.aborted) {
      const items = this.waiting.splice(0, this.options.batch)
      try {
        await this.options.send(items, this.abort.signal)
        ;({ retryMs = RETRY_MS } = this.options)
      } catch (error) {
        if (this.abort.signal.aborted) break
        this.warn(reasonOf(error))
        if (this.ending || error instanceof Refused) {
          this.waiting = []
          this.abort.abort()
          break
        }
        this.waiting.unshift(...items)
        await this.after(retryMs)
        retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS)
      }
    }
    this.working = undefined
  }

  private warn(reason: string): void {
    if (this.failed) return
    this.failed = true
    this.untold.push(`${this.options.name}: ${reason}; the run goes on without it, and what it does not take is lost there`)
  }

  /** Waits, but not when the end has come. Another try keeps no process alive; the end of a run is waited for. */
  private after(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      if (!this.ending && typeof timer === 'object') timer.unref()
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** What `fetch` says is in the cause of what it throws. */
function reasonOf(error: unknown): string {
  let cause: Error | undefined
  for (let at = error; at instanceof Error && at.cause instanceof Error; at = at.cause) cause = at.cause
  // Of several addresses tried, the message is empty.
  const code = (cause as { readonly code?: string } | undefined)?.code
  const why = cause === undefined ? '' : ` (${cause.message || code || cause.name})`
  return `${messageOf(error)}${why}`
}
