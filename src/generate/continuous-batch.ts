/**
 * @file Texts that join and leave a running batch: continuous batching (Yu et al., "Orca", 2022). Every pass over the weights
 * gives the next token of all texts, whenever they came and whatever their adapters.
 */
import type { Adapter } from '../adapter/adapter.js'
import { AdapterSet, modelOf, servingOf } from '../adapter/adapter-set.js'
import { subjectArgument } from '../adapter/subject-arguments.js'
import { scaledAdapters } from '../adapter/row-adapters.js'
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
import { KeptPrefixes } from './kept-prefixes.js'

/** How a batch runs. */
export interface ContinuousBatchOptions {
  /** Most texts that are continued together, 16 by default; others wait for their turn, in the order in which they came. */
  readonly maxRows?: number
  /**
   * Most tokens of prompts that are read between two tokens of the texts that run already, 256 by default: more reads prompts
   * sooner, fewer keeps texts flowing. Several prompts take turns; while no text runs, they are read in large pieces.
   */
  readonly prefillTokens?: number
  /**
   * Bytes of memory for what was read of earlier texts: a prompt that begins as one of the same adapters is read from where they differ
   * (a system prompt, a dialogue's turns so far). Those used longest ago make room for others. 0 by default: nothing is kept.
   */
  readonly prefixBytes?: number
}

/** Tokens of a prompt that are read at once while no text waits for its next token. */
const LARGE_PIECE = 512

const optionTable = {
  maxRows: { is: whole(1), default: 16 },
  prefillTokens: { is: whole(1), default: 256 },
  prefixBytes: { is: whole(0), default: 0 },
} as const satisfies OptionTable<ContinuousBatchOptions>

/** Texts that share their passes: those of adapters that can stand beside each other, or of one adapter that cannot. */
interface Group {
  /** Names its adapters where all rows have the same; undefined where rows have adapters of their own. */
  readonly alone: string | undefined
  texts: readonly ContinuedText[]
  cache: BatchCache | undefined
}

/** A text whose prompt is being read. */
interface Reading {
  readonly text: ContinuedText
  /** What has been read of it. */
  cache?: BatchCache
  done: number
}

/**
 * A batch that texts join at any time and leave when they end: what a server needs to answer many at once. Texts of different
 * adapters of a set run together; an adapter that replaces tensors of the base (a saved module, trained biases or tokens) runs in
 * passes of its own; a text that names none of a set is the base model's, whatever is active there. What a text says does not depend on
 * the others but for rounding: each has its own random numbers.
 * @example
 * const batch = new ContinuousBatch(adapters)
 * for await (const { text } of batch.add({ prompt: 'Roses', adapter: 'poet' })) process.stdout.write(text)
 */
export class ContinuousBatch {
  private readonly options: Resolved<ContinuousBatchOptions, typeof optionTable>
  private readonly model: Model
  private readonly groups = new Map<string | undefined, Group>()
  private readonly queue: ContinuedText[] = []
  /** The next one first. */
  private readonly readings: Reading[] = []
  private readonly prefixes: KeptPrefixes | undefined
  private isRunning = false

  /** @throws InvalidOptionError for options out of range, and models that write no text */
  constructor(
    private readonly subject: Model | Adapter | AdapterSet,
    options: ContinuousBatchOptions = {},
  ) {
    checkArgument(subject, subjectArgument, 'ContinuousBatch')
    this.options = resolveOptions(optionTable, options, 'ContinuousBatch')
    this.model = modelOf(subject)
    const { prefixBytes } = this.options
    if (prefixBytes > 0) this.prefixes = new KeptPrefixes(subject, prefixBytes)
  }

  /** Texts that are being continued, those whose prompts are being read among them. */
  get running(): number {
    return this.continued + this.readings.length
  }

  /** Texts that have their prompts behind them. */
  private get continued(): number {
    return [...this.groups.values()].reduce((sum, { texts }) => sum + texts.length, 0)
  }

