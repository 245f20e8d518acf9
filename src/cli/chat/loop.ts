/** @file Lines in, answers out, until there are no more lines. */
import { LowrankError } from '../../errors.js'
import type { Output } from '../flags.js'
import type { Conversation } from './conversation.js'

/** Where lines come from. */
export interface Lines {
  /** The next line, where a prompt may be shown; undefined at the end. */
  next(prompt: string): Promise<string | undefined>
  /** Calls back when whoever types wants something to stop; gives what takes that back. */
  onStop(stop: () => void): () => void
}

/** Answers line by line. What is wrong with one is told, and the next is waited for. */
export async function chatLoop(conversation: Conversation, lines: Lines, output: Output): Promise<void> {
  const { color, json } = output
  for (;;) {
    const line = await lines.next(`${color.bold(conversation.speaker ?? '')}> `)
    if (line === undefined) return
    if (line.trim() === '') continue
    const taken = conversation.take(line)
    if (taken.kind === 'quit') return
    if (taken.kind === 'told') for (const each of taken.note.split('\n')) output.note(color.dim(each))
    else await answer(conversation, taken.text, lines, output)
  }

  async function answer(
    { speaker }: Conversation,
    text: string,
    source: Lines,
    { write, print, printJson, note }: Output,
  ): Promise<void> {
    const stopped = new AbortController()
    const done = source.onStop(() => stopped.abort())
    try {
      const stream = conversation.answer(text, stopped.signal)
      let next = await stream.next()
      for (; next.done !== true; next = await stream.next()) if (!json) write(next.value)
      const { text: content, finishReason } = next.value
      if (json) return printJson({ role: 'assistant', content, adapter: speaker ?? null, finishReason })
      print('')
      if (finishReason === 'length') note(color.dim('(cut off: --max-new-tokens, or the model has no more positions)'))
      if (finishReason === 'aborted') note(color.dim('(stopped)'))
    } catch (error) {
      if (!(error instanceof LowrankError)) throw error
      note(color.yellow(`error: ${error.message}`))
    } finally {
      done()
    }
  }
}
