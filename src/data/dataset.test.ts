/**
 * @file Batches by hand: padding, positions, packing; and orders of rows, each seen once an epoch from whatever batch a run
 * goes on.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { HostTensor } from '../graph/types.js'
import { nodeFiles } from '../io/node-files.js'
import { makeBatch } from './batch.js'
import { openDataset, type Dataset, type DatasetOptions, type IterationOptions, type PositionedBatch } from './dataset.js'
import type { Example } from './examples.js'
import { memoryFiles } from '../../test/support/data.js'
import { loadTokenizer } from './tokenizer.js'

const options: DatasetOptions = { vocabularySize: 1000, maxPositions: 16 }
/** Row i holds 2 + (7 i mod 11) tokens, all i + 1. */
const rows = Array.from({ length: 23 }, (_, i) => ({ input_ids: new Array<number>(2 + ((7 * i) % 11)).fill(i + 1) }))
const jsonl = (values: readonly unknown[]): string => values.map((value) => JSON.stringify(value)).join('\n')
const open = (values: readonly unknown[] = rows, changes: Partial<DatasetOptions> = {}): Promise<Dataset<Example>> =>
  openDataset(memoryFiles({ 'd.jsonl': jsonl(values) }), ['d.jsonl'], { ...options, ...changes })

async function all(dataset: Dataset, iteration: IterationOptions): Promise<PositionedBatch[]> {
  const batches: PositionedBatch[] = []
  for await (const batch of dataset.batches(iteration)) batches.push(batch)
  return batches
}
const list = (tensor: HostTensor): number[][] => {
  const [height = 0, width = 0] = tensor.shape
  const values = Array.from(tensor.data as BigInt64Array, Number)
  return Array.from({ length: height }, (_, r) => values.slice(r * width, (r + 1) * width))
}
/** The rows of batches, by their ids. */
const seen = (batches: readonly PositionedBatch[]): number[] =>
  batches.flatMap((batch) => list(batch.feeds['input_ids']!).flatMap((row) => [...new Set(row)].filter((id) => id !== 0)))

const example = (ids: number[], labels = ids, attentionMask = ids.map(() => 1)): Example => ({
  inputIds: ids,
  labels,
  attentionMask,
  tokens: labels.slice(1).filter((label) => label !== -100).length,
  truncated: false,
})

describe('makeBatch', () => {
  it('pads on the right', () => {
    const batch = makeBatch([[example([1, 2, 3])], [example([4, 5], [-100, 5])]], { padTokenId: 9 })
    expect(list(batch.feeds['input_ids']!)).toEqual([
      [1, 2, 3],
      [4, 5, 9],
    ])
    expect(list(batch.feeds['attention_mask']!)).toEqual([
      [1, 1, 1],
      [1, 1, 0],
    ])
    expect(list(batch.feeds['position_ids']!)).toEqual([
      [0, 1, 2],
      [0, 1, 0],
    ])
    expect(list(batch.feeds['labels']!)).toEqual([
      [-100, 2, 3],
      [-100, 5, -100],
    ])
    expect([batch.tokens, batch.rows, batch.examples, batch.feeds.labels.dtype]).toEqual([3, 2, 2, 'int64'])
  })

  it('pads on the left for generation, positions from the first token', () => {
    const batch = makeBatch([[example([1, 2, 3])], [example([4])]], { padTokenId: 0, leftPad: true })
    expect(list(batch.feeds['input_ids']!)[1]).toEqual([0, 0, 4])
    expect(list(batch.feeds['attention_mask']!)[1]).toEqual([0, 0, 1])
    expect(list(batch.feeds['position_ids']!)).toEqual([
      [0, 1, 2],
      [0, 0, 0],
    ])
  })

  it('numbers packed examples and lets none predict the next', () => {
    const batch = makeBatch([[example([1, 2]), example([3, 4, 5], [3, 4, 5], [1, 0, 1])], [example([6])]], { padTokenId: 0 })
    expect(list(batch.feeds['attention_mask']!)).toEqual([
      [1, 1, 2, 0, 2],
      [1, 0, 0, 0, 0],
    ])
    expect(list(batch.feeds['position_ids']!)[0]).toEqual([0, 1, 0, 1, 2])
    expect(list(batch.feeds['labels']!)[0]).toEqual([-100, 2, -100, 4, 5])
    expect([batch.tokens, batch.rows, batch.examples]).toEqual([3, 2, 3])
  })
})

