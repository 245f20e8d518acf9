/** @file The rows of a batch that one of several processes works on. */
import type { Batch } from '../data/batch.js'
import type { Communicator } from '../distributed/communicator.js'
import { takeRows } from '../graph/take-rows.js'
import { rowsByLength } from './sub-batches.js'

/**
 * Deals the rows of a batch out to the processes, longest first, so that all have as much to do. A batch with fewer rows
 * than processes leaves some without any: their shard has none, and adds nothing to a sum.
 *
 * Labelled units are counted once, in the shard of process 0, so that the counts of the shards add up to the batch's.
 */
export function batchShard(batch: Batch, { rank, size }: Pick<Communicator, 'rank' | 'size'>): Batch {
  if (size === 1) return batch
  const rows = rowsByLength(batch)
    .filter((_, place) => place % size === rank)
    .flat()
  return {
    ...batch,
    feeds: Object.fromEntries(Object.entries(batch.feeds).map(([name, tensor]) => [name, takeRows(tensor, rows)])),
    lengths: rows.map((row) => batch.lengths[row]!),
    rows: rows.length,
    tokens: rank === 0 ? batch.tokens : 0,
  }
}
