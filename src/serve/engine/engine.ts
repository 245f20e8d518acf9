/** @file The engine of a server: requests that wait, and the batch that they join. */
import { ContinuousBatch, InvalidOptionError, type GenerateEvent, type Model } from '../../public.js'
import { resolveOptions } from '../../util/option-table.js'
import { AdapterRegistry } from './adapter-registry.js'
import { Admission } from './admission.js'
import { engineOptionTable, type EngineOptions } from './engine-options.js'
import { DrainingError, QueueFullError } from './errors.js'
import { Pace } from './pace.js'
import { ServedText } from './served-text.js'
import type { TextRequest, TextResult } from './text-request.js'

/**
 * Writes the texts of many requests at once, each with adapters of its own.
 * @example
 * const engine = new Engine(model)
 * await engine.adapters.load('poet', './poet')
 * const text = engine.start({ prompt: [1, 2, 3], adapters: [{ name: 'poet', scale: 1 }], options: { maxNewTokens: 20 } })
 * for await (const event of text) process.stdout.write(event.text)
 */
export class Engine {
  /** The adapters that requests can name. */
  readonly adapters: AdapterRegistry
  private readonly batch: ContinuousBatch
  private readonly admission: Admission<ServedText>
  private readonly pace: Pace
  private readonly maxRows: number
  private readonly maxQueue: number
  private draining: { readonly done: Promise<void>; readonly finish: () => void } | undefined
  /** Whether requests are being let in; what is freed meanwhile asks for another round. */
  private round: 'none' | 'running' | 'again' = 'none'

  /** @throws InvalidOptionError for options out of range */
  constructor(
    /** What writes them. */
    readonly model: Model,
    options: EngineOptions = {},
  ) {
    const resolved = resolveOptions(engineOptionTable, options, 'Engine')
    const { maxQueue, maxRows, prefillTokens, prefixBytes } = resolved
    this.maxQueue = maxQueue
    this.maxRows = maxRows
    this.pace = new Pace(model.environment.now)
    this.adapters = new AdapterRegistry(model, resolved)
    const { memory, maxLoras } = this.adapters
    this.batch = new ContinuousBatch(memory.set, { maxRows, prefillTokens, prefixBytes })
    memory.onFree = () => this.admit()
    this.admission = new Admission<ServedText>(
      memory,
      maxLoras,
      () => this.admit(),
      (text, error) => this.finish(text, { error }),
    )
  }

  /** Texts that are being written. */
  get running(): number {
    return this.admission.running
  }

  /** Requests that wait for a place, or for an adapter that is being loaded. */
  get waiting(): number {
    return this.admission.waiting
  }

  /** Bytes of what is kept of texts that were read, up to `prefixBytes`. */
  get keptBytes(): number {
    return this.batch.keptBytes
  }

  /**
   * Begins a text, token by token; the generator's return value is the whole. It runs from the call on, read or not; whoever
   * stops reading, or aborts the signal, frees its place at the next token.
   * @throws QueueFullError, UnknownAdapterError and DrainingError at once, and InvalidOptionError for more adapters than one text may have
   * or a timeout that is no positive number; to the reader DeadlineError, and what the library throws
   */
  start(request: TextRequest): AsyncGenerator<GenerateEvent, TextResult> {
    if (this.draining !== undefined) throw new DrainingError()
    const { adapters, signal, timeout } = request
    if (timeout !== undefined && !(timeout > 0))
      throw new InvalidOptionError(`timeout must be a number of milliseconds above 0, got ${timeout}`)
    const { maxLoras } = this.adapters
    if (adapters.length > maxLoras)
      throw new InvalidOptionError(`a text may have ${maxLoras} adapters here, not ${adapters.length}; raise maxLoras`)
    const text = new ServedText(request, this.adapters.hold(adapters.map(({ name }) => name)), () => this.leave(text))
    this.admission.add(text)
    if (signal?.aborted === true) text.abort()
    this.admit()
    if (text.isWaiting && !this.admission.isLoading(text) && this.admission.waiting > this.maxQueue) {
      this.admission.withdraw(text)
      const error = new QueueFullError(this.waiting, this.pace.secondsFor(1 + this.waiting / 2))
      this.finish(text, { error })
      throw error
    }
    return text.read()
  }

  /** Takes no more requests. @returns when all that run or wait are done */
  drain(): Promise<void> {
    if (this.draining === undefined) {
      let finish = (): void => undefined
      const done = new Promise<void>((resolve) => (finish = resolve))
      this.draining = { done, finish }
      this.finishIfIdle()
    }
    return this.draining.done
  }

  /** Nobody wants more of a text: one that waits is done, one that runs ends by its signal. */
  private leave(text: ServedText): void {
    if (!this.admission.withdraw(text)) return
    const promptTokens = text.request.prompt.length
    this.finish(text, {
      result: { text: '', ids: [], tokensPerSecond: 0, finishReason: 'aborted', promptTokens, cachedTokens: 0 },
    })
  }

  /** Lets in as many as there are places for. */
  private admit(): void {
    if (this.round !== 'none') {
      this.round = 'again'
      return
    }
    do {
      this.round = 'running'
      while (this.running < this.maxRows) {
        const text = this.admission.take()
        if (text === undefined) break
        void this.write(text)
      }
    } while ((this.round as string) === 'again')
    this.round = 'none'
  }

  private async write(text: ServedText): Promise<void> {
    text.isWaiting = false
    const { prompt, options, adapters } = text.request
    try {
      const row = adapters.map(({ scale }, i) => ({ name: text.adapters[i]!.key, scale }))
      const stream = this.batch.add({ ...options, inputIds: prompt, adapter: row, signal: text.signal })
      let next = await stream.next()
      for (; next.done !== true; next = await stream.next()) text.tell(next.value)
      const { cachedTokens = 0 } = next.value
      text.end({ result: { ...next.value, promptTokens: prompt.length, cachedTokens } })
    } catch (error) {
      text.end({ error })
    }
    this.pace.count()
    this.admission.end(text)
    this.finish(text)
  }

  /** A text neither waits nor runs any more. */
  private finish(text: ServedText, outcome?: Parameters<ServedText['end']>[0]): void {
    text.isWaiting = false
    if (outcome !== undefined) text.end(outcome)
    for (const adapter of text.adapters) adapter.release()
    this.finishIfIdle()
    this.admit()
  }

  private finishIfIdle(): void {
    if (this.running + this.waiting === 0) this.draining?.finish()
  }
}
