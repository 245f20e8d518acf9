/** @file A text that a continuous batch writes: its tokens, what is known of it, and who reads it. */
import { Random } from '../util/rng.js'
import type { FinishReason, GenerateEvent, Generation } from './generation.js'
import type { ResolvedBatchOptions } from './generate-options.js'
import { nextToken } from './sampling.js'
import type { TextStream } from './text-stream.js'

/** What a text begins with. */
export interface TextBeginning {
  readonly prompt: readonly number[]
  /** Null is the base model, or the subject that the batch is of. */
  readonly adapter: string | null
  /** Most tokens. */
  readonly limit: number
  readonly stream: TextStream
  readonly options: ResolvedBatchOptions
  /** Tokens that end it. */
  readonly ends: ReadonlySet<number>
  /** Special tokens that stop it as stop strings do. */
  readonly stops: ReadonlySet<number>
}

export class ContinuedText {
  /** Its tokens so far. */
  readonly ids: number[] = []
  private beginning: TextBeginning | undefined
  private random = new Random(0)
  private finishReason: FinishReason = 'length'
  /** Known and not read yet. */
  private readonly events: GenerateEvent[] = []
  private outcome: { readonly generation: Generation } | { readonly error: unknown } | undefined
  private wake: () => void = () => undefined
  private isLeft = false
  private readonly started: number

  constructor(private readonly now: () => number) {
    this.started = now()
  }

  begin(beginning: TextBeginning): void {
    this.beginning = beginning
    this.random = Random.derive(beginning.options.seed, 'generate')
  }

  get prompt(): readonly number[] {
    return this.beginning!.prompt
  }

  get adapter(): string | null {
    return this.beginning?.adapter ?? null
  }

  /** Tokens that it may have in the end, its prompt's among them. */
  get longest(): number {
    return this.prompt.length + this.beginning!.limit
  }

  /** Whether nobody wants more of it. */
  get isAborted(): boolean {
    return this.isLeft || this.beginning?.options.signal?.aborted === true
  }

  /** Takes the next token; whether there may be another. @param logits changed @throws as `nextToken` */
  advance(logits: Float32Array): boolean {
    const { prompt, ends, stops, stream, options, limit } = this.beginning!
    const id = nextToken(logits, { prompt, ids: this.ids, ends }, options, this.random)
    if (ends.has(id) || stops.has(id)) {
      this.finishReason = ends.has(id) ? 'eos' : 'stop'
      return false
    }
    this.ids.push(id)
    this.tell({ id, text: stream.push(id) })
    return !stream.stopped && this.ids.length < limit
  }

  /** There are no more tokens. */
  end(): void {
    const { stream } = this.beginning!
    if (this.isAborted) this.finishReason = 'aborted'
    const rest = stream.finish()
    if (rest !== '') this.tell({ id: undefined, text: rest })
    if (stream.stopped) this.finishReason = 'stop'
    const seconds = Math.max(1e-6, (this.now() - this.started) / 1000)
    const { finishReason, ids } = this
    this.outcome = { generation: { text: stream.text, ids, tokensPerSecond: ids.length / seconds, finishReason } }
    this.wake()
  }

  fail(error: unknown): void {
    this.outcome = { error }
    this.wake()
  }

  private tell(event: GenerateEvent): void {
    this.events.push(event)
    this.wake()
  }

  /** What is written, as it is known. */
  async *read(): AsyncGenerator<GenerateEvent, Generation> {
    try {
      for (;;) {
        for (let event = this.events.shift(); event !== undefined; event = this.events.shift()) yield event
        if (this.outcome !== undefined) break
        await new Promise<void>((resolve) => (this.wake = resolve))
      }
      if ('error' in this.outcome) throw this.outcome.error
      return this.outcome.generation
    } finally {
      this.isLeft = true
    }
  }
}
