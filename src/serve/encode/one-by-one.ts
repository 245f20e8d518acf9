/** @file Work that is done one after the other, with a bound for what waits. */
import { DrainingError, QueueFullError } from '../engine/errors.js'

/** Seconds after which a refused request may come again. */
const RETRY_AFTER = 1

/** What encoders are asked: a pass takes all cores, so that two at once would each be slower. */
export class OneByOne {
  private last: Promise<unknown> = Promise.resolve()
  private count = 0
  private isClosed = false

  /** @param maxWaiting most that wait */
  constructor(private readonly maxWaiting: number) {}

  /**
   * Does a piece of work when those before it are done.
   * @throws QueueFullError if as many wait as may, DrainingError after {@link drain}; what the work throws
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.isClosed) throw new DrainingError()
    if (this.count > this.maxWaiting) throw new QueueFullError(this.count - 1, RETRY_AFTER)
    this.count++
    const done = this.last.then(work)
    this.last = done.catch(() => undefined)
    try {
      return await done
    } finally {
      this.count--
    }
  }

  /** Takes no more. @returns when all is done */
  async drain(): Promise<void> {
    this.isClosed = true
    await this.last
  }
}
