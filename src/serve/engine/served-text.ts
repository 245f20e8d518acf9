/** @file A request on its way: waiting or running, read by whom it is for, ended by whoever comes first. */
import type { GenerateEvent } from '../../public.js'
import { DeadlineError } from './errors.js'
import type { LoadedAdapter } from './loaded-adapter.js'
import type { TextRequest, TextResult } from './text-request.js'
import type { Admissible } from './admission.js'

/** How a text came to its end. */
type Outcome = { readonly result: TextResult } | { readonly error: unknown }

export class ServedText implements Admissible {
  readonly key: string
  /** Whether it has not begun. */
  isWaiting = true
  private readonly events: GenerateEvent[] = []
  private readonly abortion = new AbortController()
  private outcome: Outcome | undefined
  private wake: () => void = () => undefined
  private readonly forget: () => void

  /**
   * @param adapters of the request, in its order, held for it
   * @param onAbort told when nobody wants more of it
   */
  constructor(
    readonly request: TextRequest,
    readonly adapters: readonly LoadedAdapter[],
    private readonly onAbort: () => void,
  ) {
    const { key = '', signal, timeout } = request
    this.key = key
    const abort = (): void => this.abort()
    signal?.addEventListener('abort', abort, { once: true })
    const timer = timeout === undefined ? undefined : setTimeout(() => this.expire(timeout), timeout)
    this.forget = () => {
      signal?.removeEventListener('abort', abort)
      clearTimeout(timer)
    }
  }

  /** Ends the text where it runs. */
  get signal(): AbortSignal {
    return this.abortion.signal
  }

  /** Whether there is nothing more to come. */
  get isDone(): boolean {
    return this.outcome !== undefined
  }

  tell(event: GenerateEvent): void {
    if (this.isDone) return
    this.events.push(event)
    this.wake()
  }

  /** The first end counts. */
  end(outcome: Outcome): void {
    if (this.isDone) return
    this.outcome = outcome
    this.forget()
    this.wake()
  }

  /** Nobody wants more of it. */
  abort(): void {
    if (this.abortion.signal.aborted) return
    this.abortion.abort()
    this.onAbort()
  }

  private expire(timeout: number): void {
    this.end({ error: new DeadlineError(timeout) })
    this.abort()
  }

  /** What is written, as it is known. Whoever stops reading ends it. */
  read(): AsyncGenerator<GenerateEvent, TextResult> {
    const events = this.told()
    const [leave, fail] = [events.return.bind(events), events.throw.bind(events)]
    // A generator learns of it late, while it waits for a token, or never, before it is read at all.
    events.return = (value) => {
      this.abort()
      return leave(value)
    }
    events.throw = (error) => {
      this.abort()
      return fail(error)
    }
    return events
  }

  private async *told(): AsyncGenerator<GenerateEvent, TextResult> {
    for (;;) {
      for (let event = this.events.shift(); event !== undefined; event = this.events.shift()) yield event
      if (this.outcome !== undefined) break
      await new Promise<void>((resolve) => (this.wake = resolve))
    }
    if ('error' in this.outcome) throw this.outcome.error
    return this.outcome.result
  }
}
