/** @file In which order rows are seen: reproducible from seed and epoch alone, so a run can go on from any batch. */
import { Random } from '../util/rng.js'

/** Batches in one window of bucketing: rows of similar length meet within it. */
export const BUCKET_WINDOW = 50

/** Where the data goes on: the epoch and the batch within it, both counted from 0. Plain JSON. */
export interface Position {
  readonly epoch: number
  readonly batch: number
}

/** Row numbers 0 … length - 1 as the epoch sees them: in file order, or shuffled anew each epoch. */
export function epochOrder(
  length: number,
  options: { readonly shuffle: boolean; readonly seed: number; readonly epoch: number },
): Uint32Array {
  const order = Uint32Array.from({ length }, (_, index) => index)
  return options.shuffle ? Random.derive(options.seed, 'order', options.epoch).shuffle(order) : order
}

/**
 * Splits a window of items into batches of similar length.
 * Items are sorted by length and cut; the batches are then shuffled, so that training meets short and long ones mixed.
 * A short last batch stays last, so that only the window's end is incomplete.
 */
export function bucket<T>(
  items: readonly T[],
  lengthOf: (item: T) => number,
  batchSize: number,
  random: Random | undefined,
): T[][] {
  const sorted = items
    .map((item, index) => ({ item, index, length: lengthOf(item) }))
    .sort((a, b) => a.length - b.length || a.index - b.index)
  const batches: T[][] = []
  for (let start = 0; start < sorted.length; start += batchSize)
    batches.push(sorted.slice(start, start + batchSize).map(({ item }) => item))
  const rest = (batches.at(-1)?.length ?? batchSize) < batchSize ? batches.splice(-1) : []
  random?.shuffle(batches)
  return [...batches, ...rest]
}

/** Rows in the order they are packed, and the places in it where each packed row begins; the last place is the end. */
export interface Packs {
  readonly order: Uint32Array
  readonly starts: Uint32Array
}

/**
 * Fills packed rows with rows in order, or shuffled once; a row that does not fit opens the next.
 * @param lengths positions of each row; 0 of one that is left out
 * @param capacity most positions of a packed row
 */
export function packRows(
  lengths: Uint32Array,
  capacity: number,
  { shuffle, seed }: { readonly shuffle: boolean; readonly seed: number },
): Packs {
  const order = epochOrder(lengths.length, { shuffle: false, seed, epoch: 0 })
  if (shuffle) Random.derive(seed, 'packing').shuffle(order)
  const starts: number[] = []
  let used = Infinity
  order.forEach((index, place) => {
    const length = lengths[index]!
    if (length > 0 && used + length > capacity) {
      starts.push(place)
      used = 0
    }
    used += length
  })
  return { order, starts: Uint32Array.from([...starts, order.length]) }
}
