/** @file Event files: held to the bytes that TensorBoard's own messages and writer give (test/oracle/write-tracking.py). */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { crc32c, maskedCrc32c } from './crc32c.js'
import { endRecord, scalarsRecord, settingsRecord, startRecord, textRecord, versionRecord } from './event-file.js'

const fixture = JSON.parse(readFileSync(resolve(import.meta.dirname, '../../test/fixtures/tracking/events.json'), 'utf8')) as {
  readonly time: number
  readonly checksums: readonly (readonly [text: string, plain: number, masked: number])[]
  readonly records: Readonly<Record<string, string>>
}
const { time } = fixture

const ours: Readonly<Record<string, Uint8Array>> = {
  version: versionRecord(time),
  start: startRecord(time, 0),
  resumed: startRecord(time, 301),
  scalars: scalarsRecord(time, 3_000_000_000, { 'train/loss': 2.5, 'train/grad_norm': 0.1 }),
  text: textRecord(time, 7, 'samples/1', '**größer** '.repeat(40)),
  number: settingsRecord(time, 'run', { learning_rate: 2e-4 }),
  word: settingsRecord(time, 'run', { schedule: 'cosine' }),
  truth: settingsRecord(time, 'run', { packing: true }),
  falsehood: settingsRecord(time, 'run', { shuffle: false }),
  finished: endRecord(time, 'finished'),
  aborted: endRecord(time, 'aborted'),
  failed: endRecord(time, 'failed'),
}

describe('CRC-32C', () => {
  it.each(fixture.checksums)('of %j', (text, plain, masked) => {
    const bytes = new TextEncoder().encode(text)
    expect([crc32c(bytes), maskedCrc32c(bytes)]).toEqual([plain, masked])
  })
})

describe('records', () => {
  it.each(Object.entries(fixture.records))('%s', (name, hex) => {
    expect(Buffer.from(ours[name]!).toString('hex')).toBe(hex)
  })
})
