/** @file Fingerprints of content: every byte counts, however it comes; what is remembered is never stale. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Files } from '../io/files.js'
import { memoryFiles } from '../io/memory-files.js'
import { nodeFiles } from '../io/node-files.js'
import { ContentHash, fingerprintArray, fingerprintFile, fingerprintText } from './fingerprint.js'

const folder = mkdtempSync(join(tmpdir(), 'lowrank-fingerprint-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * 31 + 1) % 256)
const hash = (data: Uint8Array): string => new ContentHash().update(data).digest()

describe('the hash', () => {
  it('does not depend on the pieces in which bytes come, nor on where they lie', () => {
    const whole = hash(bytes)
    for (const size of [1, 3, 16, 17, 64, 999]) {
      const pieces = new ContentHash()
      for (let i = 0; i < bytes.length; i += size) pieces.update(bytes.subarray(i, i + size))
      expect(pieces.digest()).toBe(whole)
    }
    const shifted = new Uint8Array(1001)
    shifted.set(bytes, 1)
    expect(hash(shifted.subarray(1))).toBe(whole)
    expect(fingerprintArray(new Float32Array(bytes.buffer, 0, 250))).toBe(whole)
  })

  it('tells apart every change of a bit, every length, and zeros at the end', () => {
    const seen = new Set([hash(bytes)])
    for (let i = 0; i < bytes.length; i++) {
      const other = bytes.slice()
      other[i]! ^= 1 << (i % 8)
      seen.add(hash(other))
    }
    for (let i = 0; i < bytes.length; i++) seen.add(hash(bytes.subarray(0, i)))
    for (let i = 0; i < 40; i++) seen.add(hash(new Uint8Array(i + 1)))
    expect(seen.size).toBe(1 + 2 * bytes.length + 40)
    expect(fingerprintText('ab')).not.toBe(fingerprintText('ba'))
  })
})

describe('of files', () => {
  it('notices a byte in the middle, of equal size and with its time put back', async () => {
    const path = join(folder, 'weights')
    const large = new Uint8Array(3 << 20)
    writeFileSync(path, large)
    const then = new Date(2020, 1)
    utimesSync(path, then, then)
    const before = await fingerprintFile(nodeFiles(), path)
    expect(before.startsWith(`${large.length}:`)).toBe(true)
    large[1_500_000] = 1
    writeFileSync(path, large)
    utimesSync(path, then, then)
    expect(await fingerprintFile(nodeFiles(), path)).not.toBe(before)
  })

  it('reads a file that has not changed once, a large one even for later processes', async () => {
    const path = join(folder, 'large')
    writeFileSync(path, new Uint8Array((64 << 20) + 5).fill(7))
    const cache = join(folder, 'cache')
    const real = nodeFiles()
    let read = 0
    let version = 'first'
    const files: Files = {
      ...real,
      version: async (of) => (of === path ? `${folder} ${version}` : real.version!(of)),
      read: (of, range) => (of === path && (read += range!.length), real.read(of, range)),
    }
    const print = await fingerprintFile(files, path, cache)
    const [note] = readdirSync(join(cache, 'fingerprints'))
    expect(read).toBe((64 << 20) + 5)
    expect(await fingerprintFile(files, path, cache)).toBe(print)
    expect(read).toBe((64 << 20) + 5)
    // As another process: with the note alone. A note of another version, or a damaged one, counts for nothing.
    version = 'second'
    const noted = join(cache, 'fingerprints', note!)
    writeFileSync(noted, JSON.stringify({ ...(JSON.parse(readFileSync(noted, 'utf8')) as object), version: `${folder} second` }))
    expect(await fingerprintFile(files, path, cache)).toBe(print)
    expect(read).toBe((64 << 20) + 5)
    for (const text of ['{', '[]', 'null', '{"version":"other","print":"1:2"}']) {
      version = text
      writeFileSync(noted, text)
      read = 0
      expect(await fingerprintFile(files, path, cache)).toBe(print)
      expect(read).toBe((64 << 20) + 5)
    }
  })

  it('of a page are told by their blobs; behind a network by samples', async () => {
    const page = memoryFiles({ a: 'one', b: 'one' })
    expect(await fingerprintFile(page, 'a')).toBe(await fingerprintFile(page, 'b'))
    await page.write('a', 'two')
    expect(await fingerprintFile(page, 'a')).not.toBe(await fingerprintFile(page, 'b'))
    let asked = 0
    const remote = new Uint8Array(40 << 20)
    const files = {
      ...page,
      version: async () => undefined,
      size: async () => remote.length,
      read: async (_: string, range?: { offset: number; length: number }) => {
        asked += range!.length
        return remote.subarray(range!.offset, range!.offset + range!.length)
      },
    }
    const before = await fingerprintFile(files, 'https://host/model.safetensors')
    expect(asked).toBe(1 << 20)
    remote[remote.length - 1] = 1
    expect(await fingerprintFile(files, 'https://host/model.safetensors')).not.toBe(before)
  })
})
