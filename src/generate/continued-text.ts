/** @file A text that a continuous batch writes: what is known of it, and who reads it. */
import { scaledAdapters, type RowAdapters } from '../adapter/row-adapters.js'
import type { GenerateEvent, Generation } from './generation.js'
import type { OnLogits } from './decode-session.js'
import { PromptLogprobs } from './logprobs.js'
import { perSecond } from './continued-prompt.js'
import { RunningText, type TextSettings } from './running-text.js'

/** What a text begins with. */
export interface TextBeginning {
  readonly settings: TextSettings
  /** Null is the base model, or the subject that the batch is of. */
  readonly adapter: RowAdapters
  readonly seed: number
}

export class ContinuedText {
  private beginning: TextBeginning | undefined
  private text: RunningText | undefined
  private scores: PromptLogprobs | undefined
  /** Tokens of its prompt that were read for another text; undefined where none are kept. */
  cachedTokens: number | undefined
  /** What its adapters were when its prompt began to be read, as `AdapterSet.keyOf` gives it. */
  servedAs: string | undefined
  /** Known and not read yet. */
  private readonly events: GenerateEvent[] = []
  private outcome: { readonly generation: Generation } | { readonly error: unknown } | undefined
  private wake: () => void = () => undefined
  private isLeft = false
  private readonly started: number

  constructor(private readonly now: () => number) {
    this.started = now()
  }

  /** @throws what a constraint throws at its beginning */
  begin(beginning: TextBeginning): void {
    this.beginning = beginning
    this.text = new RunningText(beginning.settings, beginning.seed)
    const { prompt, promptLogprobs } = beginning.settings
    if (promptLogprobs !== undefined) this.scores = new PromptLogprobs(prompt, promptLogprobs)
  }

  /** Told of the prompt while it is read, where its tokens are scored. */
  get onPrompt(): OnLogits | undefined {
    const { scores } = this
    return scores && ((_, slot, logits) => scores.read(slot, logits))
  }

  get prompt(): readonly number[] {
    return this.beginning!.settings.prompt
  }

  /** Its tokens so far. */
  get ids(): readonly number[] {
    return this.text!.ids
  }

  get adapter(): RowAdapters {
    return this.beginning?.adapter ?? null
  }

  /** Names of its adapters. */
  get adapters(): readonly string[] {
    return scaledAdapters(this.adapter).map(({ name }) => name)
  }

  /** Whether the tokens of its prompt are scored, for which all of them must be read. */
  get isScored(): boolean {
    return this.scores !== undefined
  }

  /** Tokens that it may have in the end, its prompt's among them. */
  get longest(): number {
    return this.prompt.length + this.beginning!.settings.limit
  }

  /** Whether nobody wants more of it. */
  get isAborted(): boolean {
    return this.isLeft || this.beginning?.settings.signal?.aborted === true
  }

  /** Takes the next token; whether there may be another. @param logits changed @throws as `nextToken` */
  advance(logits: Float32Array): boolean {
    // A prompt may be scored alone.
    if (!this.text!.running) return false
    const event = this.text!.advance(logits)
    if (event !== undefined) this.tell(event)
    return this.text!.running
  }

  /** There are no more tokens. */
  end(): void {
    const text = this.text!
    if (this.isAborted) text.abort()
    const rest = text.finish()
    if (rest !== undefined) this.tell(rest)
    const tokensPerSecond = perSecond(text.ids.length, this.now() - this.started)
    const promptLogprobs = this.scores?.found
    const { cachedTokens } = this
    const more = { ...(promptLogprobs && { promptLogprobs }), ...(cachedTokens !== undefined && { cachedTokens }) }
    this.outcome = { generation: { ...text.result(), tokensPerSecond, ...more } }
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
  read(): AsyncGenerator<GenerateEvent, Generation> {
    const events = this.told()
    const [leave, fail] = [events.return.bind(events), events.throw.bind(events)]
    // A generator learns of it late, while it waits for a token, or never, before it is read at all.
    events.return = (value) => {
      this.isLeft = true
      return leave(value)
    }
    events.throw = (error) => {
      this.isLeft = true
      return fail(error)
    }
    return events
  }

  private async *told(): AsyncGenerator<GenerateEvent, Generation> {
    for (;;) {
      for (let event = this.events.shift(); event !== undefined; event = this.events.shift()) yield event
      if (this.outcome !== undefined) break
      await new Promise<void>((resolve) => (this.wake = resolve))
    }
    if ('error' in this.outcome) throw this.outcome.error
    return this.outcome.generation
  }
}
