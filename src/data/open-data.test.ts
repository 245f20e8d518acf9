/** @file Rows from wherever they come (files, folders, blobs, memory) are the same ones, and what is wrong with them is told. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { memoryFiles } from '../io/memory-files.js'
import { nodeFiles } from '../io/node-files.js'
import { renameColumns } from './columns.js'
import { parseDatasetId } from './dataset-id.js'
import { openRowData, type DataPlace } from './open-data.js'
import type { RowData } from './row-data.js'
import { type Row, rowsOf, type RowSource } from './rows.js'
import { splitRows } from './split.js'

const folder = mkdtempSync(join(tmpdir(), 'lowrank-open-data-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const rows = [
  { prompt: 'a', completion: 'x' },
  { prompt: 'b', completion: 'y, "z"' },
]
const jsonl = rows.map((row) => JSON.stringify(row)).join('\n')
const csv = 'prompt,completion\na,x\nb,"y, ""z"""\n'
const tsv = 'prompt\tcompletion\na\tx\nb\ty, "z"\n'

const all = async (sources: readonly RowSource[]): Promise<Row[]> => {
  const read: Row[] = []
  for await (const row of rowsOf(sources)) read.push(row)
  return read
}
const valuesOf = async (data: RowData, place: DataPlace = { files: memoryFiles() }) =>
  (await all((await openRowData(place, data)).sources)).map(({ value }) => value)
const printOf = async (data: RowData, place: DataPlace = { files: memoryFiles() }) =>
  Promise.all((await openRowData(place, data)).sources.map((source) => source.fingerprint()))

describe('files that are compressed', () => {
  it.each([
    ['rows.jsonl.gz', jsonl],
    ['rows.json.gz', JSON.stringify(rows, null, 2)],
    ['rows.CSV.GZ', csv],
    ['rows.tsv.gz', tsv],
  ])('%s', async (name, content) => {
    const files = memoryFiles({ [name]: gzipSync(content) })
    expect(await valuesOf(name, { files })).toEqual(rows)
    const [source] = (await openRowData({ files }, name)).sources
    expect((await source!.row(1)).file).toBe(name)
  })

  it('a Parquet file in gzip', async () => {
    const bytes = await nodeFiles().read('test/fixtures/data/rows.parquet')
    const files = memoryFiles({ 'a.parquet.gz': gzipSync(bytes), 'a.parquet': bytes.slice() })
    expect(await valuesOf('a.parquet.gz', { files })).toEqual(await valuesOf('a.parquet', { files }))
  })

  it.each(['zstd', 'gzip', 'brotli', 'lz4'])('Parquet with %s inside', async (codec) => {
    const values = await valuesOf(`test/fixtures/data/rows-${codec}.parquet`, { files: nodeFiles() })
    expect(values).toEqual(
      Array.from({ length: 60 }, (_, i) => ({ prompt: `prompt ${i}`, completion: `answer ${i} é`.repeat(20), id: i })),
    )
  })

  it('keeps what is large in the cache folder, once, and finds it there', async () => {
    const cacheFolder = join(folder, 'cache')
    const path = join(folder, 'large.jsonl.gz')
    const line = `${JSON.stringify({ text: 'x'.repeat(1 << 20) })}\n`
    writeFileSync(path, gzipSync(line.repeat(70), { level: 1 }))
    const place = { files: nodeFiles(), cacheFolder }
    expect((await openRowData(place, path)).sources[0]!.length).toBe(70)
    const [kept] = readdirSync(join(cacheFolder, 'rows'))
    expect((await openRowData(place, path)).sources[0]!.size).toBe(70 * line.length)
    expect(readdirSync(join(cacheFolder, 'rows'))).toEqual([kept])
  })

  it('tells what is no gzip, damaged or cut off', async () => {
    const packed = gzipSync(jsonl.repeat(1000))
    const files = memoryFiles({
      'plain.jsonl.gz': jsonl,
      'cut.jsonl.gz': packed.subarray(0, packed.length - 20),
      'damaged.jsonl.gz': packed.map((byte, i) => (i === 40 ? byte ^ 255 : byte)),
      'rows.jsonl.gz': gzipSync(`${jsonl}\n{"prompt":`),
    })
    await expect(valuesOf('plain.jsonl.gz', { files })).rejects.toThrow('plain.jsonl.gz: the file is not gzip, as its extension')
    for (const name of ['cut', 'damaged'])
      await expect(valuesOf(`${name}.jsonl.gz`, { files })).rejects.toThrow(
        `${name}.jsonl.gz: the gzip data is damaged or cut off`,
      )
    await expect(valuesOf('rows.jsonl.gz', { files })).rejects.toThrow('rows.jsonl.gz, line 3: not valid JSON')
  })
})

describe('blobs', () => {
  it('are told by their name or their type', async () => {
    for (const blob of [
      new File([jsonl], 'rows.jsonl'),
      new File([gzipSync(csv)], 'rows.csv.gz'),
      new Blob([jsonl], { type: 'application/x-ndjson' }),
      new Blob([JSON.stringify(rows)], { type: 'application/json; charset=utf-8' }),
      new Blob([csv], { type: 'text/csv' }),
    ])
      expect(await valuesOf(blob)).toEqual(rows)
    expect(await valuesOf([new File([jsonl], 'a.jsonl'), new File([tsv], 'b.tsv')])).toEqual([...rows, ...rows])
    await expect(valuesOf(new Blob([jsonl]))).rejects.toThrow('data: neither the name nor the type (none) of the blob tells')
    await expect(valuesOf(new File(['{'], 'bad.jsonl'))).rejects.toThrow('bad.jsonl, line 1: not valid JSON')
  })

  it('have the fingerprint of a file of the same bytes', async () => {
    const files = memoryFiles({ 'a.jsonl': jsonl })
    expect(await printOf(new File([jsonl], 'other.jsonl'))).toEqual(await printOf('a.jsonl', { files }))
  })
})

describe('rows in memory', () => {
  async function* later() {
    for (const row of rows) yield await Promise.resolve(row)
  }

  const streamOf = <T>(items: readonly T[]) =>
    new ReadableStream<T>({
      start(controller) {
        for (const item of items) controller.enqueue(item)
        controller.close()
      },
    })

  it('lists, iterables and functions', async () => {
    const given: RowData[] = [rows, new Set(rows), rows.values(), later(), () => later(), () => Promise.resolve(rows), streamOf(rows)] // prettier-ignore
    for (const data of given) expect(await valuesOf(data)).toEqual(rows)
    for (const data of given.slice(0, 2)) expect(await printOf(data)).toEqual(await printOf(rows))
  })

  it('are read once where they can be read only once, and each time where a function makes them', async () => {
    const stream = later()
    expect(await valuesOf(stream)).toEqual(rows)
    expect(await valuesOf(stream)).toEqual(rows)
    let calls = 0
    const make = () => {
      calls++
      return later()
    }
    await valuesOf(make)
    expect(await valuesOf(make)).toEqual(rows)
    expect(calls).toBe(2)
  })

  it('hold typed arrays and big integers as files hold their numbers', async () => {
    const [value] = await valuesOf([{ pixel_values: [[Float32Array.of(0.5, 1)]], label: 3n, ids: BigInt64Array.of(7n) }])
    expect(value).toEqual({ pixel_values: [[[0.5, 1]]], label: 3, ids: [7] })
  })

  it('have a fingerprint of all that they hold', async () => {
    const print = await printOf([{ x: Float32Array.of(1, 2), n: 1 }])
    expect(await printOf([{ x: Float32Array.of(1, 2), n: 1 }])).toEqual(print)
    for (const other of [
      { x: Float32Array.of(1, 3), n: 1 },
      { x: Float32Array.of(1, 2), n: 1n },
      { x: [1, 2], n: 1 },
    ])
      expect(await printOf([other])).not.toEqual(print)
  })

  it('are refused by number', async () => {
    await expect(valuesOf([rows[0]!, [1] as never])).rejects.toThrow('data, row 2: expected an object, found a list')
    await expect(valuesOf([])).rejects.toThrow('no row in data: the data set is empty')
    await expect(valuesOf((() => 7) as never)).rejects.toThrow('data is a function, which must return rows to iterate')
  })
})

describe('folders', () => {
  const put = (name: string, ...files: string[]): string => {
    const path = join(folder, name)
    mkdirSync(path, { recursive: true })
    for (const file of files) writeFileSync(join(path, file), file.endsWith('.gz') ? gzipSync(csv) : jsonl)
    return path
  }
  const open = async (path: string, part?: 'train' | 'valid' | 'test') => {
    const opened = await openRowData({ files: nodeFiles() }, path, part === undefined ? {} : { part })
    return { files: opened.sources.map(({ file }) => file.slice(path.length + 1)), beside: opened.beside.map((file) => file.slice(path.length + 1)) } // prettier-ignore
  }

  it('have their rows in files of the usual names', async () => {
    const mlx = put('mlx', 'train.jsonl', 'valid.jsonl', 'test.jsonl', 'README.md', 'train_labels.jsonl')
    expect(await open(mlx)).toEqual({ files: ['train.jsonl'], beside: ['valid.jsonl'] })
    expect(await open(mlx, 'test')).toEqual({ files: ['test.jsonl'], beside: [] })
    expect((await open(mlx, 'valid')).files).toEqual(['valid.jsonl'])
    const shards = put('shards', 'train-00000-of-00002.csv.gz', 'train-00001-of-00002.csv.gz', 'validation.csv.gz')
    expect(await open(shards)).toEqual({
      files: ['train-00000-of-00002.csv.gz', 'train-00001-of-00002.csv.gz'],
      beside: ['validation.csv.gz'],
    })
    expect((await open(shards, 'test')).files).toEqual(['validation.csv.gz'])
    put('nested/data', 'train.json')
    expect(await open(join(folder, 'nested'))).toEqual({ files: ['data/train.json'], beside: [] })
    expect((await open(put('dev', 'train.jsonl', 'dev.csv.gz'))).beside).toEqual(['dev.csv.gz'])
  })

  it('are refused where nothing, or more than one thing, is meant', async () => {
    await expect(open(put('none', 'rows.jsonl'))).rejects.toThrow('no file of rows called train, training (.jsonl, .json, .csv, .tsv, .parquet, each also with .gz); it holds rows.jsonl') // prettier-ignore
    await expect(open(put('two', 'train.jsonl', 'train.csv.gz'))).rejects.toThrow(
      'train.csv.gz, train.jsonl may each be the rows for training',
    )
    await expect(open(put('vals', 'train.jsonl', 'val.jsonl', 'dev.jsonl'))).rejects.toThrow(
      'dev.jsonl, val.jsonl may each be the rows for evaluation',
    )
  })
})

describe('columns', () => {
  const sources = async (...values: Record<string, unknown>[]): Promise<readonly RowSource[]> =>
    (await openRowData({ files: memoryFiles() }, values)).sources

  it('are read under the names that are asked for', async () => {
    const given = await sources({ question: 'q', answer: 'a', prompt: 'hidden', id: 1 }, { answer: 'b' })
    const renamed = await all(await renameColumns(given, { prompt: 'question', completion: 'answer' }))
    expect(renamed.map(({ value }) => value)).toEqual([{ prompt: 'q', completion: 'a', id: 1 }, { completion: 'b' }])
  })

  it('that no row has are refused, naming those there are', async () => {
    const given = await sources({ text: 'a', categori: null }, { category: 'b' })
    await expect(renameColumns(given, { label: 'categorie' })).rejects.toThrow(
      'data: no row has the column "categorie", which "label" is to be read from, as columns (--columns label=categorie) says; there are "text", "categori", "category": did you mean "categori" or "category"?',
    )
    expect((await renameColumns(given, { label: 'category' })).length).toBe(1)
  })
})

describe('rows that are set aside', () => {
  const many = Array.from({ length: 101 }, (_, n) => ({ n, patient: n % 10 }))
  const files = memoryFiles({
    'a.jsonl': many.slice(0, 60).map((row) => JSON.stringify(row)).join('\n'), // prettier-ignore
    'b.jsonl': many.slice(60).map((row) => JSON.stringify(row)).join('\n'), // prettier-ignore
  })
  const split = async (share: number, seed: number, by?: string) => {
    const { sources } = await openRowData({ files }, ['a.jsonl', 'b.jsonl'])
    const { train, evaluation } = await splitRows(sources, { share, seed, ...(by !== undefined && { by }) })
    const numbers = async (part: readonly RowSource[]): Promise<number[]> =>
      (await all(part)).map(({ value }) => value['n'] as number)
    return { train: await numbers(train), evaluation: await numbers(evaluation) }
  }

  it('are as many as asked for, and no others than those to train on', async () => {
    for (const share of [0.001, 0.1, 0.25, 0.5, 0.999]) {
      const { train, evaluation } = await split(share, 1)
      expect(evaluation.length).toBe(Math.min(100, Math.max(1, Math.round(101 * share))))
      expect([...train, ...evaluation].sort((a, b) => a - b)).toEqual(many.map(({ n }) => n))
      expect(evaluation).toEqual([...evaluation].sort((a, b) => a - b))
    }
  })

  it('depend on the seed alone', async () => {
    const first = await split(0.2, 1)
    expect(await split(0.2, 1)).toEqual(first)
    expect(await split(0.2, 2)).not.toEqual(first)
  })

  it('keep groups together', async () => {
    const { train, evaluation } = await split(0.3, 5, 'patient')
    const groups = (part: readonly number[]) => new Set(part.map((n) => n % 10))
    expect([...groups(train)].filter((group) => groups(evaluation).has(group))).toEqual([])
    expect(groups(evaluation).size).toBe(3)
    expect(train.length + evaluation.length).toBe(101)
    await expect(split(0.3, 5, 'doctor')).rejects.toThrow('a.jsonl, line 1: there is no "doctor" to split by')
  })

  it('need two rows, and two groups', async () => {
    const one = (await openRowData({ files }, [{ n: 1 }])).sources
    await expect(splitRows(one, { share: 0.5, seed: 0 })).rejects.toThrow('one row cannot be split')
    const same = (await openRowData({ files }, [{ n: 1 }, { n: 1 }])).sources
    await expect(splitRows(same, { share: 0.5, seed: 0, by: 'n' })).rejects.toThrow('all rows have the same "n"')
  })
})

describe('names of data sets of the hub', () => {
  it('are read with config and split', () => {
    expect(parseDatasetId('hf:a/b')).toEqual({ name: 'a/b', split: 'train' })
    expect(parseDatasetId('hf:squad')).toEqual({ name: 'squad', split: 'train' })
    expect(parseDatasetId('hf:a/b:c-1@test')).toEqual({ name: 'a/b', config: 'c-1', split: 'test' })
    for (const wrong of ['hf:', 'hf:a/b/c', 'hf:a/b@', 'hf:a/b:', 'hf:../b', 'hf:a/b@..'])
      expect(() => parseDatasetId(wrong)).toThrow('names no data set of the hub; write hf:owner/name')
  })

  it('are refused where nothing fetches them', async () => {
    await expect(valuesOf('hf:a/b')).rejects.toThrow('"hf:a/b" is a data set of the hub, which this environment does not fetch')
  })
})
