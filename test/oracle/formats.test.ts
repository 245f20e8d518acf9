/** @file What PyTorch, PEFT and ONNX Runtime made of the adapters that we write; the fixture comes from check-formats.py. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../support/training.js'
import { writeFormats } from './write-formats.js'

const folder = temporaryFolder()
const fixture = JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/formats/checked.json'), 'utf8')) as {
  readonly files: Readonly<Record<string, string>>
}

it('every file is written, byte for byte, as Python accepted it', async () => {
  await writeFormats(folder)
  const written = Object.keys(fixture.files).map((name) => [
    name,
    createHash('sha256')
      .update(readFileSync(join(folder, name)))
      .digest('hex'),
  ])
  expect(Object.fromEntries(written)).toEqual(fixture.files)
  expect(written).toHaveLength(6)
})
