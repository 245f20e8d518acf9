/** @file Texts of several prompts continued together, in a batch of which each leaves when it ends. */
import type { HostTensor } from '../graph/types.js'
import { rowsOf } from '../adapters/serving/serving.js'
import type { DecodeSession, OnLogits } from './decode-session.js'
import type { GenerateEvent } from './generation.js'
import type { PromptLogprobs } from './logprobs.js'
import type { RunningText } from './running-text.js'

type Tensors = Readonly<Record<string, HostTensor>>

/** A prompt, and the texts that continue it. */
export interface ContinuedPrompt {
  readonly prompt: readonly number[]
  /** Most tokens that may follow. */
  readonly limit: number
  readonly texts: readonly RunningText[]
  /** Told of the prompt while it is read, where its tokens are scored. */
  readonly scores?: PromptLogprobs
}

/** A token of one of the texts. */
export interface BatchEvent {
  /** The prompt's place among them. */
  readonly row: number
  readonly event: GenerateEvent
}

/** A text, and the row of the last pass that it follows. */
interface Place {
  readonly row: number
  readonly text: RunningText
  readonly from: number
}

/**
 * Continues the texts until each has ended. A prompt is read once, however many texts follow it.
 * @param given the adapters' tensors; those by row have a row for each prompt
 * @param signal ends them all
 * @returns milliseconds that the model took; what the reader does between two tokens is no time of the model's
 */
export async function* continueTexts(
  session: DecodeSession,
  prompts: readonly ContinuedPrompt[],
  given: Tensors,
  signal: AbortSignal | undefined,
  now: () => number,
): AsyncGenerator<BatchEvent, number> {
  const longest = Math.max(...prompts.map(({ prompt }) => prompt.length))
  const padding = prompts.map(({ prompt }) => longest - prompt.length)
  const cache = session.newBatchCache(padding, Math.max(...prompts.map(({ prompt, limit }) => prompt.length + limit)))
  let tokens = prompts.map(({ prompt }, i) => [...new Array<number>(padding[i]!).fill(prompt[0]!), ...prompt])
  let places = prompts.flatMap(({ texts }, row): Place[] => texts.map((text) => ({ row, text, from: row })))
  let tensors = given
  let spent = 0
  if (signal?.aborted === true) for (const { text } of places) text.abort()
  places = places.filter(({ text }) => text.running)
  const score: OnLogits | undefined = prompts.some(({ scores }) => scores !== undefined)
    ? (row, slot, logits) => prompts[row]!.scores?.read(slot - padding[row]!, logits)
    : undefined
  for (
    let isPrompt = true;
    places.length > 0 || (isPrompt && score !== undefined && signal?.aborted !== true);
    isPrompt = false
  ) {
    const started = now()
    const logits = await session.runRows(tokens, cache, tensors, isPrompt ? score : undefined)
    const width = logits.length / tokens.length
    const events: BatchEvent[] = []
    for (const { row, text, from } of places) {
      const own = logits.subarray(from * width, (from + 1) * width)
      // Texts of one prompt have their first token from the same logits, which each changes.
      const event = text.advance(isPrompt ? own.slice() : own)
      if (event !== undefined) events.push({ row, event })
    }
    spent += now() - started
    yield* events
    const resumed = now()
    if (signal?.aborted === true) for (const { text } of places) text.abort()
    const going = places.filter(({ text }) => text.running)
    const sources = going.map(({ from }) => from)
    if (going.length > 0 && (sources.length !== tokens.length || sources.some((from, i) => from !== i))) {
      cache.select(sources)
      tensors = rowsOf(tensors, sources)
    }
    places = going.map(({ row, text }, from) => ({ row, text, from }))
    tokens = places.map(({ text }) => [text.ids.at(-1)!])
    spent += now() - resumed
  }
  return spent
}