describe('Dataset', () => {
  it('gives file order, with a smaller last batch', async () => {
    const dataset = await open()
    const batches = await all(dataset, { batchSize: 5 })
    expect([dataset.length, await dataset.batchesPerEpoch({ batchSize: 5 })]).toEqual([23, 5])
    expect(batches.map((batch) => batch.rows)).toEqual([5, 5, 5, 5, 3])
    expect(seen(batches)).toEqual(Array.from({ length: 23 }, (_, i) => i + 1))
    expect(batches.map((batch) => batch.next)).toEqual([1, 2, 3, 4, 5].map((batch) => ({ epoch: 0, batch })))
  })

  const modes: Partial<IterationOptions>[] = [
    {},
    { shuffle: true },
    { shuffle: true, bucket: true },
    { bucket: true },
    { packing: true },
    { shuffle: true, packing: true },
  ]
  it.each(modes)('sees every row once an epoch and goes on from any batch: %j', async (mode) => {
    const iteration = { batchSize: 3, seed: 5, epochs: 2, ...mode }
    const whole = await all(await open(), iteration)
    const perEpoch = await (await open()).batchesPerEpoch(iteration)
    expect(whole.length).toBe(2 * perEpoch)
    const [first, second] = [seen(whole.slice(0, perEpoch)), seen(whole.slice(perEpoch))]
    for (const epoch of [first, second])
      expect([...epoch].sort((a, b) => a - b)).toEqual(Array.from({ length: 23 }, (_, i) => i + 1))
    if (mode.shuffle === true) expect(second).not.toEqual(first)
    for (const batch of [1, 4, perEpoch - 1]) {
      const rest = await all(await open(), { ...iteration, epochs: 1, start: { epoch: 1, batch } })
      expect(rest).toEqual(whole.slice(perEpoch + batch))
    }
    const other = await all(await open(), { ...iteration, seed: 6 })
    if (mode.shuffle === true) expect(seen(other)).not.toEqual(seen(whole))
    else expect(seen(other)).toEqual(seen(whole))
  })

  it('needs less padding with buckets', async () => {
    const padding = (batches: PositionedBatch[]): number =>
      batches.reduce(
        (sum, batch) => sum + (batch.feeds['attention_mask']!.data as BigInt64Array).filter((value) => value === 0n).length,
        0,
      )
    const plain = padding(await all(await open(), { batchSize: 4, shuffle: true, seed: 1 }))
    const bucketed = padding(await all(await open(), { batchSize: 4, shuffle: true, seed: 1, bucket: true }))
    expect(bucketed * 4).toBeLessThan(plain)
  })

  it('packs rows no longer than maxLength, losing no token', async () => {
    const dataset = await open(rows, { maxLength: 14 })
    const batches = await all(dataset, { batchSize: 2, packing: true })
    for (const batch of batches) expect(batch.feeds['input_ids']!.shape[1]).toBeLessThanOrEqual(14)
    const tokens = (batches: PositionedBatch[]): number => batches.reduce((sum, batch) => sum + batch.tokens, 0)
    expect(tokens(batches)).toBe(tokens(await all(dataset, { batchSize: 2 })))
    // No example would have fitted into the row before it.
    const masks = batches.flatMap((batch) =>
      list(batch.feeds['attention_mask']!).map((mask) => mask.filter((number) => number > 0)),
    )
    masks
      .slice(1)
      .forEach((mask, i) => expect((masks[i]?.length ?? 0) + mask.filter((number) => number === 1).length).toBeGreaterThan(14))
  })

  it('reads nothing before the batch it starts from', async () => {
    const damaged = [...rows.slice(0, 10).map(() => ({ nothing: 1 })), ...rows.slice(10)]
    const dataset = await open(damaged)
    expect(seen(await all(dataset, { batchSize: 5, start: { epoch: 0, batch: 2 } }))).toEqual(
      seen(await all(await open(), { batchSize: 5, start: { epoch: 0, batch: 2 } })),
    )
    await expect(all(dataset, { batchSize: 5 })).rejects.toThrow('d.jsonl, line 1: found the fields "nothing"')
  })

  it('reads its files for their hash when it is asked, once', async () => {
    const files = memoryFiles({ 'a.jsonl': jsonl(rows) })
    let reads = 0
    const counting = { ...files, read: (...given: Parameters<typeof files.read>) => (reads++, files.read(...given)) }
    const dataset = await openDataset(counting, ['a.jsonl'], options)
    const opened = reads
    const print = await dataset.fingerprint()
    expect(reads).toBe(opened + 1)
    expect(await dataset.fingerprint()).toBe(print)
    expect(reads).toBe(opened + 1)
  })

  it('joins files and knows them again', async () => {
    const files = memoryFiles({ 'a.jsonl': jsonl(rows.slice(0, 2)), 'b.jsonl': jsonl(rows.slice(2, 3)), 'empty.jsonl': '' })
    const dataset = await openDataset(files, ['a.jsonl', 'empty.jsonl', 'b.jsonl'], options)
    expect(seen(await all(dataset, { batchSize: 3 }))).toEqual([1, 2, 3])
    expect((await dataset.row(2)).file).toBe('b.jsonl')
    const print = async (...paths: string[]): Promise<string> => (await openDataset(files, paths, options)).fingerprint()
    expect(await print('a.jsonl')).toBe(await print('a.jsonl'))
    expect(
      new Set([
        await print('a.jsonl'),
        await print('b.jsonl'),
        await print('a.jsonl', 'b.jsonl'),
        await print('b.jsonl', 'a.jsonl'),
      ]).size,
    ).toBe(4)
  })

  it('stops early without a loose end', async () => {
    const dataset = await open([...rows.slice(0, 2), { nothing: 1 }])
    for await (const batch of dataset.batches({ batchSize: 1 })) if (batch.next.batch === 2) break
  })

  it('refuses or skips rows with nothing to learn', async () => {
    const masked = { input_ids: [5, 6], labels: [5, -100] }
    const mixed = [rows[0], masked, rows[2]]
    await expect(all(await open(mixed), { batchSize: 1 })).rejects.toThrow(
      'd.jsonl, line 2: the row has no token to learn: all its labels are masked',
    )
    const skipped: number[] = []
    const dataset = await open(mixed, { unlabelled: 'skip', listeners: [{ onSkip: (row) => void skipped.push(row.line) }] })
    const batches = await all(dataset, { batchSize: 1 })
    expect([seen(batches), skipped, batches.map((batch) => batch.next.batch)]).toEqual([[1, 3], [2], [1, 3]])
    await expect(all(await open([masked], { unlabelled: 'skip' }), { batchSize: 1 })).rejects.toThrow(
      'no row of d.jsonl has a token to learn: all labels are masked',
    )
    await expect(all(await open([masked], { unlabelled: 'skip' }), { batchSize: 1, packing: true })).rejects.toThrow(
      'all labels are masked',
    )
    const long = { input_ids: [1, 2, 3, 4], labels: [-100, -100, -100, 4] }
    await expect(all(await open([long], { maxLength: 3 }), { batchSize: 1 })).rejects.toThrow(
      'd.jsonl, line 1: the row has no token to learn: all its labels were cut off at 3 tokens; raise maxLength',
    )
  })

  it('counts what it cuts', async () => {
    expect((await all(await open([rows[0], rows[3]], { maxLength: 4 }), { batchSize: 2 }))[0]?.truncated).toBe(1)
  })

  it('pads with an id the model knows', async () => {
    const json = JSON.stringify({
      added_tokens: [{ id: 5000, content: '<pad>', special: true }],
      model: { type: 'BPE', vocab: { a: 0, '<pad>': 5000 }, merges: [] },
    })
    const tokenizer = await loadTokenizer(
      memoryFiles({ 'm/tokenizer.json': json, 'm/tokenizer_config.json': '{"pad_token":"<pad>"}' }),
      'm',
    )
    if (tokenizer === undefined) throw new Error('no tokenizer')
    expect(tokenizer.padTokenId).toBe(5000)
    const batches = await all(await open([rows[0], rows[1]], { tokenizer }), { batchSize: 2 })
    expect(list(batches[0]!.feeds['input_ids']!)[0]?.at(-1)).toBe(0)
  })

  it('refuses empty data and options that do not fit', async () => {
    await expect(open([])).rejects.toThrow('no row in d.jsonl: the data set is empty')
    await expect(openDataset(memoryFiles({}), [], options)).rejects.toThrow('data must be rows: paths of files')
    await expect(open(rows, { maxLength: 17 })).rejects.toThrow('maxLength is 17, but the model has only 16 positions')
    await expect(open(rows, { maxLength: 1 })).rejects.toThrow('maxLength must be a whole number of at least 2')
    const dataset = await open()
    await expect(all(dataset, { batchSize: 0 })).rejects.toThrow('batchSize must be a whole number of at least 1, got 0')
    await expect(all(dataset, { batchSize: 1, packing: true, bucket: true })).rejects.toThrow('exclude each other')
    await expect(all(dataset, { batchSize: 1, start: { epoch: 0, batch: -1 } })).rejects.toThrow('start must hold')
  })
})

