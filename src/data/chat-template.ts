/** @file Chat templates: a dialogue to the text a model was taught, and the stretches of it that the assistant wrote. */
import { InvalidDataError } from '../errors.js'
import { JinjaTemplate } from '../jinja/index.js'
import type { Message, TemplateVariables } from './messages.js'
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

/** A Unicode noncharacter, which no text holds: put in the place of a content, it shows where that stands. */
const MARK = '\uFDD0'

/** A model's chat template in the environment that transformers gives it: trimmed blocks, `raise_exception`, `strftime_now`, no tools. */
export class ChatTemplate {
  private readonly template: JinjaTemplate

  /**
   * @param source Jinja
   * @param file where it was read, for messages
   * @param variables special tokens by name: `bos_token`, `eos_token`, …
   * @param clock what `strftime_now` tells
   * @throws InvalidDataError if the template cannot be parsed
   */
  constructor(
    private readonly source: string,
    private readonly file: string,
    private readonly variables: Readonly<Record<string, string>>,
    private readonly clock: () => Date,
  ) {
    try {
      this.template = new JinjaTemplate(source)
    } catch (cause) {
      throw new InvalidDataError(`${file}: the chat template cannot be parsed (${messageOf(cause)}).`, { cause })
    }
  }

  /**
   * The dialogue as text; with `addGenerationPrompt` also the opening of the assistant's next turn.
   * @throws InvalidDataError with what the template objects to
   */
  render(messages: readonly Message[], addGenerationPrompt: boolean, variables: TemplateVariables = {}): string {
    return this.refusing(() => this.template.render(this.values(messages, addGenerationPrompt, variables), this.strftime))
  }

  /** Whether the template says itself, by `{% generation %}`, what is the assistant's. */
  get hasGenerations(): boolean {
    return this.template.hasGenerations
  }

  /** Whether the template's source mentions a name. */
  mentions(name: string): boolean {
    return this.source.includes(name)
  }

  /** Names that the template takes from outside. */
  get names(): ReadonlySet<string> {
    return this.template.variables
  }

  /** The dialogue as text, and the stretches in `{% generation %}`. @throws InvalidDataError as `render`, and if a stretch is changed after its tags */
  renderGenerations(messages: readonly Message[], variables: TemplateVariables = {}): Rendered {
    return this.refusing(() => this.template.renderWithGenerations(this.values(messages, false, variables), this.strftime))
  }

  /**
   * The dialogue as text with the assistant's stretches, each from where generation would begin to the end of its turn.
   *
   * By the template's `{% generation %}` tags where it has them; else by rendering the dialogue turn by turn: what
   * stands before a turn must be a true prefix of the whole.
   * @throws InvalidDataError if a prefix is not, so that no border can be told
   */
  renderAssistant(
    messages: readonly Message[],
    { learned, variables }: { readonly learned?: readonly boolean[]; readonly variables?: TemplateVariables } = {},
  ): Rendered {
    if (this.hasGenerations) return this.renderGenerations(messages, variables)
    const text = this.render(messages, false, variables)
    const spans: Span[] = []
    messages.forEach((message, index) => {
      if (learned?.[index] ?? message.role === 'assistant') spans.push(this.turnSpan(messages, index, text, variables))
    })
    return { text, spans }
  }

  /** A prompt and its completion as one text; the stretch is all that the completion adds. */
  renderCompletion(
    prompt: readonly Message[],
    completion: readonly Message[],
    { variables }: { readonly variables?: TemplateVariables } = {},
  ): Rendered {
    const text = this.render([...prompt, ...completion], false, variables)
    const before = this.render(prompt, completion[0]?.role === 'assistant', variables)
    if (!text.startsWith(before)) throw this.noBorder(prompt.length)
    return { text, spans: [{ start: before.length, end: text.length }] }
  }

  private turnSpan(messages: readonly Message[], index: number, text: string, variables?: TemplateVariables): Span {
    const before = this.render(messages.slice(0, index), true, variables)
    if (!text.startsWith(before)) throw this.noBorder(index)
    const through = this.render(messages.slice(0, index + 1), false, variables)
    if (text.startsWith(through) && through.length > before.length) return { start: before.length, end: through.length }

    // Some templates write the last turn differently (Qwen3 gives it an empty <think> block). Then the content is
    // found by putting a mark in its place, and the turn's closing by rendering it as the last one.
    const withMark = (list: readonly Message[]): Message[] =>
      list.map((message, i) => (i === index ? { ...message, content: MARK } : message))
    const [head, tail, ...more] = this.render(withMark(messages), false, variables).split(MARK)
    const closing = this.render(withMark(messages.slice(0, index + 1)), false, variables).split(MARK)[1]
    if (head === undefined || tail === undefined || closing === undefined || more.length > 0) throw this.noBorder(index)
    const contentEnd = text.length - tail.length
    const fits = text.startsWith(head) && text.endsWith(tail) && head.length >= before.length && contentEnd >= head.length
    if (!fits || !text.startsWith(closing, contentEnd)) throw this.noBorder(index)
    return { start: before.length, end: contentEnd + closing.length }
  }

  private values(messages: readonly Message[], addGenerationPrompt: boolean, variables: TemplateVariables): TemplateVariables {
    const given = { tools: null, documents: null, ...this.variables, ...variables }
    return { ...given, messages, add_generation_prompt: addGenerationPrompt }
  }

  private readonly strftime = (format: string): string => strftime(this.clock(), format)

  private refusing<T>(run: () => T): T {
    try {
      return run()
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

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
