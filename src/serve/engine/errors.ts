/** @file What an engine refuses: one class for each answer that a server gives to it. */
import { LowrankError } from '../../public.js'

/** As many requests wait as may. */
export class QueueFullError extends LowrankError {
  /**
   * @param waiting how many wait
   */
  constructor(
    waiting: number,
    /** Seconds after which there should be a place. */
    readonly retryAfter: number,
  ) {
    super(`${waiting} requests wait already, which is as many as may; try again in ${retryAfter} s`)
  }
}

/** A request names an adapter that is not there. */
export class UnknownAdapterError extends LowrankError {
  /**
   * @param known those that are there
   */
  constructor(
    /** The name that is not known. */
    readonly adapter: string,
    known: readonly string[],
  ) {
    super(`there is no adapter "${adapter}"; there are ${known.join(', ') || 'none'}`)
  }
}

/** An adapter is to be loaded by a name that another one has. */
export class AdapterExistsError extends LowrankError {
  /** An error of this name. */
  constructor(
    /** The name that is taken. */
    readonly adapter: string,
  ) {
    super(`the adapter "${adapter}" has already been loaded; unload it, load it in place, or choose another name`)
  }
}

/** A request was not done in its time. */
export class DeadlineError extends LowrankError {
  /** An error of this time. */
  constructor(
    /** Milliseconds that it had. */
    readonly timeout: number,
  ) {
    super(`the request was not done within ${timeout} ms; ask for fewer tokens, or give it more time`)
  }
}

/** The engine takes no more requests: it is about to end. */
export class DrainingError extends LowrankError {
  constructor() {
    super('the server is shutting down and takes no more requests')
  }
}
