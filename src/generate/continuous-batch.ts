/**
 * @file Texts that join and leave a running batch: continuous batching (Yu et al., "Orca", 2022). Every pass over the weights
 * gives the next token of all texts, whenever they came and whatever their adapters.
 */
import type { Adapter } from '../adapter/adapter.js'
import { AdapterSet, modelOf, servingOf } from '../adapter/adapter-set.js'
import { subjectArgument } from '../adapter/subject-arguments.js'
import type { Serving } from '../adapters/serving/serving.js'
import { InvalidOptionError } from '../errors.js'
import type { Model } from '../model/model.js'
import { checkArgument } from '../util/arguments.js'
import { whole } from '../util/option-kinds.js'
import { resolveOptions, type OptionTable, type Resolved } from '../util/option-table.js'
import type { BatchCache } from './batch-cache.js'
import { ContinuedText } from './continued-text.js'
import { DecodeSession } from './decode-session.js'
import type { GenerateEvent, Generation } from './generation.js'
import { continuousPrompt, type ContinuousPrompt } from './continuous-prompt.js'

/** How a batch runs. */
export interface ContinuousBatchOptions {
  /** Most texts that are continued together, 16 by default; others wait for their turn, in the order in which they came. */
  readonly maxRows?: number
  /**
   * Most tokens of a prompt that are read between two tokens of the texts that run already, 256 by default: more reads prompts
   * sooner, fewer keeps texts flowing.
   */
  readonly prefillTokens?: number
}

const optionTable = {
  maxRows: { is: whole(1), default: 16 },
  prefillTokens: { is: whole(1), default: 256 },
} as const satisfies OptionTable<ContinuousBatchOptions>

/** Texts that share their passes: those of adapters that can stand beside each other, or of one adapter that cannot. */
interface Group {
  /** Of the adapter that is alone here; undefined where rows have adapters of their own. */
  readonly alone: string | undefined
  texts: readonly ContinuedText[]
  cache: BatchCache | undefined
}

/**
 * A batch that texts join at any time and leave when they end: what a server needs to answer many at once. Texts of different
 * adapters of a set run together; an adapter that replaces tensors of the base (a saved module, trained biases or tokens) runs in
 * passes of its own; a text that names none of a set is the base model's, whatever is active there. What a text says does not depend on the others but for rounding: each has its own random numbers.
 * @example
 * const batch = new ContinuousBatch(adapters)
 * for await (const { text } of batch.add({ prompt: 'Roses', adapter: 'poet' })) process.stdout.write(text)
 */
export class ContinuousBatch {
  private readonly options: Resolved<ContinuousBatchOptions, typeof optionTable>
  private readonly model: Model
  private readonly groups = new Map<string | undefined, Group>()
  private readonly queue: ContinuedText[] = []
  /** The text whose prompt is being read, and what was read of it. */
  private reading: { readonly text: ContinuedText; cache?: BatchCache; done: number } | undefined
  private isRunning = false

  /** @throws InvalidOptionError for options out of range, and models that write no text */
  constructor(
    private readonly subject: Model | Adapter | AdapterSet,
    options: ContinuousBatchOptions = {},
  ) {
    checkArgument(subject, subjectArgument, 'ContinuousBatch')
    this.options = resolveOptions(optionTable, options, 'ContinuousBatch')
    this.model = modelOf(subject)
  }

  /** Texts that are being continued, the one whose prompt is being read among them. */
  get running(): number {
    const inGroups = [...this.groups.values()].reduce((sum, { texts }) => sum + texts.length, 0)
    return inGroups + (this.reading === undefined ? 0 : 1)
  }

  /** Texts that wait for their turn. */
  get waiting(): number {
    return this.queue.length
  }

  /** Texts of an adapter that run or wait: none may be there when it is removed. */
  inUse(adapter: string): number {
    const all = [
      ...this.queue,
      ...[...this.groups.values()].flatMap(({ texts }) => texts),
      ...(this.reading ? [this.reading.text] : []),
    ]
    return all.filter((text) => text.adapter === adapter).length
  }

  /**
   * Begins a text, token by token; the generator's return value is the whole. It runs from the call on, read or not; whoever stops
   * reading, or aborts `signal`, frees its place at the next token.
   *
   * Errors reach the reader of this text alone: InvalidOptionError for options out of range, an unknown adapter or a prompt that fills the
   * model's positions; InvalidDataError if text is given and there is no tokenizer.
   */
  add(prompt: ContinuousPrompt): AsyncGenerator<GenerateEvent, Generation> {
    const text = new ContinuedText(this.model.environment.now)
    void this.enter(text, prompt)
    return text.read()
  }

