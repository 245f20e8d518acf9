/**
 * @file How a model writes the calls of tools: as its chat template does. The template is given a dialogue with calls of known names and
 * arguments, and what it makes of them is the format, whatever family the model is of: Hermes' and Qwen's `<tool_call>`, Llama's
 * bare JSON, Mistral's `[TOOL_CALLS]`, DeepSeek's and Phi's marks.
 */
import type { Message } from '../data/messages.js'
import type { Tokenizer } from '../data/tokenizer.js'
import { InvalidDataError, LowrankError } from '../errors.js'

/** The texts around the parts of calls. */
export interface ToolCallFormat {
  /** Before the name of the first call. */
  readonly head: string
  /** Between a name and its arguments, which are an object of JSON. */
  readonly between: string
  /** Between the arguments of a call and the name of the next; undefined where an answer has one call. */
  readonly next: string | undefined
  /** Behind the arguments of the last call. */
  readonly tail: string
  /** Whether the template takes the arguments as text; others write an object as JSON. */
  readonly argumentsAsText: boolean
  /** Whether the template takes no ids but those of nine letters and digits. */
  readonly shortIds: boolean
}

/** Stands in a format for the id of a call. */
export const ID_MARK = '\u0000'

const [FIRST, SECOND] = ['probe_first', 'probe_second']
const [FIRST_ID, SECOND_ID] = ['probe0001', 'probe0002']
const LONG_ID = 'call_probe_of_more_than_nine'
const ARGUMENTS = { probe_key: 'probe value' }
const WRITTEN = '{"probe_key": "probe value"}'

const QUESTION: Message = { role: 'user', content: 'probe question' }

const tool = (name: string) => ({
  type: 'function',
  function: {
    name,
    description: 'A probe.',
    parameters: { type: 'object', properties: { probe_key: { type: 'string', description: 'A key.' } }, required: ['probe_key'] },
  },
})
const tools = [tool(FIRST), tool(SECOND)]

const call = (name: string, id: string, asText: boolean) => ({
  id,
  type: 'function',
  function: { name, arguments: asText ? JSON.stringify(ARGUMENTS).replace(':', ': ') : ARGUMENTS },
})

const known = new WeakMap<Tokenizer, ToolCallFormat | LowrankError>()

/**
 * The format of a model's tool calls.
 * @throws InvalidDataError if the model has no chat template, one that takes no tools, or one that writes calls otherwise than as a name
 * and an object of JSON
 */
export function toolCallFormat(tokenizer: Tokenizer): ToolCallFormat {
  let found = known.get(tokenizer)
  if (found === undefined) {
    try {
      found = readFormat(tokenizer)
    } catch (error) {
      if (!(error instanceof LowrankError)) throw error
      found = error
    }
    known.set(tokenizer, found)
  }
  if (found instanceof LowrankError) throw found
  return found
}

function readFormat(tokenizer: Tokenizer): ToolCallFormat {
  const { folder } = tokenizer
  const refuse = (what: string): never => {
    throw new InvalidDataError(
      `${folder}: ${what}, so that it is not known how the model calls tools; leave tools out, or use a model whose chat template has them.`,
    )
  }
  if (!tokenizer.templateMentions('tools', { tools })) refuse('the chat template takes no tools')
  const render = (calls: readonly object[], addGenerationPrompt = false): string | undefined => {
    // Some templates want a content beside calls, some want none.
    for (const content of ['', null, undefined])
      try {
        const answer = { role: 'assistant', ...(content !== undefined && { content }), tool_calls: calls }
        return tokenizer.applyChatTemplate(addGenerationPrompt ? [QUESTION] : [QUESTION, answer], {
          addGenerationPrompt,
          variables: { tools },
        })
      } catch (error) {
        if (!(error instanceof InvalidDataError)) throw error
      }
    return undefined
  }
  const prompt = render([], true)
  for (const argumentsAsText of [false, true]) {
    const one = render([call(FIRST, FIRST_ID, argumentsAsText)])
    if (prompt === undefined || one === undefined) continue
    const answer = withoutPrompt(one, prompt)
    const [name, written] = [answer.indexOf(FIRST), answer.indexOf(WRITTEN)]
    // What takes an object and writes it otherwise has a language of its own.
    if (name < 0 || written < name) break
    const both = render([call(FIRST, FIRST_ID, argumentsAsText), call(SECOND, SECOND_ID, argumentsAsText)])
    const mark = (text: string): string => text.replaceAll(FIRST_ID, ID_MARK).replaceAll(SECOND_ID, ID_MARK)
    return {
      head: mark(withoutThoughts(answer.slice(0, name))),
      between: mark(answer.slice(name + FIRST.length, written)),
      next: both === undefined ? undefined : between(both, mark),
      tail: mark(withoutEnd(answer.slice(written + WRITTEN.length), tokenizer)),
      argumentsAsText,
      shortIds: render([call(FIRST, LONG_ID, argumentsAsText)]) === undefined,
    }
  }
  return refuse('its chat template does not write calls of tools as a name and an object of JSON')
}

/** What stands between the first call's arguments and the second's name. */
function between(both: string, mark: (text: string) => string): string | undefined {
  const start = both.indexOf(WRITTEN, both.lastIndexOf(FIRST))
  const end = both.indexOf(SECOND, start)
  return start < 0 || end < 0 ? undefined : mark(both.slice(start + WRITTEN.length, end))
}

/** An answer as it is written behind the prompt; some prompts begin it with more than the template keeps. */
function withoutPrompt(text: string, prompt: string): string {
  let common = 0
  while (common < prompt.length && text[common] === prompt[common]) common++
  return text.slice(common)
}

/** Templates of models that think write an empty thought before a call. */
const withoutThoughts = (head: string): string => head.replace(/^.*<\/think>\s*/s, '').trimStart()

/** Up to what ends the turn. */
function withoutEnd(tail: string, tokenizer: Tokenizer): string {
  const ends = tokenizer.eosTokenIds.map((id) => tail.indexOf(tokenizer.decode([id]))).filter((at) => at >= 0)
  if (ends.length > 0) return tail.slice(0, Math.min(...ends)).trimEnd()
  // A turn of words alone ends with the same.
  const text = 'probe answer'
  const plain = tokenizer.applyChatTemplate([QUESTION, { role: 'assistant', content: text }], { variables: { tools } })
  const end = plain.slice(plain.lastIndexOf(text) + text.length)
  return (end !== '' && tail.endsWith(end) ? tail.slice(0, -end.length) : tail).trimEnd()
}
