/**
 * @file What of a rendered dialogue the assistant wrote: from the end of the generation prompt to the end of its turn.
 *
 * A template without `{% generation %}` does not say it. But it loops over the messages, and the interpreter tells what the
 * loop wrote for each: that is the turn, however the turns before it are rendered. Its opening is what the template writes
 * when it asks for the turn, its generation prompt, or as much of that as the turn begins with: where a prompt opens a
 * `<think>` block that the turn does not have, or has otherwise, the opening ends before the block. Where the answers of tools are written inside of the
 * assistant's turn, those pieces of the text are left out: the ones that change with the answer.
 *
 * A template that does not loop over the messages themselves is searched by prefixes and by a mark in the place of the
 * content. What neither finds is an error; nothing is guessed.
 */
import { InvalidDataError } from '../errors.js'
import type { Message } from './messages.js'

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

/** A dialogue as text, with the stretches that the template's loops wrote while they were at a message. */
export interface Traced {
  readonly text: string
  /** A visit within another comes before it. */
  readonly visits: readonly (Span & { readonly index: number })[]
  /** The text in the pieces in which it was written. */
  readonly pieces: readonly string[]
}

/** What a template makes of messages, all else being equal. Throws InvalidDataError where the template refuses them. */
export interface DialogueTemplate {
  /** Where the template was read, for messages. */
  readonly file: string
  trace(messages: readonly Message[], addGenerationPrompt: boolean): Traced
}

/** A Unicode noncharacter, which no text holds: put into a content, it shows where that stands. */
const MARK = '\uFDD0'

/** Messages of a long dialogue. */
const LONG = 24

