/** @file Calls of tools by a model: asked for, found in its answers, and given back to it. */
import { neededTokenizer } from '../data/needed-tokenizer.js'
import type { Message } from '../data/messages.js'
import type { Tokenizer } from '../data/tokenizer.js'
import { InvalidOptionError } from '../errors.js'
import type { Constraint } from '../generate/constraint.js'
import type { GenerateEvent } from '../generate/generation.js'
import { modelArgument } from '../model/model-argument.js'
import type { Model } from '../model/model.js'
import { checkArgument, type ArgumentKind } from '../util/arguments.js'
import { toolCallConstraint } from './tool-call-constraint.js'
import { toolCallFormat, type ToolCallFormat } from './tool-call-format.js'
import { ToolCallParser, type ToolCall, type ToolCallEvent } from './tool-call-parser.js'
import { checkTools, type Tool } from './tool.js'
import { toolMessages } from './tool-messages.js'

/** All that is asked of a model here. */
const withTokenizer: ArgumentKind<Pick<Model, 'tokenizer' | 'path'>> = {
  ...modelArgument,
  fits: (value): value is Model => typeof value === 'object' && value !== null && 'tokenizer' in value,
}

/** Which tools an answer must call. */
export interface ToolChoice {
  /** The one that is called; any of them by default. */
  readonly name?: string
  /** Whether an answer may have several calls, true by default; some models' templates know one alone. */
  readonly parallel?: boolean
}

/** An answer with calls of tools, read token by token. */
export class ToolCallReader {
  /** The text that belongs to no call, so far. */
  text = ''
  private readonly found: { readonly id: string; readonly name: string; arguments: string }[] = []
  private readonly parser: ToolCallParser

  /** @internal Of {@link ToolCalls.reader}. */
  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly format: ToolCallFormat,
    names: readonly string[] | undefined,
    newId: (() => string) | undefined,
  ) {
    this.parser = new ToolCallParser(format, names, newId)
  }

  /** The calls so far; the arguments of the last may not be whole. */
  get calls(): readonly ToolCall[] {
    return this.found
  }

  /** What became certain with a token. */
  push({ id, text }: Pick<GenerateEvent, 'id' | 'text'>): ToolCallEvent[] {
    return this.take(this.parser.push(this.mark(id) + text))
  }

  /** What was held back, at the end of the answer. */
  finish(): ToolCallEvent[] {
    return this.take(this.parser.finish())
  }

  /** Special tokens are no part of a text, but some of them mark calls. */
  private mark(id: number | undefined): string {
    if (id === undefined || !this.tokenizer.isSpecial(id)) return ''
    const name = this.tokenizer.tokenText(id)
    const { head, between, next = '', tail } = this.format
    return [head, between, next, tail].some((text) => text.includes(name)) ? name : ''
  }

  private take(events: ToolCallEvent[]): ToolCallEvent[] {
    for (const event of events) {
      if (event.type === 'text') this.text += event.text
      else if (event.type === 'call') this.found.push({ id: event.id, name: event.name, arguments: '' })
      else this.found[event.index]!.arguments += event.text
    }
    return events
  }
}

/**
 * How a model calls tools, read from its chat template: Hermes' and Qwen's `<tool_call>`, Llama's bare JSON, Mistral's `[TOOL_CALLS]`,
 * DeepSeek's and Phi's marks, and whatever else writes a name and an object of JSON.
 * @example
 * const calls = await ToolCalls.of(model)
 * const messages = calls.messages(dialogue)
 * const reader = calls.reader(tools)
 * for await (const event of generateStream(model, { messages, variables: { tools } })) reader.push(event)
 * reader.finish()
 * for (const { id, name, arguments: json } of reader.calls) console.log(id, name, JSON.parse(json))
 */
export class ToolCalls {
  private constructor(
    private readonly tokenizer: Tokenizer,
    private readonly format: ToolCallFormat,
  ) {}

  /**
   * Reads the chat template.
   * @throws InvalidOptionError for what is no model
   * @throws InvalidDataError if the model has no tokenizer or chat template, or the template does not say how tools are called
   */
  static async of(model: Model): Promise<ToolCalls> {
    checkArgument(model, withTokenizer, 'ToolCalls.of')
    const tokenizer = neededTokenizer(await model.tokenizer(), model.path)
    return new ToolCalls(tokenizer, toolCallFormat(tokenizer))
  }

  /** Whether an answer may have several calls. */
  get parallel(): boolean {
    return this.format.next !== undefined
  }

  /**
   * A dialogue as the template takes it: arguments of earlier calls as objects or as text, ids as long as it wants them, results with
   * their tool's name. It takes OpenAI's messages, whose arguments are texts.
   * @throws InvalidDataError naming the message whose arguments are no object of JSON
   */
  messages(messages: readonly Message[]): Message[] {
    return toolMessages(messages, this.format)
  }

  /**
   * An answer that is a call, or several, and nothing else; arguments are valid by the schema of their tool.
   * @throws InvalidOptionError for tools that are none, a name that none of them has, or a schema that cannot be kept, naming its keyword
   */
  constraint(tools: readonly Tool[], { name, parallel = true }: ToolChoice = {}): Constraint {
    checkTools(tools)
    const chosen = name === undefined ? tools : tools.filter((tool) => tool.function.name === name)
    if (chosen.length === 0)
      throw new InvalidOptionError(
        name === undefined
          ? 'a call is asked for, but there are no tools'
          : `there is no tool "${name}"; there are ${tools.map((tool) => tool.function.name).join(', ') || 'none'}`,
      )
    return toolCallConstraint(this.tokenizer, this.format, chosen, parallel && name === undefined)
  }

  /**
   * Finds the calls in an answer.
   * @param tools those that there are
   * @param newId makes an id for each call, `call_` and random letters by default
   * @throws InvalidOptionError for tools that are none
   */
  reader(tools: readonly Tool[], newId?: () => string): ToolCallReader {
    checkTools(tools)
    return new ToolCallReader(this.tokenizer, this.format, tools.map((tool) => tool.function.name), newId) // prettier-ignore
  }
}
