/** @file Rows of tensors, cut into batches. */
import { epochOrder } from '../data/order.js'
import { InvalidDataError } from '../errors.js'
import { takeRows } from '../graph/take-rows.js'
import type { HostTensor } from '../graph/types.js'
import { inputsOf, type ModelInput } from './build.js'

/** What a step is fed. */
export interface ModuleBatch {
  /** One tensor, or one for each argument of the model, rows first. */
  readonly input: ModelInput
  /** What the loss compares with, rows first. */
  readonly labels: HostTensor
}

/** Number of rows of a batch. @throws InvalidDataError where inputs and labels have different numbers, or none */
export function rowsOf({ input, labels }: ModuleBatch): number {
  const counts = [...inputsOf(input), labels].map((t) => t.shape[0])
  const [rows] = counts
  if (rows === undefined || rows === 0 || counts.some((n) => n !== rows))
    throw new InvalidDataError(`inputs and labels must have the same number of rows, at least 1; they have ${counts.join(', ')}`)
  return rows
}

/** The batches of one pass over the data, the last one with what is left over; shuffled by seed and epoch. */
export function* batchesOf(
  data: ModuleBatch,
  options: { readonly batchSize: number; readonly shuffle: boolean; readonly seed: number; readonly epoch: number },
): Generator<ModuleBatch> {
  const { batchSize } = options
  const order = epochOrder(rowsOf(data), options)
  for (let start = 0; start < order.length; start += batchSize) {
    const rows = order.subarray(start, start + batchSize)
    const { input } = data
    yield {
      input: Array.isArray(input) ? input.map((t: HostTensor) => takeRows(t, rows)) : takeRows(input as HostTensor, rows),
      labels: takeRows(data.labels, rows),
    }
  }
}