  private async enter(text: ContinuedText, given: ContinuousPrompt): Promise<void> {
    try {
      text.begin(await continuousPrompt(this.subject, given))
    } catch (error) {
      text.fail(error)
      return
    }
    this.queue.push(text)
    if (this.isRunning) return
    this.isRunning = true
    try {
      while (this.running + this.queue.length > 0) {
        await this.readPrompt()
        for (const group of [...this.groups.values()]) await this.step(group)
      }
    } finally {
      this.isRunning = false
    }
  }

  /** Texts that nobody waits for any more leave the queue. */
  private dropAborted(): void {
    const aborted = this.queue.filter((text) => text.isAborted)
    for (const text of aborted) {
      this.queue.splice(this.queue.indexOf(text), 1)
      text.end()
    }
  }

  /** Reads the next piece of a prompt, if one waits and there is room; at its end the text joins its group. */
  private async readPrompt(): Promise<void> {
    this.dropAborted()
    if (this.reading === undefined) {
      if (this.running >= this.options.maxRows) return
      const text = this.queue.shift()
      if (text === undefined) return
      this.reading = { text, done: 0 }
    }
    const { reading } = this
    const { text } = reading
    try {
      if (text.isAborted) {
        text.end()
        this.reading = undefined
        return
      }
      const group = this.groupOf(text)
      const { session, tensors } = await this.serve(group, [text])
      reading.cache ??= session.newBatchCache([0], text.longest)
      const piece = text.prompt.slice(reading.done, reading.done + this.options.prefillTokens)
      const logits = await session.runRows([piece], reading.cache, tensors, text.onPrompt)
      reading.done += piece.length
      if (reading.done < text.prompt.length) return
      this.reading = undefined
      if (text.advance(logits)) this.join(group, text, reading.cache)
      else text.end()
    } catch (error) {
      this.reading = undefined
      text.fail(error)
    }
  }

  private groupOf({ adapter }: ContinuedText): Group {
    const { subject } = this
    const alone = subject instanceof AdapterSet && adapter !== null && !subject.isMixable(adapter) ? adapter : undefined
    return this.groups.get(alone) ?? { alone, texts: [], cache: undefined }
  }

  private join(group: Group, text: ContinuedText, cache: BatchCache): void {
    group.texts = [...group.texts, text]
    if (group.cache === undefined) group.cache = cache
    else group.cache.join(cache)
    this.groups.set(group.alone, group)
  }

  /** The next token of every text of a group. */
  private async step(group: Group): Promise<void> {
    this.keep(group, (text) => {
      if (text.isAborted) text.end()
      else if (!this.hasAdapter(text)) text.fail(gone(text.adapter!))
      else return true
      return false
    })
    const { texts, cache } = group
    if (texts.length === 0 || cache === undefined) return
    try {
      const { session, tensors } = await this.serve(group, texts)
      const logits = await session.runRows(texts.map((text) => [text.ids.at(-1)!]), cache, tensors) // prettier-ignore
      const width = logits.length / texts.length
      const going = new Set(texts.filter((text, i) => advanced(text, logits.subarray(i * width, (i + 1) * width))))
      this.keep(group, (text) => going.has(text))
    } catch (error) {
      for (const text of texts) text.fail(error)
      this.keep(group, () => false)
    }
  }

  /** Drops the texts that do not go on, and what was cached of them. */
  private keep(group: Group, goesOn: (text: ContinuedText) => boolean): void {
    const going = [...group.texts.keys()].filter((i) => goesOn(group.texts[i]!))
    if (going.length === 0) {
      group.texts = []
      this.groups.delete(group.alone)
    } else if (going.length < group.texts.length) {
      group.texts = going.map((i) => group.texts[i]!)
      group.cache!.select(going)
      group.cache!.trim()
    }
  }

  private hasAdapter({ adapter }: ContinuedText): boolean {
    return adapter === null || !(this.subject instanceof AdapterSet) || this.subject.names.includes(adapter)
  }

  /** What a pass runs on: adapters may have come and gone since the last one. */
  private async serve(
    { alone }: Group,
    texts: readonly ContinuedText[],
  ): Promise<{ session: DecodeSession; tensors: Serving['tensors'] }> {
    const { subject } = this
    const { parts, tensors } = !(subject instanceof AdapterSet)
      ? servingOf(subject)
      : alone === undefined
        ? subject.servingRows(texts.map(({ adapter }) => adapter))
        : subject.servingOne(alone)
    const longest = Math.max(...texts.map((text) => text.longest))
    return { session: await DecodeSession.for(this.model, parts, longest), tensors }
  }
}

/** Takes the next token of a text; whether it goes on. What is wrong with one text is not the others'. */
function advanced(text: ContinuedText, logits: Float32Array): boolean {
  try {
    if (text.advance(logits)) return true
    text.end()
  } catch (error) {
    text.fail(error)
  }
  return false
}

const gone = (adapter: string): InvalidOptionError =>
  new InvalidOptionError(`the adapter "${adapter}" was removed from the set while it wrote this text`)
