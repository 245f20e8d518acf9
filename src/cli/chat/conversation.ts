/** @file A dialogue in the terminal: what was said, by whom it is answered, and what the commands of a line change. */
import type { Message, Tokenizer } from '../../index.js'
import type { Engine, TextRequestOptions, TextResult, UsedAdapter } from '../../serve/index.js'
import { nearestNames } from '../../util/nearest.js'

/** What a conversation is led with. */
export interface ConversationOptions {
  readonly engine: Engine
  readonly tokenizer: Tokenizer
  /** How answers are written. */
  readonly options: TextRequestOptions
  readonly system: string | undefined
  /** Who answers first; the bare model without it. */
  readonly adapter: string | undefined
}

/** What a line was: something said, to be answered; or a command, with what is said of it. */
export type Line =
  { readonly kind: 'said'; readonly text: string } | { readonly kind: 'told'; readonly note: string } | { readonly kind: 'quit' }

const HELP = `/adapter NAME   answer by this adapter; /adapter none by the bare model; alone lists them
/scale X        how much the adapter counts: 1 as it was trained, 0 not at all
/system TEXT    system prompt; alone takes it away. The dialogue begins anew
/reset          begin anew
/help           this
/quit           end, as Ctrl-D does
//…             say something that begins with a slash`

const commands = ['adapter', 'scale', 'system', 'reset', 'help', 'quit', 'exit']

export class Conversation {
  private readonly history: Message[] = []
  private system: string | undefined
  private adapter: string | undefined
  private scale = 1

  constructor(private readonly given: ConversationOptions) {
    this.system = given.system
    this.adapter = given.adapter
  }

  /** Who answers: the name of an adapter, or nothing for the bare model. */
  get speaker(): string | undefined {
    return this.adapter
  }

  /** What a line is; commands are carried out. */
  take(line: string): Line {
    const text = line.trimEnd()
    if (text.startsWith('//')) return { kind: 'said', text: text.slice(1) }
    const command = /^\/(\S*)\s*(.*)$/s.exec(text)
    if (command === null) return { kind: 'said', text }
    const [, name, argument] = command as unknown as [string, string, string]
    if (name === 'quit' || name === 'exit') return { kind: 'quit' }
    return { kind: 'told', note: this.command(name, argument) }
  }

  private command(name: string, argument: string): string {
    switch (name) {
      case 'adapter':
        return this.chooseAdapter(argument)
      case 'scale':
        return this.setScale(argument)
      case 'system':
        this.system = argument === '' ? undefined : argument
        this.history.length = 0
        return argument === ''
          ? 'no system prompt; the dialogue begins anew'
          : 'the dialogue begins anew under this system prompt'
      case 'reset':
        this.history.length = 0
        return 'the dialogue begins anew'
      case 'help':
        return HELP
      default: {
        const [like] = nearestNames(name, commands)
        return `/${name} is no command${like === undefined ? ';' : `; did you mean /${like}?`} /help lists them, and //${name} says it`
      }
    }
  }

  private chooseAdapter(name: string): string {
    const names = this.given.engine.adapters.list().map((adapter) => adapter.name)
    const now = this.adapter ?? 'none'
    if (name === '') return ['none', ...names].map((each) => `${each === now ? '*' : ' '} ${each}`).join('\n')
    if (name === 'none') {
      this.adapter = undefined
      return 'the bare model answers'
    }
    if (!names.includes(name))
      return `there is no adapter ${name}; there ${names.length === 0 ? 'are none: give --adapter' : `is ${names.join(', ')}`}`
    this.adapter = name
    return `${name} answers${this.scale === 1 ? '' : `, ${this.scale} times`}`
  }

  private setScale(text: string): string {
    const scale = Number(text)
    if (text === '' || !Number.isFinite(scale)) return `/scale takes a number, such as 0.5; it is ${this.scale}`
    this.scale = scale
    return `the adapter counts ${scale} times`
  }

  /**
   * The answer to something that is said, piece by piece; both are remembered, an answer that was stopped up to there.
   * @throws InvalidOptionError for a dialogue that the model has no room for; then nothing is remembered
   */
  async *answer(text: string, signal: AbortSignal): AsyncGenerator<string, TextResult> {
    const { engine, tokenizer, options } = this.given
    const said: Message[] = [...this.history, { role: 'user', content: text }]
    const messages = this.system === undefined ? said : [{ role: 'system', content: this.system }, ...said]
    const prompt = tokenizer.encode(tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true }), {
      addSpecialTokens: false,
    })
    const adapters: UsedAdapter[] =
      this.adapter === undefined || this.scale === 0 ? [] : [{ name: this.adapter, scale: this.scale }]
    const stream = engine.start({ prompt, adapters, options, signal })
    let next = await stream.next()
    for (; next.done !== true; next = await stream.next()) yield next.value.text
    this.history.splice(0, Infinity, ...said, { role: 'assistant', content: next.value.text })
    return next.value
  }
}
