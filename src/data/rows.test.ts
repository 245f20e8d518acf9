/** @file Rows out of JSON lines, CSV, TSV and Parquet, in any order, and damaged files refused by line. */
import { mkdtemp, rm, writeFile, truncate, open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { InvalidDataError } from '../errors.js'
import { nodeFiles } from '../io/node-files.js'
import { JinjaTemplate } from '../jinja/index.js'
import { readClass, readNumber, readNumbers } from './labels.js'
import { openRows, readRows } from './open-rows.js'
import { integersField } from './row-shapes.js'
import type { Row } from './rows.js'
import { memoryFiles } from '../../test/support/data.js'

async function rowsOf(name: string, content: string | Uint8Array): Promise<Row[]> {
  const rows: Row[] = []
  for await (const row of readRows(memoryFiles({ [name]: content }), name)) rows.push(row)
  return rows
}

/** Elements that searches in bytes have looked at while `body` ran: a measure of work that no machine changes. */
async function bytesSearched(body: () => Promise<unknown>): Promise<number> {
  const original = Uint8Array.prototype.indexOf
  let looked = 0
  Uint8Array.prototype.indexOf = function (this: Uint8Array, value: number, from = 0) {
    const found = original.call(this, value, from)
    looked += (found < 0 ? this.length : found + 1) - from
    return found
  }
  try {
    await body()
  } finally {
    Uint8Array.prototype.indexOf = original
  }
  return looked
}

describe('JSON lines', () => {
  it('reads objects with their lines, past a byte order mark, CRLF, blank lines and a missing last newline', async () => {
    const rows = await rowsOf('a.jsonl', '\uFEFF{"text":"é1"}\r\n\r\n  \t\n {"text":"2"}\n\n{"text":"3"}')
    expect(rows).toMatchObject([
      { value: { text: 'é1' }, file: 'a.jsonl', line: 1 },
      { value: { text: '2' }, file: 'a.jsonl', line: 4 },
      { value: { text: '3' }, file: 'a.jsonl', line: 6 },
    ])
  })

  it('reads a JSON array, however it is laid out, with the lines of its elements', async () => {
    const nested = { text: 'a "]}," \\', list: [[1], { x: '[' }] }
    const content = `\uFEFF\n [\n${JSON.stringify(nested)}\n ,{\n "text": "é2" }\r\n,{"text":"3"}, {"text":"4"}\n]\n\n`
    for (const name of ['a.json', 'a.jsonl'])
      expect(await rowsOf(name, content)).toEqual([
        { value: nested, file: name, line: 3 },
        { value: { text: 'é2' }, file: name, line: 4 },
        { value: { text: '3' }, file: name, line: 6 },
        { value: { text: '4' }, file: name, line: 6 },
      ])
    expect(await rowsOf('a.json', '[ ]')).toEqual([])
    const source = await openRows(memoryFiles({ 'a.json': content }), 'a.json')
    expect((await source.row(3)).value).toEqual({ text: '4' })
    expect((await source.row(0)).value).toEqual(nested)
  })

  it('reads a large JSON array in pieces', async () => {
    const rows = Array.from({ length: 30_000 }, (_, i) => ({ n: i, text: `[{"${'x'.repeat(i % 700)}` }))
    const files = memoryFiles({ 'a.json': JSON.stringify(rows, null, 1) })
    const source = await openRows(files, 'a.json')
    expect(source.length).toBe(rows.length)
    expect(source.size).toBeGreaterThan(8 << 20)
    for (const index of [29_999, 0, 15_000]) expect((await source.row(index)).value).toEqual(rows[index])
    expect(Math.max(...files.reads.map(({ length }) => length))).toBe(4 << 20)
  })

  it('reads rows in any order', async () => {
    const source = await openRows(memoryFiles({ 'a.jsonl': '{"n":0}\n{"n":1}\n{"n":2}\n' }), 'a.jsonl')
    expect(source.length).toBe(3)
    expect([await source.row(2), await source.row(0), await source.row(1)].map((row) => row.value['n'])).toEqual([2, 0, 1])
  })

  it('reads numbers of rows without an object, however they are written', async () => {
    const [row] = await rowsOf(
      'a.jsonl',
      '{"score": 12345678901234567890, "label": 1.0, "10": 2e0, "9": 123456789012345.9999, "input_ids": [5.0, 6, 1e1]}',
    )
    const task = { name: 'sequence-classification', numLabels: 2, labels: [] } as const
    expect(readNumber(row!, 'score')).toBe(12345678901234567890)
    expect([readClass(row!, task), readNumbers(row!, { ...task, numLabels: 1 })]).toEqual([1, [1]])
    expect([readNumber(row!, '10'), readNumber(row!, '9')]).toEqual([2, 123456789012345.9999])
    expect(integersField(row!, 'input_ids')).toEqual([5, 6, 10])
  })

  it.each([
    ['{"a":1}\n{"a":', 'a.jsonl, line 2: not valid JSON'],
    ['{"a":1}\n\n[1]', 'a.jsonl, line 3: expected a JSON object, found an array'],
    ['null', 'a.jsonl, line 1: expected a JSON object, found null'],
    ['"x"', 'a.jsonl, line 1: expected a JSON object, found a string'],
    ['{\n  "rows": [\n    {"a":1}\n  ]\n}', 'a.jsonl, line 1: not valid JSON'],
    [
      '{\n  "rows": [\n    {"a":1}\n  ]\n}',
      'The file looks like one object over several lines: write its rows as an array, [{…}, {…}]',
    ],
    ['[{"a":1},\n{"a":}]', 'a.jsonl, line 2: not valid JSON'],
    ['[{"a":1},\n\n [1]]', 'a.jsonl, line 3: expected a JSON object, found an array'],
    ['[{"a":1}\n{"a":2}]', 'a.jsonl, line 2: "{" where the JSON array needs a comma or the closing bracket after the row'],
    ['[{"a":1},\n]', 'a.jsonl, line 2: "]" where the JSON array needs a row after the comma'],
    ['[{"a":1}]\n]', 'a.jsonl, line 2: "]" where the JSON array needs nothing after the closing bracket'],
    ['[{"a":1},\n{"a":2', 'a.jsonl, line 2: the JSON array ends too early: the row on line 2 is not whole'],
    ['[{"a":1}', 'a.jsonl, line 1: the JSON array ends too early: a comma or the closing bracket after the row is missing'],
  ])('refuses %j', async (content, message) => {
    const error = await rowsOf('a.jsonl', content).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(InvalidDataError)
    expect((error as Error).message).toContain(message)
  })

  it('names the line of bytes that are no UTF-8, and tells UTF-16', async () => {
    const bytes = Uint8Array.from([...new TextEncoder().encode('{"a":1}\n{"a":"'), 0xff, ...new TextEncoder().encode('"}')])
    await expect(rowsOf('a.jsonl', bytes)).rejects.toThrow('a.jsonl, line 2: the bytes are not valid UTF-8')
    await expect(rowsOf('a.jsonl', Uint8Array.from([0xff, 0xfe, 0x7b, 0]))).rejects.toThrow('a.jsonl, line 1: the file is UTF-16')
  })

  it('refuses an extension it does not know', async () => {
    await expect(rowsOf('a.txt', 'x')).rejects.toThrow(
      'a.txt: the extension tells no data format; rename the file to one of .jsonl',
    )
    await expect(rowsOf('constructor', 'x')).rejects.toThrow('the extension tells no data format')
  })
})

describe('CSV and TSV', () => {
  it('reads quoted fields with commas, quotes and newlines, and counts lines of the file', async () => {
    const rows = await rowsOf('a.csv', '\uFEFFprompt,completion\r\n"a, ""b""\nc",d\r\n\r\n e ,\r\n')
    expect(rows).toEqual([
      { value: { prompt: 'a, "b"\nc', completion: 'd' }, file: 'a.csv', line: 2 },
      { value: { prompt: ' e ', completion: '' }, file: 'a.csv', line: 5 },
    ])
  })

  it('takes quotes in tab-separated values as they are, and keeps a blank first column', async () => {
    const rows = await rowsOf('a.tsv', 'text\tlabel\nhe said "hi\t1\r\n\t2\n')
    expect(rows.map((row) => [row.value, row.line])).toEqual([
      [{ text: 'he said "hi', label: '1' }, 2],
      [{ text: '', label: '2' }, 3],
    ])
  })

  it.each([
    ['without quotes', `a,b\n${'some words,1\n'.repeat(5000)}`],
    ['with one field of many lines', `a,b\n"${'a line\n'.repeat(8000)}",1\n`],
    ['with quotes at its end alone', `a,b\n${'some words,1\n'.repeat(5000)}"x",2\n`],
  ])('looks at each byte a few times: a table %s', async (_, content) => {
    const looked = await bytesSearched(() => rowsOf('a.csv', content))
    expect(looked).toBeGreaterThan(content.length / 2)
    expect(looked).toBeLessThan(4 * content.length)
  })

  it('reads a table of many columns, and finds the one that is there twice', async () => {
    const names = Array.from({ length: 100_000 }, (_, i) => `c${i}`)
    const [row] = await rowsOf('a.csv', `${names.join(',')}\n${names.map((_, i) => i).join(',')}\n`)
    expect([Object.keys(row!.value).length, row!.value['c99999']]).toEqual([100_000, '99999'])
    await expect(rowsOf('a.csv', `${names.join(',')},c7\n`)).rejects.toThrow('the header names "c7" twice')
  })

  it.each([
    ['', 'a.csv: the file is empty'],
    [
      `${Array.from({ length: 30 }, (_, i) => `c${i}`).join(',')}\n1\n`,
      /line 2: 1 fields where the header names 30 \(c0, .*, c19, …\)/,
    ],
    ['a,b\n1,2,3\n', 'a.csv, line 2: 3 fields where the header names 2 (a, b)'],
    ['a,a\n', 'a.csv, line 1: the header names "a" twice'],
    ['a,\n', 'a.csv, line 1: column 2 of the header has no name'],
    ['a,b\n1,2\n"x,3\n4,5\n', 'a.csv, line 3: a double quote opens a field and none closes it'],
    ['a,b\n1,x"y"\n', 'a.csv, line 2: not valid CSV'],
  ])('refuses %j', async (content, message) => {
    await expect(rowsOf('a.csv', content)).rejects.toThrow(message)
  })
})

describe('Parquet', () => {
  const files = nodeFiles()
  const path = join(import.meta.dirname, '../../test/fixtures/data/rows.parquet')

  it('reads rows of several groups in any order; empty cells are absent', async () => {
    const source = await openRows(files, path)
    expect(source.length).toBe(5)
    expect((await source.row(4)).value).toEqual({ prompt: 'prompt 4', completion: 'answer 4 é', id: 4 })
    expect(await source.row(3)).toEqual({ value: { prompt: 'prompt 3', id: 3 }, file: path, line: 4 })
    expect((await source.row(0)).value['prompt']).toBe('prompt 0')
  })

  it('keeps what its schema calls a float apart from integers, in structs, lists and maps', async () => {
    const source = await openRows(files, join(import.meta.dirname, '../../test/fixtures/data/floats.parquet'))
    const template = new JinjaTemplate('{{ messages[1].tool_calls[0].arguments|tojson }} {{ weight }}')
    expect(template.render((await source.row(0)).value, () => '')).toBe(
      '{"t": 1.0, "n": 1, "xs": [2.0, 0.5], "ns": [3, 4], "m": {"k": 5.0}} 3.0',
    )
  })

  it('refuses what is no Parquet file', async () => {
    await expect(openRows(memoryFiles({ 'a.parquet': 'no parquet at all' }), 'a.parquet')).rejects.toThrow(
      'a.parquet: not a Parquet file, or damaged',
    )
  })
})

describe('a file larger than it may cost', () => {
  it('is never held in memory', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lowrank-rows-'))
    try {
      const path = join(folder, 'large.jsonl')
      // 256 MB of which almost all is a hole.
      const size = 256 << 20
      await writeFile(path, '{"text":"first"}\n')
      await truncate(path, size)
      const handle = await open(path, 'r+')
      // A hole reads as zero bytes: closed off from the rows by newlines, it is one row that is no JSON.
      await handle.write('\n{"text":"last"}\n', size - 17)
      await handle.close()

      const files = nodeFiles()
      let largest = 0
      const watched = {
        ...files,
        read: (p: string, range?: { offset: number; length: number }) => (
          (largest = Math.max(largest, range?.length ?? Infinity)),
          files.read(p, range)
        ),
      }
      const source = await openRows(watched, path)
      expect(source.length).toBe(3)
      expect((await source.row(0)).value).toEqual({ text: 'first' })
      expect((await source.row(2)).value).toEqual({ text: 'last' })
      expect(largest).toBeLessThanOrEqual(4 << 20)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('is read in stretches when read in order, and row by row when not', async () => {
    const line = `${JSON.stringify({ text: 'x'.repeat(1000) })}\n`
    const files = memoryFiles({ 'a.jsonl': line.repeat(8000) })
    const source = await openRows(files, 'a.jsonl')
    files.reads.length = 0
    for (let i = 0; i < 8000; i++) await source.row(i)
    expect(files.reads.length).toBeLessThan(12)
    expect(Math.max(...files.reads.map((read) => read.length))).toBeLessThanOrEqual(1 << 20)
    files.reads.length = 0
    for (let i = 0; i < 100; i++) await source.row((i * 7919) % 8000)
    expect(Math.max(...files.reads.slice(1).map((read) => read.length))).toBe(line.length)
  })
})
