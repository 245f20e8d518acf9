/** @file Chat templates: a dialogue to the text a model was taught, and the stretches of it that the assistant wrote. */
import { Environment, Interpreter, Template } from '@huggingface/jinja'
import { InvalidDataError } from '../errors.js'
import type { Message } from './row-shapes.js'
import { strftime } from '../util/strftime.js'

/** A stretch of text, in UTF-16 units: [start, end). */
export interface Span {
  readonly start: number
  readonly end: number
}

/** A dialogue as text, and what of it to learn. */
export interface Rendered {
  readonly text: string
  readonly spans: readonly Span[]
}

/** Unicode noncharacters: no text holds them, so they can mark places in a template's output. */
const OPEN = '\uFDD0'
const CLOSE = '\uFDD1'
const MARK = /[\uFDD0\uFDD1]/g
/** transformers' own tag around what the assistant writes. */
const GENERATION_TAG = /\{%-?\s*generation\s*-?%\}/

/** Longest `range`: the limit of Jinja's own sandbox. */
const MAX_RANGE = 100_000

/** Statements and expressions that one rendering may evaluate; a dialogue of a thousand turns takes about a hundred thousand. */
const MAX_STEPS = 250_000

/** An interpreter that gives up on a template without end. */
function boundedInterpreter(environment: Environment): Interpreter {
  const interpreter = new Interpreter(environment)
  const inner = interpreter as unknown as { evaluate: (...args: readonly unknown[]) => unknown }
  const evaluate = inner.evaluate.bind(interpreter)
  let steps = 0
  inner.evaluate = (...args) => {
    if (++steps > MAX_STEPS) throw new Error(`it takes more than ${MAX_STEPS} steps`)
    return evaluate(...args)
  }
  return interpreter
}

/** What every template may use. */
const globals: Readonly<Record<string, unknown>> = {
  ...{ true: true, True: true, false: false, False: false, none: null, None: null },
  raise_exception: (message: string) => {
    throw new Error(message)
  },
  range: (...args: readonly number[]): number[] => {
    const [start = 0, stop, step = 1] = args
    const [from, to] = stop === undefined ? [0, start] : [start, stop]
    const length = Math.max(0, Math.ceil((to - from) / step))
    if (!(length <= MAX_RANGE)) throw new Error(`range(${args.join(', ')}) is longer than ${MAX_RANGE}`)
    return Array.from({ length }, (_, i) => from + i * step)
  },
}

/** A model's chat template in the environment that transformers gives it: trimmed blocks, `raise_exception`, `strftime_now`, no tools. */
export class ChatTemplate {
  private readonly template: Template
  private readonly marked: Template | undefined

  /**
   * @param source Jinja
   * @param file where it was read, for messages
   * @param variables special tokens by name: `bos_token`, `eos_token`, …
   * @param clock what `strftime_now` tells
   * @throws InvalidDataError if the template cannot be parsed
   */
  constructor(
    source: string,
    private readonly file: string,
    private readonly variables: Readonly<Record<string, string>>,
    private readonly clock: () => Date,
  ) {
    try {
      this.template = new Template(source)
      this.marked = GENERATION_TAG.test(source) ? new Template(markGenerations(source)) : undefined
    } catch (cause) {
      throw new InvalidDataError(`${file}: the chat template cannot be parsed (${messageOf(cause)}).`, { cause })
    }
  }

  /** The dialogue as text; with `addGenerationPrompt` also the opening of the assistant's next turn. */
  render(messages: readonly Message[], addGenerationPrompt: boolean): string {
    return this.run(this.template, messages, addGenerationPrompt)
  }

  /**
   * The dialogue as text with the assistant's stretches, each from where generation would begin to the end of its turn.
   *
   * By the template's `{% generation %}` tags where it has them; else by rendering the dialogue turn by turn: what
   * stands before a turn must be a true prefix of the whole.
   * @throws InvalidDataError if a prefix is not, so that no border can be told
   */
  renderAssistant(messages: readonly Message[]): Rendered {
    const text = this.render(messages, false)
    if (this.marked !== undefined) return { text, spans: this.markedSpans(this.marked, messages, text) }
    const spans: Span[] = []
    messages.forEach((message, index) => {
      if (message.role === 'assistant') spans.push(this.turnSpan(messages, index, text))
    })
    return { text, spans }
  }

