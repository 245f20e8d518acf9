/** @file Beam searches of several prompts in one batch, whose rows are all running beams of all of them. */
import { rowsOf } from '../adapters/serving/serving.js'
import type { HostTensor } from '../graph/types.js'
import type { DecodeSession } from './decode-session.js'
import type { RunningBeam, TextSearch } from './text-search.js'

type Tensors = Readonly<Record<string, HostTensor>>

/** A search and the prompt that it continues. */
export interface Search {
  readonly prompt: readonly number[]
  readonly limit: number
  readonly beams: TextSearch
}

/** A row of the batch. */
interface Row {
  readonly search: Search
  readonly beam: RunningBeam
}

/**
 * Runs the searches until all have ended or the signal says so.
 * @param given the adapters' tensors; those by row have a row for each search
 * @returns milliseconds that the model took
 */
export async function continueBeams(
  session: DecodeSession,
  searches: readonly Search[],
  given: Tensors,
  signal: AbortSignal | undefined,
  now: () => number,
): Promise<number> {
  const longest = Math.max(...searches.map(({ prompt }) => prompt.length))
  const padding = searches.map(({ prompt }) => longest - prompt.length)
  const cache = session.newBatchCache(padding, Math.max(...searches.map(({ prompt, limit }) => prompt.length + limit)))
  let rows = searches.map((search): Row => ({ search, beam: search.beams.running[0]! }))
  let tensors = given
  let tokens: (readonly number[])[] = searches.map(({ prompt }, i) => [
    ...new Array<number>(padding[i]!).fill(prompt[0]!),
    ...prompt,
  ])
  let spent = 0
  while (rows.length > 0 && signal?.aborted !== true) {
    const started = now()
    const logits = await session.runRows(tokens, cache, tensors)
    const width = logits.length / rows.length
    const sources: number[] = []
    const next: Row[] = []
    for (const search of new Set(rows.map((row) => row.search))) {
      const first = rows.findIndex((row) => row.search === search)
      const count = search.beams.running.length
      const ofBeams = Array.from({ length: count }, (_, i) => logits.subarray((first + i) * width, (first + i + 1) * width))
      sources.push(...search.beams.advance(ofBeams).map((from) => first + from))
      next.push(...search.beams.running.map((beam) => ({ search, beam })))
    }
    const before = rows
    cache.select(sources, (to, from) => sharedSlots(before[to]!, before[from]!, longest))
    tensors = rowsOf(tensors, sources)
    rows = next
    tokens = rows.map(({ beam }) => [beam.ids.at(-1)!])
    spent += now() - started
  }
  return spent
}

/** Slots of the cache that two rows have in common: the prompt, which fills `prompt` of them, and the tokens that both begin with. */
function sharedSlots(a: Row, b: Row, prompt: number): number {
  if (a.search !== b.search) return 0
  const differing = a.beam.ids.findIndex((id, i) => id !== b.beam.ids[i])
  return prompt + (differing < 0 ? a.beam.ids.length : differing)
}
