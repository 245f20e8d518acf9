/** @file Rows of tensors, cut into batches. */
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import { elementCount, type HostTensor } from '../graph/types.js'
import { Random } from '../util/rng.js'
import { inputsOf, type ModelInput } from './build.js'

/** What a step is fed. */
export interface ModuleBatch {
  /** One tensor, or one for each argument of the model, rows first. */
  readonly input: ModelInput
  /** What the loss compares with, rows first. */
  readonly labels: HostTensor
}

/**
 * The rows of a tensor at the given indices, copied.
 * @example
 * const batch = takeRows(images, [3, 1, 4])
 */
export function takeRows(tensor: HostTensor, rows: ArrayLike<number>): HostTensor {
  const size = elementCount(tensor.shape.slice(1))
  const Type = tensor.data.constructor as new (length: number) => typeof tensor.data
  const data = new Type(size * rows.length)
  for (let i = 0; i < rows.length; i++)
    data.set(tensor.data.subarray(rows[i]! * size, (rows[i]! + 1) * size) as Float32Array & BigInt64Array, i * size)
  return { dtype: tensor.dtype, shape: [rows.length, ...tensor.shape.slice(1)], data }
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
  const { batchSize, shuffle, seed, epoch } = options
  if (!Number.isSafeInteger(batchSize) || batchSize < 1)
    throw new InvalidOptionError(`batchSize must be a positive integer, got ${batchSize}`)
  const order = Uint32Array.from({ length: rowsOf(data) }, (_, i) => i)
  if (shuffle) Random.derive(seed, 'order', epoch).shuffle(order)
  for (let start = 0; start < order.length; start += batchSize) {
    const rows = order.subarray(start, start + batchSize)
    const { input } = data
    yield {
      input: Array.isArray(input) ? input.map((t: HostTensor) => takeRows(t, rows)) : takeRows(input as HostTensor, rows),
      labels: takeRows(data.labels, rows),
    }
  }
}