  /** Bytes of what is kept of texts that were read, up to `prefixBytes`. */
  get keptBytes(): number {
    return this.prefixes?.bytes ?? 0
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
      ...this.readings.map(({ text }) => text),
    ]
    return all.filter((text) => text.adapters.includes(adapter)).length
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
        await this.readPrompts()
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

  /** Reads the next pieces of prompts, where some wait and there is room; at its end a text joins its group. */
  private async readPrompts(): Promise<void> {
    this.dropAborted()
    this.prefixes?.forgetGone()
    for (let read = 0; ;) {
      while (this.queue.length > 0 && this.running < this.options.maxRows)
        this.readings.push({ text: this.queue.shift()!, done: 0 })
      const most = this.continued > 0 ? this.options.prefillTokens : Math.max(LARGE_PIECE, this.options.prefillTokens)
      if (read >= most || this.readings.length === 0) return
      read += await this.readPiece(this.nextReading(), most - read)
    }
  }

  /** Whose turn it is: one that begins as another that is being read waits until that has read what they share. */
  private nextReading(): Reading {
    const begun = this.readings.filter(({ cache }) => cache !== undefined)
    const waits = ({ text }: Reading): boolean =>
      this.hasAdapters(text) && begun.some((other) => other.done < (this.prefixes?.shared(other.text, text) ?? 0))
    return this.readings.find((reading) => reading.cache !== undefined || !waits(reading))!
  }

  /** @returns tokens that were read */
  private async readPiece(reading: Reading, most: number): Promise<number> {
    const { text } = reading
    const leave = (): void => void this.readings.splice(this.readings.indexOf(reading), 1)
    if (text.isAborted) {
      leave()
      text.end()
      return 0
    }
    try {
      const group = this.groupOf(text)
      const { session, tensors } = await this.serve(group, [text])
      const cache = (reading.cache ??= session.newBatchCache([0], text.longest))
      if (reading.done === 0) reading.done = this.prefixes?.begin(text, cache) ?? 0
      const piece = text.prompt.slice(reading.done, reading.done + most)
      const logits = await session.runRows([piece], cache, tensors, text.onPrompt)
      reading.done += piece.length
      leave()
      this.prefixes?.keep(text, cache, 0)
      // Others have their turn.
      if (reading.done < text.prompt.length) this.readings.push(reading)
      else if (text.advance(logits)) this.join(group, text, cache)
      else text.end()
      return piece.length
    } catch (error) {
      leave()
      text.fail(error)
      return 0
    }
  }

  private groupOf({ adapter }: ContinuedText): Group {
    const { subject } = this
    const isAlone = subject instanceof AdapterSet && !subject.isMixable(adapter)
    const alone = isAlone ? JSON.stringify(scaledAdapters(adapter)) : undefined
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
      else if (!this.hasAdapters(text)) text.fail(this.gone(text))
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
    const ended = [...group.texts.entries()].filter(([i]) => !going.includes(i))
    for (const [row, text] of ended) this.prefixes?.keep(text, group.cache!, row)
    if (going.length === 0) {
      group.texts = []
      this.groups.delete(group.alone)
    } else if (going.length < group.texts.length) {
      group.texts = going.map((i) => group.texts[i]!)
      group.cache!.select(going)
      group.cache!.trim()
    }
  }

  private hasAdapters({ adapter }: ContinuedText): boolean {
    return !(this.subject instanceof AdapterSet) || this.subject.hasAll(adapter)
  }

  private gone({ adapters }: ContinuedText): InvalidOptionError {
    const { names } = this.subject as AdapterSet
    const removed = adapters.filter((name) => !names.includes(name)).map((name) => `"${name}"`)
    return new InvalidOptionError(`the adapter ${removed.join(' and ')} was removed from the set while it wrote this text`)
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
        : subject.servingOne(texts[0]!.adapter)
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
