/** @file The engine of a server: requests that wait, and the batch that they join. */
import { ContinuousBatch, InvalidOptionError, type ContinuousBatchOptions, type GenerateEvent, type Model } from '../../public.js'
import { AdapterRegistry, type AdapterRegistryOptions } from './adapter-registry.js'
import { DrainingError, QueueFullError } from './errors.js'
import { ServedText } from './served-text.js'
import type { TextRequest, TextResult } from './text-request.js'
import { WaitingLine } from './waiting-line.js'

/** How an engine runs. */
export interface EngineOptions extends ContinuousBatchOptions, AdapterRegistryOptions {
  /** Most requests that wait for a place, 256 by default; those above are refused. */
  readonly maxQueue?: number
}

/** Seconds after which a refused request may come again. */
const RETRY_AFTER = 1

const MAX_QUEUE = 256
const MAX_ROWS = 16

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
  private readonly line = new WaitingLine<ServedText>()
  private readonly maxRows: number
  private readonly maxQueue: number
  private active = 0
  private draining: { readonly done: Promise<void>; readonly finish: () => void } | undefined

  /** @throws InvalidOptionError for options out of range, and models that write no text */
  constructor(
    /** What writes them. */
    readonly model: Model,
    options: EngineOptions = {},
  ) {
    const { maxQueue = MAX_QUEUE, maxRows = MAX_ROWS, prefillTokens, loadAdapter, findAdapter } = options
    if (!Number.isInteger(maxQueue) || maxQueue < 0)
      throw new InvalidOptionError(`maxQueue must be a whole number of at least 0, got ${maxQueue}`)
    this.maxQueue = maxQueue
    this.maxRows = maxRows
    this.adapters = new AdapterRegistry(model, { ...(loadAdapter && { loadAdapter }), ...(findAdapter && { findAdapter }) })
    this.batch = new ContinuousBatch(this.adapters.set, { maxRows, ...(prefillTokens !== undefined && { prefillTokens }) })
  }

  /** Texts that are being written. */
  get running(): number {
    return this.active
  }

  /** Requests that wait for a place. */
  get waiting(): number {
    return this.line.size
  }

  /**
   * Begins a text, token by token; the generator's return value is the whole. It runs from the call on, read or not; whoever
   * stops reading, or aborts the signal, frees its place at the next token.
   * @throws QueueFullError, UnknownAdapterError and DrainingError at once; DeadlineError, and what the library throws, to the reader
   */
  start(request: TextRequest): AsyncGenerator<GenerateEvent, TextResult> {
    if (this.draining !== undefined) throw new DrainingError()
    if (this.active >= this.maxRows && this.line.size >= this.maxQueue) throw new QueueFullError(this.line.size, RETRY_AFTER)
    const [first, second] = request.adapters
    if (second !== undefined || (first !== undefined && first.scale !== 1))
      throw new InvalidOptionError('several adapters for one text, and scales, are not supported yet; name one of scale 1')
    const adapters = this.adapters.hold(request.adapters.map(({ name }) => name))
    const text = new ServedText(request, adapters, () => this.leave(text))
    this.line.add(text)
    if (request.signal?.aborted === true) this.leave(text)
    this.admit()
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

  /** One that waits and that nobody wants any more. */
  private leave(text: ServedText): void {
    const before = this.line.size
    this.line.remove(text)
    if (this.line.size === before) return
    const { prompt } = text.request
    text.end({
      result: {
        ...{ text: '', ids: [], tokensPerSecond: 0, finishReason: 'aborted' },
        ...{ promptTokens: prompt.length, cachedTokens: 0 },
      },
    })
    this.release(text)
  }

  private admit(): void {
    while (this.active < this.maxRows) {
      const text = this.line.take(() => true)
      if (text === undefined) break
      this.active++
      void this.write(text)
    }
    this.finishIfIdle()
  }

  private async write(text: ServedText): Promise<void> {
    const { prompt, options } = text.request
    try {
      const adapter = text.adapters[0]?.key ?? null
      const stream = this.batch.add({ ...options, inputIds: prompt, adapter, signal: text.signal })
      let next = await stream.next()
      for (; next.done !== true; next = await stream.next()) text.tell(next.value)
      text.end({ result: { ...next.value, promptTokens: prompt.length, cachedTokens: 0 } })
    } catch (error) {
      text.end({ error })
    } finally {
      this.active--
      this.release(text)
      this.admit()
    }
  }

  private release(text: ServedText): void {
    for (const adapter of text.adapters) adapter.release()
    this.finishIfIdle()
  }

  private finishIfIdle(): void {
    if (this.active === 0 && this.line.size === 0) this.draining?.finish()
  }
}
