/** @file What a pass over rows costs: its batches as a run forms them, told from the lengths of rows alone. */
import { bucket, BUCKET_WINDOW, epochOrder, packRows } from '../data/order.js'
import type { BatchOptions } from '../data/dataset.js'
import { Random } from '../util/rng.js'
import { subBatchRows } from '../train/sub-batches.js'
import type { EpochCost } from './data-inspection.js'

/** Rows by what they take of a batch. */
export interface RowLengths {
  /** Positions of each row, of a pair of the longer text; 0 of one that is left out. */
  readonly lengths: Uint32Array
  /** Positions of each of its texts, where every row has two. */
  readonly texts: readonly [Uint32Array, Uint32Array] | undefined
  /** Positions that hold something, over all rows. */
  readonly tokens: number
}

export interface CostOptions {
  readonly batches: BatchOptions
  readonly gradAccum: number
  /** Of several examples that share a row; undefined where they cannot. */
  readonly capacity: number | undefined
  /** Texts of an example that stay together in a sub-batch; 1 where it has one. */
  readonly group: number
  /** Positions of a sub-batch; undefined where a batch is run as a whole. */
  readonly subBatch: number | undefined
  /** Shortest row that the graph takes. */
  readonly minimum: number
}

/** The rows of each batch of an epoch, packed ones as the examples of each. */
function* batchesOf(lengths: Uint32Array, epoch: number, { batches, capacity }: CostOptions): Generator<Uint32Array[]> {
  const { batchSize, shuffle = false, seed = 0, bucket: isBucketed = false, packing = false } = batches
  if (packing) {
    const { order, starts } = packRows(lengths, capacity ?? 0, { shuffle, seed })
    const packs = epochOrder(starts.length - 1, { shuffle, seed, epoch })
    for (let start = 0; start < packs.length; start += batchSize)
      yield Array.from(packs.subarray(start, start + batchSize), (pack) => order.subarray(starts[pack], starts[pack + 1]))
    return
  }
  const order = epochOrder(lengths.length, { shuffle, seed, epoch })
  const size = isBucketed ? BUCKET_WINDOW * batchSize : batchSize
  for (let start = 0; start < order.length; start += size) {
    const rows = [...order.subarray(start, start + size)].filter((row) => lengths[row]! > 0)
    if (!isBucketed) yield rows.map((row) => Uint32Array.of(row))
    else {
      const random = shuffle ? Random.derive(seed, 'bucket', epoch, start / size) : undefined
      for (const batch of bucket(rows, (row) => lengths[row]!, batchSize, random)) yield batch.map((row) => Uint32Array.of(row))
    }
  }
}

/** @param epoch counted from 0: each has an order of its own */
export function epochCost({ lengths, texts, tokens }: RowLengths, epoch: number, options: CostOptions): EpochCost {
  const { batches, gradAccum, group, subBatch, minimum } = options
  const slots = batches.packing === true ? 0 : Math.ceil(lengths.length / batches.batchSize)
  let count = 0
  let positions = 0
  for (const rows of batchesOf(lengths, epoch, options)) {
    count++
    if (rows.length === 0) continue
    const taken = rows.flatMap((examples) =>
      texts === undefined ? [examples.reduce((sum, row) => sum + lengths[row]!, 0)] : texts.map((of) => of[examples[0]!]!),
    )
    if (subBatch === undefined) positions += taken.length * Math.max(...taken)
    else for (const part of subBatchRows({ lengths: taken, group }, subBatch, minimum)) positions += part.rows.length * part.width
  }
  // A batch of rows that are all left out is none, but its place in the order counts.
  const all = Math.max(count, slots)
  return {
    batches: all,
    steps: Math.ceil(all / gradAccum),
    tokens,
    positions,
    padding: positions === 0 ? 0 : Math.max(0, 1 - tokens / positions),
  }
}
