/** @file Chat templates: a dialogue to the text a model was taught. */
import { InvalidDataError, messageOf } from '../errors.js'
import { JinjaTemplate } from '../jinja/index.js'
import {
  assistantSpans,
  completionSpans,
  lostContents,
  taggedSpans,
  type DialogueTemplate,
  type Rendered,
} from './assistant-spans.js'
import type { Message, TemplateVariables } from './messages.js'
import { strftime } from '../util/strftime.js'

/** What of a dialogue is learned, and what its template is given beside it. */
export interface RenderOptions {
  readonly learned?: readonly boolean[]
  readonly variables?: TemplateVariables
}

/** A Unicode noncharacter, which no text holds; a space behind it shows whether the template trims. */
const END_MARK = '\uFDD1'

/** A message with a mark at the end of its text, the last one of a list of parts; undefined where it has none. */
function markedEnd(message: Message): Message | undefined {
  const { content } = message
  const marked = (text: string): string => `${text}${END_MARK} `
  if (typeof content === 'string') return { ...message, content: marked(content) }
  const parts = content ?? []
  const at = parts.findLastIndex((part) => typeof part['text'] === 'string')
  const part = parts[at]
  return part && { ...message, content: parts.with(at, { ...part, text: marked(part['text'] as string) }) }
}

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
    readonly source: string,
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

  /**
   * The dialogue as text that ends where its last message does, so that a model goes on with that message: transformers'
   * `continue_final_message`. Where the template trims contents, white space at the end of the message is trimmed too.
   * @throws InvalidDataError as `render`, and if the last message has no text or the template does not write it
   */
  renderOpen(messages: readonly Message[], variables: TemplateVariables = {}): string {
    const refuse = (why: string): never => {
      throw new InvalidDataError(`${this.file}: the last message cannot be continued: ${why}.`)
    }
    const last = messages.at(-1) ?? refuse('there are no messages')
    const open = markedEnd(last) ?? refuse('it has no text')
    const text = this.render([...messages.slice(0, -1), open], false, variables)
    const at = text.lastIndexOf(END_MARK)
    if (at < 0) return refuse('the chat template does not write its content')
    const kept = text.slice(0, at)
    return text.startsWith(END_MARK + ' ', at) ? kept : kept.trimEnd()
  }

  /** Whether the template says itself, by `{% generation %}`, what is the assistant's. */
  get hasGenerations(): boolean {
    return this.template.hasGenerations
  }

  /** Whether the template's source mentions a name. */
  mentions(name: string): boolean {
    return this.source.includes(name)
  }

  /** The dialogue as text, and the stretches in `{% generation %}`. @throws InvalidDataError as `render`, and if a stretch is changed after its tags */
  renderGenerations(messages: readonly Message[], variables: TemplateVariables = {}): Rendered {
    return this.refusing(() => this.template.renderWithGenerations(this.values(messages, false, variables), this.strftime))
  }

  /**
   * The dialogue as text with the assistant's stretches, each from where generation would begin to the end of its turn: by
   * the template's `{% generation %}` tags where it has them, else see assistant-spans.ts.
   * @throws InvalidDataError as `render`, and if a turn cannot be told
   */
  renderAssistant(messages: readonly Message[], { learned, variables }: RenderOptions = {}): Rendered {
    const wanted = learned ?? messages.map(({ role }) => role === 'assistant')
    const template = this.dialogues(variables)
    return this.hasGenerations
      ? taggedSpans(template, messages, this.renderGenerations(messages, variables), wanted)
      : assistantSpans(template, messages, wanted)
  }

  /**
   * A prompt and its completion as one text; the stretch is all that the completion adds, but for its turns that are not
   * learned.
   * @param options.learned for each message of the completion
   * @throws InvalidDataError as `render`, and if the border cannot be told
   */
  renderCompletion(
    prompt: readonly Message[],
    completion: readonly Message[],
    { learned = [], variables }: RenderOptions = {},
  ): Rendered {
    return completionSpans(this.dialogues(variables), prompt, completion, learned)
  }

  /** The messages whose content does not reach the text. */
  lostContents(messages: readonly Message[], variables: TemplateVariables = {}): readonly number[] {
    return lostContents(this.dialogues(variables), messages)
  }

  private dialogues(variables: TemplateVariables = {}): DialogueTemplate {
    return {
      file: this.file,
      trace: (messages, addGenerationPrompt) => {
        const values = this.values(messages, addGenerationPrompt, variables)
        return this.refusing(() => this.template.renderWithVisits(values, this.strftime, 'messages'))
      },
    }
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
}
