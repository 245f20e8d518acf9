/** @file Rows that cannot share a batch, and batches that a graph does not take: told before the first step. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openEncodedDataset } from '../../src/data/dataset.js'
import { taskEncoding } from '../../src/data/task-encoding.js'
import { InvalidDataError } from '../../src/errors.js'
import { nodeFiles } from '../../src/io/node-files.js'
import { checkData } from '../../src/train/check-data.js'
import { temporaryFolder, writeRows } from '../support/training.js'

const folder = temporaryFolder()
const picture = (side: number): number[][] => Array.from({ length: side }, () => Array.from({ length: side }, () => 1))
let counter = 0

/** Checks rows of pictures; `first` is the input's first axis. */
async function check(
  sides: readonly number[],
  batches: { batchSize: number; shuffle?: boolean },
  { first = 'batch' as string | number, count = 1 } = {},
): Promise<string> {
  const path = writeRows(join(folder, `rows-${++counter}.jsonl`), sides.map((side) => ({ pixels: picture(side) }))) // prettier-ignore
  const inputs = [{ name: 'pixels', dtype: 'float32' as const, shape: [first, 'height', 'width'] }]
  const encoding = taskEncoding({ inputs, vocabularySize: 0, maxPositions: 0 }, () => ({ fields: {}, tokens: 1 }))
  const dataset = await openEncodedDataset(nodeFiles(), [path], encoding)
  const perEpoch = Math.ceil(dataset.length / batches.batchSize)
  const parts = [{ name: 'data' as const, dataset, batches, count, perEpoch }]
  try {
    for await (const _ of checkData(parts, () => 0, () => false)); // prettier-ignore
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidDataError)
    return (error as Error).message.replaceAll(path, 'rows')
  }
  return 'fine'
}

const unequal = 'rows of a batch must be of one size: make them so, or choose a batch size of 1.'

describe('pictures of several sizes', () => {
  it('are refused where they may share a batch, with both rows', async () => {
    expect(await check([2, 2, 3], { batchSize: 2, shuffle: true })).toBe(
      `rows, line 3: its fields have the sizes pixels [3, 3], those of line 1 pixels [2, 2]; ${unequal}`,
    )
    expect(await check([2, 3, 3, 3], { batchSize: 2 })).toBe(
      `rows, line 2: its fields have the sizes pixels [3, 3], those of line 1 pixels [2, 2]; ${unequal}`,
    )
  })

  it('are fine where they do not', async () => {
    expect(await check([2, 3, 4], { batchSize: 1, shuffle: true })).toBe('fine')
    expect(await check([2, 2, 3, 3, 4], { batchSize: 2 })).toBe('fine')
  })

  it('never become a batch of wrong numbers', async () => {
    const path = writeRows(join(folder, 'mixed.jsonl'), [3, 2].map((side) => ({ pixels: picture(side) }))) // prettier-ignore
    const inputs = [{ name: 'pixels', dtype: 'float32' as const, shape: ['batch', 'height', 'width'] }]
    const encoding = taskEncoding({ inputs, vocabularySize: 0, maxPositions: 0 }, () => ({ fields: {}, tokens: 1 }))
    const dataset = await openEncodedDataset(nodeFiles(), [path], encoding)
    await expect(dataset.batches({ batchSize: 2 }).next()).rejects.toThrow('bring fields of shapes [3, 3] and [2, 2]')
  })
})

describe('a graph for batches of one size', () => {
  it('is told apart from the batch size, and from the last batch of an epoch that comes to its end', async () => {
    expect(await check([2, 2, 2, 2], { batchSize: 2 }, { first: 2, count: 9 })).toBe('fine')
    expect(await check([2, 2, 2, 2], { batchSize: 3 }, { first: 2 })).toContain(
      'takes batches of exactly 2 rows, but the batch has 3',
    )
    expect(await check([2, 2, 2], { batchSize: 2 }, { first: 2, count: 2 })).toContain(
      'takes batches of exactly 2 rows, but the batch has 1',
    )
    expect(await check([2, 2, 2], { batchSize: 2 }, { first: 2, count: 1 })).toBe('fine')
  })
})
