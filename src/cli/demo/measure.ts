/** @file What the demo measures: loss, facts stated, sentences exactly right, and how far two models' logits lie apart. */
import { neededTokenizer } from '../../data/needed-tokenizer.js'
import type { Model } from '../../model/model.js'
import { tensor } from '../../graph/constants.js'
import { Adapter, evaluate, generate } from '../../index.js'
import { factsStated, type DemoRow } from './rows.js'

export interface Score {
  /** Mean over the tokens of the completions. */
  readonly loss: number
  /** Share of all rows' facts that the greedy texts state. */
  readonly facts: number
  /** Share of rows whose greedy text is the completion, letter for letter. */
  readonly exact: number
  /** The greedy texts, in the order of the rows. */
  readonly texts: readonly string[]
}

/**
 * Scores a model, or a model with an adapter, on rows.
 * @param file the same rows as JSONL, for the loss
 * @param progress told before each text how many are done
 */
export async function score(
  subject: Model | Adapter,
  rows: readonly DemoRow[],
  file: string,
  progress: (done: number) => void = () => undefined,
): Promise<Score> {
  const { loss } = await evaluate(subject, { data: file, batchSize: 16 })
  const texts: string[] = []
  for (const row of rows) {
    progress(texts.length)
    texts.push((await generate(subject, { prompt: row.prompt, maxNewTokens: 96 })).text)
  }
  const total = rows.reduce((sum, row) => sum + row.facts.length, 0)
  const stated = rows.reduce((sum, row, i) => sum + factsStated(row, texts[i] as string), 0)
  const exact = rows.filter((row, i) => row.completion === texts[i]).length
  return { loss, facts: stated / total, exact: exact / rows.length, texts }
}

/**
 * Logits of every position of some texts, one after the other. The model is an ordinary graph with named inputs, so this
 * is all it takes to run it by hand.
 */
export async function logitsOf(subject: Model | Adapter, texts: readonly string[]): Promise<Float32Array[]> {
  const model = subject instanceof Adapter ? subject.model : subject
  const tokenizer = neededTokenizer(await model.tokenizer(), model.path)
  const built = model.build({ mode: 'full' })
  const graph = subject instanceof Adapter ? subject.attach(built.graph).graph : built.graph
  const session = await model.environment.runtime.createSession(graph)
  const trained = subject instanceof Adapter ? Object.fromEntries(subject.tensors) : {}
  try {
    const results: Float32Array[] = []
    for (const text of texts) {
      const ids = tokenizer.encode(text)
      const row = (values: readonly number[]) => tensor('int64', [1, ids.length], values)
      const feeds = {
        ...{ input_ids: row(ids), attention_mask: row(ids.map(() => 1)), position_ids: row(ids.map((_, i) => i)) },
        ...trained,
      }
      const { logits } = await session.run(feeds)
      results.push(logits?.data as Float32Array)
    }
    return results
  } finally {
    await session.release()
  }
}

/** Largest absolute difference between two lists of arrays of the same lengths. */
export function largestDifference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  let largest = 0
  a.forEach((array, i) => array.forEach((value, j) => (largest = Math.max(largest, Math.abs(value - (b[i]?.[j] ?? NaN))))))
  return largest
}
