/** @file What npm would publish: everything that package.json names is in the package, and types are found as code is. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { publint } from 'publint'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'lowrank-publish-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let tarball = ''

beforeAll(async () => {
  await promisify(execFile)('npm', ['pack', '--ignore-scripts', '--pack-destination', folder])
  tarball = join(
    folder,
    readdirSync(folder).find((name) => name.endsWith('.tgz'))!,
  )
}, 120_000)

describe('the package', () => {
  it('is as publint wants it', async () => {
    const bytes = readFileSync(tarball)
    const content = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
    const { messages } = await publint({ pack: { tarball: content as ArrayBuffer } })
    expect(messages.map(({ code, path }) => `${code}: ${path.join('.')}`)).toEqual([])
  })

  it('has types that are found wherever its code is', async () => {
    const found = await promisify(execFile)('node_modules/.bin/attw', [tarball, '--profile', 'esm-only', '--format', 'json', '--no-definitely-typed'], { maxBuffer: 2 ** 26 }) // prettier-ignore
    const { analysis } = JSON.parse(found.stdout) as { analysis: { problems: readonly { resolutionKind?: string }[] } }
    // Modules alone, as package.json says: what only CommonJS and Node 10 ask for is not there.
    const without = ['node10', 'node16-cjs']
    expect(analysis.problems.filter(({ resolutionKind = '' }) => !without.includes(resolutionKind))).toEqual([])
  }, 120_000)

  it('says that it is built before it is packed', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
    expect(scripts['prepack']).toBe('npm run --silent build')
  })
})
