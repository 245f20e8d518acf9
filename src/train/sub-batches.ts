/** @file A batch as sub-batches, rows of similar length: what one run of the graph sees. */
import type { Batch } from '../data/batch.js'
import type { Device } from '../runtime/runtime.js'
import { filledLike, takeRows, type Numbers } from '../graph/take-rows.js'
import { elementCount, type HostTensor } from '../graph/types.js'

/** What a graph reads of a batch. */
export type BatchTensors = Pick<Batch, 'feeds' | 'padding' | 'lengths' | 'group'>

/**
 * Positions of one sub-batch, rows times longest row: enough for matrix products to run at full speed, and few enough for
 * attention's [rows, heads, width, width] arrays to stay in the processor's caches. Measured on two cores with a tiny
 * model, 512 to 1,536 are equally fast and 256 a tenth slower; the fewest of the fast ones take the least memory.
 */
const POSITIONS_PER_SUB_BATCH = 512

/**
 * A GPU gets every operator from the CPU, which takes as long for any number of positions: a step of 1,024 positions of
 * GPT-2 takes an H200 9 % less in one sub-batch than in two.
 */
const POSITIONS_PER_SUB_BATCH_ON_GPU = 1024

/** Positions of one sub-batch on a device. */
export const positionsPerSubBatch = (device: Device): number =>
  device === 'webgpu' ? POSITIONS_PER_SUB_BATCH_ON_GPU : POSITIONS_PER_SUB_BATCH

/** The rows of a tensor with a second axis of positions, in the given order, cut to `width` positions or filled up to it. */
function takePositions({ dtype, shape, data }: HostTensor, rows: readonly number[], width: number, fill: number): HostTensor {
  const [full, inner] = [shape[1]!, elementCount(shape.slice(2))]
  const taken = filledLike(data, rows.length * width * inner, fill)
  const used = Math.min(width, full) * inner
  rows.forEach((row, i) =>
    taken.set((data as Numbers).subarray(row * full * inner, row * full * inner + used), i * width * inner),
  )
  return { dtype, shape: [rows.length, width, ...shape.slice(2)], data: taken }
}

/** The rows of a batch, those together that must stay so, the longest first. */
export function rowsByLength({ lengths, group = 1 }: Pick<Batch, 'lengths' | 'group'>): number[][] {
  const longest = Array.from({ length: lengths.length / group }, (_, i) => Math.max(...lengths.slice(i * group, (i + 1) * group)))
  const longestFirst = longest.map((_, i) => i).sort((a, b) => longest[b]! - longest[a]! || a - b)
  return longestFirst.map((i) => Array.from({ length: group }, (_, k) => i * group + k))
}

/** Rows of a batch that are run together, and how many positions each of them is given. */
interface SubBatchRows {
  readonly rows: readonly number[]
  readonly width: number
}

/** Which rows of a batch make a sub-batch; see {@link splitBatch}. */
export function subBatchRows(
  { lengths, group = 1 }: Pick<Batch, 'lengths' | 'group'>,
  positions: number,
  minimum = 1,
): SubBatchRows[] {
  const groups = rowsByLength({ lengths, group })
  const subBatches: SubBatchRows[] = []
  for (let start = 0; start < groups.length;) {
    const width = Math.max(minimum, ...groups[start]!.map((row) => lengths[row]!))
    const count = Math.max(1, Math.floor(positions / (width * group)))
    subBatches.push({ rows: groups.slice(start, start + count).flat(), width })
    start += count
  }
  return subBatches
}

/**
 * Cuts a batch into sub-batches whose rows are of similar length. The loss is a sum over rows, so the sum over them is
 * the loss of the batch, and so is that of the gradients; but no row is padded to the longest of the whole batch, and
 * memory no longer grows with the number of rows.
 *
 * Only padding behind the rows is cut off. The sub-batches are a function of the batch alone: the same run stays the same.
 *
 * @param minimum shortest row that the graph takes; shorter sub-batches get padding
 */
export function splitBatch({ feeds, padding, lengths, group = 1 }: BatchTensors, positions: number, minimum = 1): BatchTensors[] {
  return subBatchRows({ lengths, group }, positions, minimum).map(({ rows, width }) => {
    const cut = Object.entries(feeds).map(([name, tensor]) => {
      const fill = padding[name]
      return [name, fill === undefined ? takeRows(tensor, rows) : takePositions(tensor, rows, width, fill)] as const
    })
    return { feeds: Object.fromEntries(cut), padding, lengths: rows.map((row) => lengths[row]!) }
  })
}
