/** @file An answer of /v1/responses while it is written: its items, and the events that tell of them. */
import type { ToolCallEvent } from '../../public.js'
import type { OutputItem } from '../schemas/responses.js'
import { newId } from '../text/answer-header.js'

/** An event without its number. */
export type ResponseEvent = { readonly type: string } & Readonly<Record<string, unknown>>

type Message = Extract<OutputItem, { type: 'message' }>

/** Makes the items of an answer, and the events of each, in OpenAI's order. */
export class ResponseWriter {
  readonly output: OutputItem[] = []
  private open: OutputItem | undefined
  /** White space before anything else: before a call it is nothing. */
  private space = ''

  /** What became certain of the answer. */
  push(event: ToolCallEvent): ResponseEvent[] {
    if (event.type === 'text') return this.text(event.text)
    if (event.type === 'call') {
      this.space = ''
      return [...this.close('completed'), ...this.begin({ type: 'function_call', id: newId('fc'), status: 'in_progress', call_id: event.id, name: event.name, arguments: '' })] // prettier-ignore
    }
    const item = this.open
    if (item?.type !== 'function_call') return []
    this.change({ ...item, arguments: item.arguments + event.text })
    return [{ type: 'response.function_call_arguments.delta', ...this.place(), delta: event.text }]
  }

  /** The end. @param status whether all of it is there */
  finish(status: 'completed' | 'incomplete'): ResponseEvent[] {
    // An answer of nothing is an empty message, so that there is one.
    const empty = this.output.length === 0 ? this.message(this.space) : []
    return [...empty, ...this.close(status)]
  }

  private text(text: string): ResponseEvent[] {
    if (this.open?.type === 'message') return this.delta(text)
    this.space += text
    if (this.space.trim() === '') return []
    return [...this.close('completed'), ...this.message(this.space)]
  }

  /** A message that begins with some text. */
  private message(text: string): ResponseEvent[] {
    const events = this.begin({ type: 'message', id: newId('msg'), status: 'in_progress', role: 'assistant', content: [] })
    this.change({ ...(this.open as Message), content: [partOf('')] })
    events.push({ type: 'response.content_part.added', ...this.place(), content_index: 0, part: partOf('') })
    return text === '' ? events : [...events, ...this.delta(text)]
  }

  private delta(text: string): ResponseEvent[] {
    const item = this.open as Message
    this.change({ ...item, content: [partOf(item.content[0]!.text + text)] })
    return [{ type: 'response.output_text.delta', ...this.place(), content_index: 0, delta: text, logprobs: [] }]
  }

  private begin(item: OutputItem): ResponseEvent[] {
    this.output.push(item)
    this.open = item
    return [{ type: 'response.output_item.added', output_index: this.output.length - 1, item }]
  }

  private change(item: OutputItem): void {
    this.open = item
    this.output[this.output.length - 1] = item
  }

  private close(status: 'completed' | 'incomplete'): ResponseEvent[] {
    if (this.open === undefined) return []
    const item: OutputItem = { ...this.open, status }
    this.change(item)
    const place = this.place()
    this.open = undefined
    this.space = ''
    const done = { type: 'response.output_item.done', output_index: place.output_index, item }
    if (item.type === 'function_call')
      return [{ type: 'response.function_call_arguments.done', ...place, name: item.name, arguments: item.arguments }, done]
    const part = item.content[0]!
    return [
      { type: 'response.output_text.done', ...place, content_index: 0, text: part.text, logprobs: [] },
      { type: 'response.content_part.done', ...place, content_index: 0, part },
      done,
    ]
  }

  private place(): { readonly item_id: string; readonly output_index: number } {
    return { item_id: this.open!.id, output_index: this.output.length - 1 }
  }
}

const partOf = (text: string): Message['content'][number] => ({ type: 'output_text', text, annotations: [], logprobs: [] })