const shared = join(import.meta.dirname, '../../../shared')
describe.skipIf(!existsSync(join(shared, 'data/e2e')))('E2E with the tokenizer of stories260k', () => {
  it('gives the 11,164 labelled tokens of the reference run', async () => {
    const lines = (await readFile(join(shared, 'data/e2e/valid.txt'), 'utf8')).split('\n').slice(0, 200)
    const data = lines.map((line) => {
      const [meaning = '', text = ''] = line.split('||')
      return { prompt: `${meaning}\n`, completion: text.trim() }
    })
    const tokenizer = await loadTokenizer(nodeFiles(), join(shared, 'models/stories260k'))
    if (tokenizer === undefined) throw new Error('no tokenizer')
    const dataset = await open(data, { tokenizer, vocabularySize: 512, maxPositions: 512, maxLength: 256 })
    const first = await dataset.example(0)
    const prompt = first?.labels.findIndex((label) => label !== -100) ?? 0
    expect([first?.inputIds[0], first?.inputIds.at(-1), first?.labels.at(-1)]).toEqual([1, 2, 2])
    expect(tokenizer.decode(first?.inputIds.slice(1, prompt) ?? [])).toBe(data[0]?.prompt)
    expect(tokenizer.decode(first?.inputIds.slice(prompt, -1) ?? [])).toBe(data[0]?.completion)
    const batches = await all(dataset, { batchSize: 16 })
    expect(batches.reduce((sum, batch) => sum + batch.tokens, 0)).toBe(11_164)
  })
})
