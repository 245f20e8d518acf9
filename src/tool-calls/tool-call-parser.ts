/** @file Calls of tools found in an answer while it is written: the text before them, names, pieces of arguments. */
import { ID_MARK, type ToolCallFormat } from './tool-call-format.js'

/** Something that became certain of an answer. */
export type ToolCallEvent =
  /** Text that belongs to no call. */
  | {
      /** Which kind of event. */
      readonly type: 'text'
      /** More of the text. */
      readonly text: string
    }
  /** A call begins. */
  | {
      /** Which kind of event. */
      readonly type: 'call'
      /** Number of the call in the answer, from 0. */
      readonly index: number
      /** An id of its own, by which the result of the call is given back. */
      readonly id: string
      /** Name of the tool. */
      readonly name: string
    }
  /** More of a call's arguments. */
  | {
      /** Which kind of event. */
      readonly type: 'arguments'
      /** Number of the call in the answer, from 0. */
      readonly index: number
      /** A piece of the text of a JSON object. */
      readonly text: string
    }

/** A call of a tool as a whole. */
export interface ToolCall {
  /** An id of its own, by which the result of the call is given back. */
  readonly id: string
  /** Name of the tool. */
  readonly name: string
  /** An object of JSON as text, as the model wrote it. */
  readonly arguments: string
}

/** A name is no longer. */
const LONGEST_NAME = 128

/** As a pattern, in which white space may be any, and may stand between what is no word. */
function flexible(text: string): string {
  const withoutId = text.replace(new RegExp(`,\\s*"id"\\s*:\\s*"${ID_MARK}"`, 'g'), '\u0001')
  const parts = withoutId.match(/\s+|\w+|[^\w\s]/g) ?? []
  const pattern = parts
    .filter((part) => part.trim() !== '')
    .map((part) => {
      if (part === ID_MARK) return '[A-Za-z0-9_.:-]*'
      if (part === '\u0001') return '(?:,\\s*"id"\\s*:\\s*"[^"]*")?'
      return part.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
    })
  return pattern.join('\\s*')
}

const squashed = (text: string): string => text.replace(/\s+/g, '')

/** Lengths of a value of JSON that comes in pieces. */
class JsonEnd {
  private depth = 0
  private inString = false
  private escaped = false
  private begun = false

  /** How many characters of a text belong to the value; fewer than it has where the value ends there. */
  read(text: string): { readonly length: number; readonly done: boolean } {
    for (let i = 0; i < text.length; i++) {
      const c = text[i]!
      if (this.inString) {
        if (this.escaped) this.escaped = false
        else if (c === '\\') this.escaped = true
        else if (c === '"') this.inString = false
        if (!this.inString && this.depth === 0) return { length: i + 1, done: true }
      } else if (c === '"') this.inString = this.begun = true
      else if (c === '{' || c === '[') {
        this.begun = true
        this.depth++
      } else if (c === '}' || c === ']') {
        if (--this.depth <= 0) return { length: i + 1, done: true }
      } else if (this.depth === 0 && !this.begun && /\S/.test(c)) return { length: i, done: true }
    }
    return { length: text.length, done: false }
  }
}

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** `call_` and 24 letters and digits. */
export function newCallId(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(24))
  return `call_${Array.from(bytes, (byte) => letters[byte % letters.length]).join('')}`
}

/** Reads an answer piece by piece. */
export class ToolCallParser {
  private readonly head: string
  private readonly mark: string
  private readonly opening: RegExp
  private readonly following: RegExp | undefined
  private readonly closing: RegExp
  private readonly longest: number
  private held = ''
  private state: 'text' | 'opening' | 'arguments' | 'closing' = 'text'
  private json = new JsonEnd()
  private argumentsText = ''
  private count = 0
  /** Whether anything but white space came before: an answer that is a call begins with it. */
  private hasText = false

