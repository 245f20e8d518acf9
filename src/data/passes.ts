/** @file A batch in which every row stands twice, to be learned from in two passes; tokens of the second may be cut off. */
import { takeRows } from '../graph/take-rows.js'
import { Random } from '../util/rng.js'
import type { Batch } from './batch.js'

/** Field of a row that says what each of its tokens becomes when it is cut off: itself where it must stay. */
export const CUT_TOKENS = 'cut_tokens'

/**
 * The rows of a batch twice, both copies one behind the other, which stay together.
 * @param share probability that a token of the second copy becomes what its row's {@link CUT_TOKENS} says
 */
export function inTwoPasses(batch: Batch, share: number, seed: number): Batch {
  const rows = Array.from({ length: 2 * batch.rows }, (_, i) => i >> 1)
  const { [CUT_TOKENS]: cut, ...others } = batch.feeds
  const feeds = Object.fromEntries(Object.entries(others).map(([name, tensor]) => [name, takeRows(tensor, rows)]))
  if (cut !== undefined) {
    const random = Random.derive(seed, 'cut-off')
    const width = cut.shape[1]!
    const ids = feeds['input_ids']!.data as BigInt64Array
    for (let row = 0; row < batch.rows; row++)
      for (let i = 0; i < width; i++)
        if (random.uniform() < share) ids[(2 * row + 1) * width + i] = (cut.data as BigInt64Array)[row * width + i]!
  }
  const { [CUT_TOKENS]: _, ...padding } = batch.padding
  return { ...batch, feeds, padding, lengths: rows.map((row) => batch.lengths[row]!), rows: rows.length, group: 2 }
}