  /** A prompt and its completion as one text; the stretch is all that the completion adds. */
  renderCompletion(prompt: readonly Message[], completion: readonly Message[]): Rendered {
    const text = this.render([...prompt, ...completion], false)
    const before = this.render(prompt, completion[0]?.role === 'assistant')
    if (!text.startsWith(before)) throw this.noBorder(prompt.length)
    return { text, spans: [{ start: before.length, end: text.length }] }
  }

  private turnSpan(messages: readonly Message[], index: number, text: string): Span {
    const before = this.render(messages.slice(0, index), true)
    if (!text.startsWith(before)) throw this.noBorder(index)
    const through = this.render(messages.slice(0, index + 1), false)
    if (text.startsWith(through) && through.length > before.length) return { start: before.length, end: through.length }

    // Some templates write the last turn differently (Qwen3 gives it an empty <think> block). Then the content is
    // found by putting a mark in its place, and the turn's closing by rendering it as the last one.
    const withMark = (list: readonly Message[]): Message[] =>
      list.map((message, i) => (i === index ? { ...message, content: OPEN } : message))
    const [head, tail, ...more] = this.render(withMark(messages), false).split(OPEN)
    const closing = this.render(withMark(messages.slice(0, index + 1)), false).split(OPEN)[1]
    if (head === undefined || tail === undefined || closing === undefined || more.length > 0) throw this.noBorder(index)
    const contentEnd = text.length - tail.length
    const fits = text.startsWith(head) && text.endsWith(tail) && head.length >= before.length && contentEnd >= head.length
    if (!fits || !text.startsWith(closing, contentEnd)) throw this.noBorder(index)
    return { start: before.length, end: contentEnd + closing.length }
  }

  private markedSpans(marked: Template, messages: readonly Message[], text: string): Span[] {
    const output = this.run(marked, messages, false)
    if (output.replace(MARK, '') !== text) {
      throw new InvalidDataError(
        `${this.file}: the text inside the chat template's generation tags is changed after them, so the assistant's part cannot be told; move the tags to the outside.`,
      )
    }
    const spans: Span[] = []
    let open = -1
    let marks = 0
    for (const match of output.matchAll(MARK)) {
      const place = match.index - marks++
      if (match[0] === OPEN) open = place
      else if (open >= 0) {
        spans.push({ start: open, end: place })
        open = -1
      }
    }
    return spans
  }

  private run(template: Template, messages: readonly Message[], addGenerationPrompt: boolean): string {
    for (const message of messages) {
      if (template === this.marked && /[\uFDD0\uFDD1]/.test(message.content))
        throw new InvalidDataError('A message holds a Unicode noncharacter (U+FDD0 or U+FDD1); remove it.')
    }
    try {
      const environment = new Environment()
      const values = {
        ...globals,
        ...this.variables,
        messages,
        add_generation_prompt: addGenerationPrompt,
        tools: null,
        documents: null,
      }
      for (const [name, value] of Object.entries(values)) environment.set(name, value)
      environment.set('strftime_now', (format: string) => strftime(this.clock(), format))
      // Not `template.render`, which brings a `strftime_now` of the system's clock and language.
      const output = boundedInterpreter(environment).run(template.parsed)
      if (typeof output.value !== 'string') throw new Error('it renders to no text')
      return output.value
    } catch (cause) {
      throw new InvalidDataError(`${this.file}: the chat template refuses the dialogue (${messageOf(cause)}).`, { cause })
    }
  }

  private noBorder(index: number): InvalidDataError {
    return new InvalidDataError(
      `${this.file}: the chat template renders the turns before message ${index} differently once it follows, so the ` +
        `assistant's part cannot be told. Put {% generation %} tags around the assistant's text in the template, or give rows of "prompt" and "completion".`,
    )
  }
}

/**
 * Turns `{% generation %}` and its end into marks in the output. Done as the template engine does it for blocks: blanks
 * before and one newline after a tag that stands alone fall away; a dash eats all whitespace on its side.
 */
function markGenerations(source: string): string {
  return source.replace(
    /(^[ \t]*)?\{%(-?)\s*(end)?generation\s*(-?)%\}(\n?)/gm,
    (_all, _blanks, left: string, end: string | undefined, right: string) => {
      return `{{${left} '${end === undefined ? OPEN : CLOSE}' ${right}}}`
    },
  )
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
