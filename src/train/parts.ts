/** @file A batch in parts of similar length: what one run of the graph sees. */
import type { Batch } from '../data/batch.js'
import type { HostTensor } from '../graph/types.js'
import { IGNORED_LABEL } from '../losses/causal-lm.js'

/** What the model reads of a batch, all int64 [rows, width]. */
export type BatchTensors = Pick<Batch, 'inputIds' | 'attentionMask' | 'positionIds' | 'labels'>

/**
 * Positions of one part, rows times longest row: enough for matrix products to run at full speed, and few enough for
 * attention's [rows, heads, width, width] arrays to stay in the processor's caches. Measured on two cores with a tiny
 * model, 512 to 1,536 are equally fast and 256 a tenth slower; the fewest of the fast ones take the least memory.
 */
export const POSITIONS_PER_PART = 512

const keys = ['inputIds', 'attentionMask', 'positionIds', 'labels'] as const
const numbers = (tensor: HostTensor): BigInt64Array => tensor.data as BigInt64Array

/** Length of every row without the padding behind it. */
function rowLengths({ attentionMask, labels }: BatchTensors): number[] {
  const [rows, width] = attentionMask.shape as [number, number]
  const [mask, label] = [numbers(attentionMask), numbers(labels)]
  return Array.from({ length: rows }, (_, row) => {
    let length = width
    while (length > 1 && mask[row * width + length - 1] === 0n && label[row * width + length - 1] === BigInt(IGNORED_LABEL))
      length--
    return length
  })
}

/** The rows of a tensor, in the given order, cut to `width` or filled up to it. */
function takeRows(tensor: HostTensor, rows: readonly number[], width: number, fill: number): HostTensor {
  const full = tensor.shape[1]!
  const data = new BigInt64Array(rows.length * width).fill(BigInt(fill))
  rows.forEach((row, i) => data.set(numbers(tensor).subarray(row * full, row * full + Math.min(width, full)), i * width))
  return { dtype: 'int64', shape: [rows.length, width], data }
}

/**
 * Cuts a batch into parts whose rows are of similar length. The loss is a sum over tokens, so the sum over the parts is
 * the loss of the batch, and so is that of the gradients; but no row is padded to the longest of the whole batch, and
 * memory no longer grows with the number of rows.
 *
 * Only padding behind the rows is cut off. The parts are a function of the batch alone: the same run stays the same.
 *
 * @param minimum shortest row that the graph takes; shorter parts get padding
 */
export function batchParts(batch: BatchTensors, positions = POSITIONS_PER_PART, minimum = 1): BatchTensors[] {
  const lengths = rowLengths(batch)
  const longestFirst = lengths.map((_, row) => row).sort((a, b) => lengths[b]! - lengths[a]! || a - b)
  const parts: BatchTensors[] = []
  for (let start = 0; start < longestFirst.length;) {
    const width = Math.max(minimum, lengths[longestFirst[start]!]!)
    const count = Math.max(1, Math.floor(positions / width))
    const rows = longestFirst.slice(start, start + count)
    const part = Object.fromEntries(
      keys.map((key) => [key, takeRows(batch[key], rows, width, key === 'labels' ? IGNORED_LABEL : 0)]),
    ) as Record<(typeof keys)[number], HostTensor>
    parts.push(part)
    start += count
  }
  return parts
}
