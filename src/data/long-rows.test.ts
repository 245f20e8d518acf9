/** @file A row of many megabytes is refused by its line, before it is read into memory. */
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { memoryFiles } from '../io/memory-files.js'
import { nodeFiles } from '../io/node-files.js'
import type { Files } from '../io/files.js'
import { openRows } from './open-rows.js'
import { openParquet } from './read-parquet.js'
import { fileAt } from './row-file.js'

const MEGABYTE = 1 << 20
const long = 'x'.repeat(60 * MEGABYTE)

describe.each([
  ['JSONL', 'a.jsonl', `{"text":"a"}\n{"text":"${long}"}\n{"text":"c"}\n`, 2],
  ['CSV', 'a.csv', `text,label\na,1\n"${long}",1\nc,1\n`, 3],
  ['a quote that spans lines', 'b.csv', `text\na\n"${`${'x'.repeat(99)}\n`.repeat(600_000)}"\nc\n`, 3],
  ['TSV', 'a.tsv', `text\na\n${long}\nc\n`, 3],
])('%s', (_name, path, content, line) => {
  it('names the line, reads nothing of it, and goes on with the others', async () => {
    const memory = memoryFiles({ [path]: content })
    let largest = 0
    const files: Files = {
      ...memory,
      read: (of, range) => {
        largest = Math.max(largest, range?.length ?? Infinity)
        return memory.read(of, range)
      },
    }
    const source = await openRows(files, path)
    expect(source.length).toBe(3)
    await expect(source.row(1)).rejects.toThrow(
      new RegExp(`^${path}, line ${line}: the row has 6\\d{7} bytes, and 33554432 are the most; cut it into several rows\\.$`),
    )
    expect((await source.row(2)).value['text']).toBe('c')
    expect(largest).toBeLessThanOrEqual(4 * MEGABYTE)
  })
})

it('Parquet', async () => {
  const path = join(resolve(import.meta.dirname, '../..'), 'test/fixtures/data/rows.parquet')
  // There is no large file at hand: the bound is made small.
  const source = await openParquet(await fileAt(nodeFiles(), path), 20)
  const lengths: (string | number)[] = []
  for (let i = 0; i < source.length; i++)
    lengths.push(
      await source.row(i).then(
        ({ value }) => JSON.stringify(value).length,
        (error: Error) => error.message.replace(/\d+ bytes/, 'N bytes'),
      ),
    )
  expect(lengths.some((entry) => typeof entry === 'string')).toBe(true)
  for (const [i, entry] of lengths.entries())
    if (typeof entry === 'string')
      expect(entry).toBe(`${path}, line ${i + 1}: the row has N bytes, and 20 are the most; cut it into several rows.`)
})