/** The beginning of a marker such as `<|im_start|>` or `[INST]` at the end of a text: two texts that part there part before it. */
const BROKEN_MARKER = /[<[{][^<>[\]{}\s]*$/

/** A block of thinking that a text opens. Where it goes on otherwise than the generation prompt, the model writes all of it. */
const THINKING = /<[^<>]*(?:think|thought|reason)[^<>]*>[^]*$/i

/**
 * The stretches of the assistant's turns.
 * @param learned for each message whether it is asked for
 * @throws InvalidDataError naming the message whose turn cannot be told
 */
export function assistantSpans(template: DialogueTemplate, messages: readonly Message[], learned: readonly boolean[]): Rendered {
  const dialogue = new Dialogue(template, messages)
  const wanted = messages.flatMap((_, index) => (learned[index] === true ? [index] : []))
  const spans = wanted.flatMap((index) => dialogue.turn(index) ?? [])
  return { text: dialogue.text, spans: dialogue.withoutForeign(spans) }
}

/**
 * All that a completion adds to its prompt, from the end of the generation prompt on.
 * @param learned for each message of the completion; turns that are not are left out
 * @throws InvalidDataError naming the message where it cannot be told
 */
export function completionSpans(
  template: DialogueTemplate,
  prompt: readonly Message[],
  completion: readonly Message[],
  learned: readonly boolean[],
): Rendered {
  const dialogue = new Dialogue(template, [...prompt, ...completion])
  const left = completion.flatMap((_, i) => (learned[i] === false ? (dialogue.turn(prompt.length + i) ?? []) : []))
  return { text: dialogue.text, spans: without([{ start: dialogue.start(prompt.length), end: dialogue.text.length }], left) }
}

/** Which of the stretches that a template marks itself belong to turns that are learned. */
export function taggedSpans(
  template: DialogueTemplate,
  messages: readonly Message[],
  { text, spans }: Rendered,
  learned: readonly boolean[],
): Rendered {
  const left = messages.flatMap((message, index) => (message.role === 'assistant' && learned[index] === false ? [index] : []))
  if (left.length === 0) return { text, spans }
  const dialogue = new Dialogue(template, messages)
  const turns = left.flatMap((index) => dialogue.whole(index) ?? [])
  return { text, spans: spans.filter(({ start }) => !turns.some((turn) => start >= turn.start && start < turn.end)) }
}

/**
 * The messages whose content does not reach the text: a template that takes texts alone prints the parts of a content as
 * Python would, or nothing, and one that takes parts goes through the letters of a text.
 */
export function lostContents(template: DialogueTemplate, messages: readonly Message[]): readonly number[] {
  const marked = withContents(messages, hasText, (content, index) => `${content}${MARK}${index}${MARK}`)
  let text: string
  try {
    text = template.trace(marked, false).text
  } catch (cause) {
    if (cause instanceof InvalidDataError) return []
    throw cause
  }
  return messages.flatMap((message, index) => (!hasText(message) || text.includes(`${MARK}${index}${MARK}`) ? [] : [index]))
}

class Dialogue {
  readonly text: string
  private readonly traced: Traced
  /** What the template writes to ask for a turn behind a message of a role. */
  private readonly known = new Map<string | undefined, readonly string[]>()
  private usualPrompts: readonly string[] | undefined
  /** The dialogue with other answers; null if the template refuses it. */
  private others: Traced | null | undefined

  constructor(
    private readonly template: DialogueTemplate,
    private readonly messages: readonly Message[],
  ) {
    this.traced = template.trace(messages, false)
    this.text = this.traced.text
  }

  /** The stretch of an assistant's turn; undefined where an empty turn leaves no trace. */
  turn(index: number): Span | undefined {
    const whole = this.whole(index)
    if (whole === undefined) return undefined
    const start = this.opening(index, whole)
    return start < whole.end ? { start, end: whole.end } : undefined
  }

  /** Where a completion that begins with this message begins. */
  start(index: number): number {
    const whole = this.whole(index)
    if (whole === undefined) throw this.undecided(index)
    return this.messages[index]!.role === 'assistant' ? this.opening(index, whole) : whole.start
  }

  /** A message with its opening and closing; the last one reaches to the end of the text. */
  whole(index: number): Span | undefined {
    const isLast = index === this.messages.length - 1
    const stretch = stretchOf(this.traced, index)
    if (stretch !== undefined) return isLast ? { start: stretch.start, end: this.text.length } : stretch
    if (this.traced.visits.length === 0) return this.search(index)
    if (isEmpty(this.messages[index]!)) return undefined
    throw this.undecided(index)
  }

  /** The end of the generation prompt, or of as much of it as the turn begins with. */
  private opening(index: number, whole: Span): number {
    const turn = this.text.slice(whole.start, whole.end)
    const before = this.messages[index - 1]?.role
    const known = this.known.get(before)?.find((prompt) => prompt !== '' && turn.startsWith(prompt))
    if (known !== undefined) return whole.start + known.length
    const prompts = this.prompts(index, before)
    const found = prompts.find((prompt) => turn.startsWith(prompt))
    if (found !== undefined && found !== '') return whole.start + found.length
    // Only what does not change with the content is opening.
    const fixed = longestCommon(turn, this.otherContent(index) ?? turn)
    for (const prompt of [...prompts, ...this.usual()]) {
      // Some templates part the turns with a newline that belongs to the next.
      const place = prompt === '' ? -1 : fixed.indexOf(prompt)
      if (place >= 0) return whole.start + place + prompt.length
    }
    const openings = prompts.map((prompt) => wholeMarkers(longestCommon(prompt, fixed)).replace(THINKING, '').length)
    return whole.start + Math.max(0, ...openings)
  }

  /**
   * What the template may write to ask for a turn, longest first. In long dialogues, what it writes behind a message of the
   * same role is taken for it, so that the time does not grow with the square of the length.
   */
  private prompts(index: number, before: string | undefined): readonly string[] {
    const known = this.known.get(before)
    if (known !== undefined && index > LONG) return known
    const found = this.promptsAfter(this.messages.slice(0, index)) ?? this.promptsAfter(this.messages) ?? []
    this.known.set(before, found)
    return found
  }

  /** What is written to ask for the answer to a question. */
  private usual(): readonly string[] {
    return (this.usualPrompts ??= this.promptsAfter([{ role: 'user', content: 'a' }]) ?? [])
  }

  /** What is written to ask for a turn: behind the loop, or more than is written without asking; undefined if it is refused. */
  private promptsAfter(messages: readonly Message[]): readonly string[] | undefined {
    const asked = this.attempt(messages, true)
    if (asked === undefined) return undefined
    const behind = asked.text.slice(Math.max(0, ...asked.visits.map(({ end }) => end)))
    if (asked.visits.length > 0 && behind.trim() !== '') return [behind]
    const plain = this.attempt(messages, false)?.text ?? ''
    const more = asked.text.slice(wholeMarkers(longestCommon(plain, asked.text)).length)
    return [...new Set(asked.visits.length === 0 ? [more] : [behind, more])].sort((a, b) => b.length - a.length)
  }

  private attempt(messages: readonly Message[], addGenerationPrompt: boolean): Traced | undefined {
    try {
      return this.template.trace(messages, addGenerationPrompt)
    } catch (cause) {
      // Some templates refuse dialogues without a question, or that end with an answer.
      if (cause instanceof InvalidDataError) return undefined
      throw cause
    }
  }

  /** The same turn with another content; undefined where that renders to no turn of its own. */
  private otherContent(index: number): string | undefined {
    this.others ??=
      this.attempt(
        withMarks(this.messages, ({ role }) => role === 'assistant'),
        false,
      ) ?? null
    const stretch = this.others === null ? undefined : stretchOf(this.others, index)
    return stretch && this.others!.text.slice(stretch.start, stretch.end)
  }

  /** Stretches without the pieces that come from messages which have no stretch of their own, such as the answers of tools. */
  withoutForeign(spans: readonly Span[]): readonly Span[] {
    const foreign = this.messages.flatMap((message, index) =>
      message.role === 'assistant' || isEmpty(message) || stretchOf(this.traced, index) !== undefined ? [] : [index],
    )
    if (this.traced.visits.length === 0 || spans.length === 0) return spans
    const others = this.messages.map(({ role }) => role !== 'assistant')
    const nested = this.traced.visits.filter((visit) => others[visit.index])
    return without(spans, [...nested, ...this.piecesOf(foreign)])
  }

  /** The pieces of the text that change with the contents of some messages. */
  private piecesOf(indices: readonly number[]): Span[] {
    const [first] = indices
    if (first === undefined) return []
    const changed = new Set(indices)
    const insert = (content: string): string => content.slice(0, 1) + MARK + content.slice(1)
    const marked = withContents(this.messages, (_, index) => changed.has(index), insert)
    const other = this.attempt(marked, false)
    const { pieces } = this.traced
    if (other === undefined || other.pieces.length !== pieces.length) throw this.undecided(first)
    let start = 0
    return pieces.flatMap((piece, i) => {
      const span = { start, end: (start += piece.length) }
      return piece === other.pieces[i] ? [] : [span]
    })
  }

  /** A turn of a template that does not loop over the messages: what stands before it is a prefix, or its content is marked. */
  private search(index: number): Span {
    const { messages, text } = this
    const before = this.attempt(messages.slice(0, index), false)?.text
    const through = this.attempt(messages.slice(0, index + 1), false)?.text
    if (before !== undefined && through !== undefined && text.startsWith(before) && text.startsWith(through))
      if (through.length > before.length) return { start: before.length, end: through.length }
    const isIt = (_: Message, i: number): boolean => i === index
    // Some templates render the turns before differently once others follow, or end the dialogue with a token of its own.
    const [head, tail, ...more] = this.attempt(withMarks(messages, isIt), false)?.text.split(MARK) ?? []
    const last = this.attempt(withMarks(messages.slice(0, index + 1), isIt), false)?.text.split(MARK)[1]
    if (head === undefined || tail === undefined || last === undefined || more.length > 0) throw this.undecided(index)
    const contentEnd = text.length - tail.length
    if (!text.startsWith(head) || !text.endsWith(tail) || contentEnd < head.length) throw this.undecided(index)
    const closing = text.startsWith(last, contentEnd) ? last : wholeMarkers(longestCommon(last, tail))
    const asked = this.attempt(messages.slice(0, index), true)?.text
    const prompt = asked?.slice(wholeMarkers(longestCommon(before ?? '', asked)).length) ?? ''
    const place = head.lastIndexOf(prompt)
    if (place < 0 || (closing === '' && tail !== '')) throw this.undecided(index)
    return { start: place, end: contentEnd + closing.length }
  }

  private undecided(index: number): InvalidDataError {
    const what = this.messages[index]!.role === 'assistant' ? "the assistant's part" : 'the part of others'
    return new InvalidDataError(
      `${this.template.file}: the chat template renders message ${index} so that ${what} cannot be told. ` +
        `Put {% generation %} tags around the assistant's text in the template, or give rows of "prompt" and "completion" as texts.`,
    )
  }
}

/** What loops wrote for a message: the one stretch that is more than white space; undefined if there is none, or several. */
function stretchOf({ text, visits }: Traced, index: number): Span | undefined {
  const own = visits.filter((visit) => visit.index === index && text.slice(visit.start, visit.end).trim() !== '')
  return own.length === 1 ? own[0] : undefined
}

/** Messages with the texts of some of their contents changed, in their parts where they have parts. */
function withContents(
  messages: readonly Message[],
  isChanged: (message: Message, index: number) => boolean,
  change: (content: string, index: number) => string,
): readonly Message[] {
  return messages.map((message, index) => {
    if (!isChanged(message, index)) return message
    const { content } = message
    if (!Array.isArray(content)) return { ...message, content: change(typeof content === 'string' ? content : '', index) }
    const parts = content as readonly Readonly<Record<string, unknown>>[]
    const changed = parts.map((part) =>
      typeof part['text'] === 'string' ? { ...part, text: change(part['text'], index) } : part,
    )
    return { ...message, content: changed }
  })
}

/** Messages with a mark in the place of some contents. */
const withMarks = (messages: readonly Message[], isMarked: (message: Message, index: number) => boolean): readonly Message[] =>
  withContents(messages, isMarked, () => MARK)

const isEmpty = ({ content }: Message): boolean =>
  content === undefined || content === null || content.length === 0 || (typeof content === 'string' && content.trim() === '')

/** Whether a content has a text that is more than white space. */
function hasText(message: Message): boolean {
  const { content } = message
  if (!Array.isArray(content)) return !isEmpty(message)
  return content.some(({ text }: Readonly<Record<string, unknown>>) => typeof text === 'string' && text.trim() !== '')
}

function longestCommon(a: string, b: string): string {
  let length = 0
  while (length < a.length && length < b.length && a[length] === b[length]) length++
  return a.slice(0, length)
}

/** A common beginning without the beginning of a marker at its end. */
const wholeMarkers = (common: string): string => common.replace(BROKEN_MARKER, '')

/** Stretches without others. */
function without(spans: readonly Span[], holes: readonly Span[]): readonly Span[] {
  let left = [...spans]
  for (const hole of holes)
    left = left.flatMap(({ start, end }) =>
      hole.end <= start || hole.start >= end
        ? [{ start, end }]
        : [
            { start, end: Math.min(end, hole.start) },
            { start: Math.max(start, hole.end), end },
          ].filter((rest) => rest.start < rest.end),
    )
  return left
}