  /**
   * @param names of the tools; undefined takes any
   * @param newId makes the ids of calls
   */
  constructor(
    format: ToolCallFormat,
    private readonly names: readonly string[] | undefined,
    private readonly newId: () => string = newCallId,
  ) {
    const { head, between, next, tail } = format
    this.head = head
    // The mark is what no other text begins with; bare JSON has none.
    this.mark = /^[^\s{["]*(?:\[[A-Z_]+\])?/.exec(head)![0]
    const name = `\\s*([^"\\s<>{}\\[\\]|]{1,${LONGEST_NAME}})\\s*`
    this.opening = new RegExp(`^\\s*${flexible(head)}${name}${flexible(between)}\\s*`)
    this.following = next === undefined ? undefined : new RegExp(`^\\s*${flexible(next)}${name}${flexible(between)}\\s*`)
    this.closing = new RegExp(`^\\s*${flexible(tail)}`)
    this.longest = 2 * (head.length + between.length + (next?.length ?? 0) + tail.length) + LONGEST_NAME
  }

  /** How many calls were found. */
  get calls(): number {
    return this.count
  }

  /** Takes more of the answer. */
  push(text: string): ToolCallEvent[] {
    this.held += text
    return this.read(false)
  }

  /** The answer has ended: what was held back. */
  finish(): ToolCallEvent[] {
    return this.read(true)
  }

  private read(isEnd: boolean): ToolCallEvent[] {
    const events: ToolCallEvent[] = []
    for (let before = -1; this.held.length !== before && this.held !== '';) {
      before = this.held.length
      if (this.state === 'text') this.readText(events, isEnd)
      if (this.state === 'opening') this.readOpening(events, isEnd)
      if (this.state === 'arguments') this.readArguments(events)
      if (this.state === 'closing') this.readClosing(events, isEnd)
    }
    return events
  }

  private tell(text: string, events: ToolCallEvent[]): void {
    // White space between calls belongs to them.
    if (text.trim() === '' && this.count > 0) return
    if (text.trim() !== '') this.hasText = true
    if (text !== '') events.push({ type: 'text', text })
  }

  private readText(events: ToolCallEvent[], isEnd: boolean): void {
    const at = this.mark === '' ? this.beginningOfJson(isEnd) : this.held.indexOf(this.mark)
    if (at !== undefined && at >= 0) {
      this.tell(this.held.slice(0, at), events)
      this.held = this.held.slice(at)
      this.state = 'opening'
      return
    }
    const keep = isEnd || at === undefined ? 0 : this.beginningOfMark()
    const certain = this.held.length - keep
    this.tell(this.held.slice(0, certain), events)
    this.held = this.held.slice(certain)
  }

  /** Where an answer that is a call as a whole begins; -1 while it is not known, undefined where it is text. */
  private beginningOfJson(isEnd: boolean): number | undefined {
    if (this.hasText) return undefined
    const at = this.held.search(/[^\s;]/)
    if (at < 0) return isEnd ? undefined : -1
    return this.held[at] === '{' ? at : undefined
  }

  /** Length of the end of what is held that may be the beginning of a mark, or all where it is white space before a call. */
  private beginningOfMark(): number {
    if (this.mark === '') return this.held.length
    for (let n = Math.min(this.mark.length - 1, this.held.length); n > 0; n--)
      if (this.held.endsWith(this.mark.slice(0, n))) return n
    return 0
  }

  private readOpening(events: ToolCallEvent[], isEnd: boolean): void {
    const match = this.opening.exec(this.held)
    if (match !== null && (this.mark !== '' || this.names === undefined || this.names.includes(match[1]!)))
      return this.begin(match, events)
    if (match === null && !isEnd && this.held.length < this.longest) return
    if (isEnd && this.isCutOff()) {
      this.held = ''
      return
    }
    // It only looked like a call. The mark is text, so that it is not found again.
    const passed = Math.max(1, this.mark.length)
    this.tell(this.held.slice(0, passed), events)
    this.held = this.held.slice(passed)
    this.state = 'text'
  }

  /** Whether what is held is the beginning of a call, up to somewhere in its name; of bare JSON it may be that of anything. */
  private isCutOff(): boolean {
    const [held, head] = [squashed(this.held), squashed(this.head)]
    return this.mark !== '' && (head.startsWith(held) || (held.startsWith(head) && /^[\w-]*$/.test(held.slice(head.length))))
  }

  private begin(match: RegExpExecArray, events: ToolCallEvent[]): void {
    events.push({ type: 'call', index: this.count++, id: this.newId(), name: match[1]! })
    this.held = this.held.slice(match[0].length)
    this.json = new JsonEnd()
    this.argumentsText = ''
    this.state = 'arguments'
  }

  private readArguments(events: ToolCallEvent[]): void {
    const { length, done } = this.json.read(this.held)
    const text = this.held.slice(0, length)
    this.held = this.held.slice(length)
    const index = this.count - 1
    // Some models write the object as a text of JSON: that is told when it is whole.
    const isText = (this.argumentsText + text).trimStart().startsWith('"')
    this.argumentsText += text
    if (!isText && text !== '') events.push({ type: 'arguments', index, text })
    if (!done) return
    if (isText) events.push({ type: 'arguments', index, text: unquoted(this.argumentsText) })
    this.state = 'closing'
  }

  private readClosing(events: ToolCallEvent[], isEnd: boolean): void {
    const next = this.following?.exec(this.held)
    if (next) return this.begin(next, events)
    const end = this.closing.exec(this.held)
    if (end !== null) {
      this.held = this.held.slice(end[0].length)
      this.state = 'text'
    } else if (isEnd) this.held = ''
    else if (this.held.length >= this.longest) this.state = 'text'
  }
}

function unquoted(text: string): string {
  try {
    return String(JSON.parse(text))
  } catch {
    return text
  }
}
