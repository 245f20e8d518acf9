/** @file Tables without a header: rows from the first line on, columns by their numbers, and what is refused. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import { nodeFiles } from '../io/node-files.js'
import { openRowData, type OpenDataOptions } from './open-data.js'
import type { RowData } from './row-data.js'
import { rowsOf, type Row } from './rows.js'
import { memoryFiles } from '../../test/support/data.js'

/** As GLUE writes CoLA, with the quotes of SST-2 and RTE. */
const cola = 'gj04\t1\t\tHe said "no.\ngj04\t0\t*\t"Them" went, ""quickly"\n\ngj04\t1\t\t\u00e9t\u00e9 "\n'
const contents: Record<string, string> = {
  'cola.tsv': cola,
  'narrow.tsv': 'one\ttwo\n',
  'digits.csv': '0,0,"5,1"\r\n0,"1\n2",3\r\n',
  'empty.csv': '',
  'named.tsv': 'text\tlabel\na\t1\n',
  'rows.jsonl': '{"text":"a"}\n',
}

async function read(data: RowData, options: OpenDataOptions = {}): Promise<Row[]> {
  const rows: Row[] = []
  for await (const row of rowsOf((await openRowData({ files: memoryFiles(contents) }, data, options)).sources)) rows.push(row)
  return rows
}

const header = false

describe('a table without a header', () => {
  it('begins with its first row, takes quotes between tabs as they are, and calls columns by their numbers', async () => {
    expect(await read('cola.tsv', { header })).toEqual([
      { value: { 1: 'gj04', 2: '1', 3: '', 4: 'He said "no.' }, file: 'cola.tsv', line: 1 },
      { value: { 1: 'gj04', 2: '0', 3: '*', 4: '"Them" went, ""quickly"' }, file: 'cola.tsv', line: 2 },
      { value: { 1: 'gj04', 2: '1', 3: '', 4: 'été "' }, file: 'cola.tsv', line: 4 },
    ])
    expect((await read('digits.csv', { header })).map(({ value, line }) => [value, line])).toEqual([
      [{ 1: '0', 2: '0', 3: '5,1' }, 1],
      [{ 1: '0', 2: '1\n2', 3: '3' }, 2],
    ])
  })

  it('has fields read by the numbers of their columns, from files and blobs', async () => {
    const columns = { label: '2', text: '4' }
    const wanted = [
      { 1: 'gj04', 3: '', label: '1', text: 'He said "no.' },
      { 1: 'gj04', 3: '*', label: '0', text: '"Them" went, ""quickly"' },
      { 1: 'gj04', 3: '', label: '1', text: 'été "' },
    ]
    const blobs = [new File([cola], 'cola.tsv'), new Blob([cola], { type: 'text/tab-separated-values' })]
    for (const data of ['cola.tsv', ...blobs])
      expect((await read(data, { columns, header })).map(({ value }) => value)).toEqual(wanted)
    const [first] = (await openRowData({ files: memoryFiles(contents) }, 'cola.tsv', { columns, header })).sources
    expect([(await first!.row(2)).value, first!.place(2)]).toEqual([wanted[2], { line: 4 }])
  })

  it('may be one empty file of several', async () => {
    expect(await read(['empty.csv', 'narrow.tsv'], { header, columns: { text: '2' } })).toMatchObject([
      { value: { text: 'two' } },
    ])
    await expect(read('empty.csv', { header })).rejects.toThrow('no row in empty.csv: the data set is empty.')
  })

  it.each<[OpenDataOptions['columns'] & object, string]>([
    [{ text: '5' }, 'cola.tsv, line 1: 4 columns, but "text" is to be read from "5", as columns (--columns text=5) says; without a header columns are called by their numbers, 1 to 4.'], // prettier-ignore
    [{ text: '0' }, 'cola.tsv, line 1: 4 columns, but "text" is to be read from "0"'],
    [{ label: '2', text: 'sentence' }, 'cola.tsv, line 1: 4 columns, but "text" is to be read from "sentence"'],
    [{ text: '04' }, '"text" is to be read from "04"'],
  ])('refuses columns that it has not: %j', async (columns, message) => {
    await expect(read('cola.tsv', { header, columns })).rejects.toThrow(message)
    await expect(read('cola.tsv', { header, columns })).rejects.toThrow(InvalidDataError)
  })

  it('refuses a column that one of several files is too narrow for', async () => {
    await expect(read(['cola.tsv', 'narrow.tsv'], { header, columns: { text: '4' } })).rejects.toThrow(
      'narrow.tsv, line 1: 2 columns, but "text"',
    )
  })

  it.each([
    ['a.csv', '1,2\n\n1,2,3\n', 'a.csv, line 3: 3 fields where the first row, line 1, has 2.'],
    ['a.tsv', '\na\tb\n"a\tb"\tc\n', 'a.tsv, line 3: 3 fields where the first row, line 2, has 2. In TSV a quote is a character like any other'], // prettier-ignore
  ])('refuses rows of unequal length in %s', async (name, content, message) => {
    const { sources } = await openRowData({ files: memoryFiles({ [name]: content }) }, name, { header })
    await expect(sources[0]!.row(1)).rejects.toThrow(message)
  })
})

describe('what has names of its fields', () => {
  it.each<[string, RowData, string]>([
    ['JSON lines', 'rows.jsonl', 'rows.jsonl: header: false (--no-header) is for CSV and TSV files without names of columns, and rows of .jsonl have the names of their fields; leave it out'], // prettier-ignore
    ['one of several files', ['cola.tsv', 'rows.jsonl'], 'rows.jsonl: header: false'],
    ['Parquet', new File(['PAR1'], 'a.parquet'), 'a.parquet: header: false (--no-header) is for CSV and TSV files without names of columns, and rows of .parquet'], // prettier-ignore
    ['rows in memory', [{ text: 'a' }], 'data: header: false (--no-header) is for CSV and TSV files without names of columns, and rows in memory'], // prettier-ignore
  ])('is refused without: %s', async (_, data, message) => {
    await expect(read(data, { header })).rejects.toThrow(message)
    await expect(read(data, { header })).rejects.toThrow(InvalidOptionError)
    if (!(data instanceof Blob) && !String(data).includes('cola')) expect(await read(data, { header: true })).toHaveLength(1)
  })
})

describe('a table that is read with a header', () => {
  it.each([
    ['a,b,a\n', 'the header names "a" twice; where the first line is a row, header: false (--no-header) reads it as one'],
    ['a,,b\n', 'column 2 of the header has no name; where the first line is a row, header: false (--no-header)'],
  ])('%j names what reads it without one', async (content, message) => {
    await expect(openRowData({ files: memoryFiles({ 'a.csv': content }) }, 'a.csv')).rejects.toThrow(message)
  })

  it('names it too where columns are asked for by numbers', async () => {
    const asked = read('named.tsv', { columns: { text: '2' } })
    await expect(asked).rejects.toThrow('no row has the column "2"')
    await expect(asked).rejects.toThrow('in CSV and TSV files without a header: header: false (--no-header).')
    await expect(read('named.tsv', { columns: { text: 'txt' } })).rejects.not.toThrow('--no-header')
  })
})

const folder = '../shared/data'
const tables = JSON.parse(readFileSync('test/fixtures/data/raw-tables.json', 'utf8')) as Record<
  string,
  { readonly header: boolean; readonly rows: number; readonly width: number; readonly sha256: string }
>

describe('raw files of GLUE and scikit-learn, as Python reads them', () => {
  for (const [name, table] of Object.entries(tables)) {
    const path = join(folder, name)
    const isThere = existsSync(path)
    it.skipIf(!isThere)(`${name}${isThere ? '' : `: ${path} is not there`}`, async () => {
      const { sources } = await openRowData({ files: nodeFiles() }, path, { header: table.header })
      const hash = createHash('sha256')
      let rows = 0
      for await (const { value } of rowsOf(sources)) {
        const fields = Object.values(value) as string[]
        expect(fields).toHaveLength(table.width)
        hash.update(`${fields.join('\x1f')}\x1e`)
        rows++
      }
      expect([rows, hash.digest('hex')]).toEqual([table.rows, table.sha256])
    })
  }
})
