/** @file Data sets of the hub, from a small hub of ours: what is fetched, what is kept, what is refused and how. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openRowData } from '../../src/data/open-data.js'
import { rowsOf } from '../../src/data/rows.js'
import { findDatasetUrls } from '../../src/hub/dataset-urls.js'
import { findDataset } from '../../src/hub/node-dataset.js'
import type { ResolveOptions } from '../../src/hub/node-resolve.js'
import { memoryFiles } from '../../src/io/memory-files.js'
import { nodeFiles } from '../../src/io/node-files.js'
import { urlFiles } from '../../src/io/url-files.js'

const content = readFileSync('test/fixtures/data/rows-zstd.parquet')
const sha256 = createHash('sha256').update(content).digest('hex')

let cacheDir: string
let endpoint: string
let requests: string[]
let token: string | undefined
/** Configs of each data set and their splits, with how many files each has. */
let sets: Record<string, Record<string, Record<string, number>>>
let cut: number | undefined
/** What the redirect says of the file: its hash, another one, or nothing. */
let linked: string | undefined
let mirror: string | undefined
let close: () => Promise<void>

const reply = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
}

function sendFile({ headers }: IncomingMessage, response: ServerResponse): void {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? []
  const start = Number(from ?? 0)
  const end = to === undefined || to === '' ? content.length : Number(to) + 1
  const part = content.subarray(start, end)
  response.writeHead(from === undefined ? 200 : 206, {
    'Content-Length': part.length,
    ETag: '"7"',
    ...(from !== undefined && { 'Content-Range': `bytes ${start}-${end - 1}/${content.length}` }),
  })
  if (cut === undefined || part.length === 1) return void response.end(part)
  const bytes = part.subarray(0, cut)
  cut = undefined
  response.write(bytes, () => setTimeout(() => response.destroy(), 20))
}

beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'lowrank-datasets-'))
  requests = []
  token = cut = mirror = undefined
  linked = sha256
  sets = { 'o/one': { default: { train: 2, test: 1 } }, 'o/many': { en: { train: 1 }, fr: { train: 1, validation: 1 } } }
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const authorization = request.headers.authorization
    requests.push([pathname, request.headers.range, authorization].filter((part) => part !== undefined).join(' '))
    // The store of large files, which must never see the token.
    if (pathname.startsWith('/store/')) return sendFile(request, response)
    if (token !== undefined && authorization !== `Bearer ${token}`)
      return reply(response, 401, {
        error: authorization === undefined ? 'Invalid username or password.' : 'Invalid credentials',
      })
    const [, name = '', rest = ''] = /^\/api\/datasets\/([^/]+\/[^/]+)\/parquet(.*)$/.exec(pathname) ?? []
    const set = sets[name]
    if (set === undefined) return reply(response, 404, { error: 'Repository not found' })
    if (rest === '') {
      const at = mirror ?? endpoint
      const urls = (config: string, split: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${at}/api/datasets/${name}/parquet/${config}/${split}/${i}.parquet`) // prettier-ignore
      return reply(response, 200, Object.fromEntries(Object.entries(set).map(([config, splits]) => [config, Object.fromEntries(Object.entries(splits).map(([split, count]) => [split, urls(config, split, count)]))]))) // prettier-ignore
    }
    const store = `http://localhost:${(server.address() as AddressInfo).port}/store${rest}`
    response.writeHead(302, { Location: store, ...(linked !== undefined && { 'X-Linked-ETag': `"${linked}"` }) }).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  close = () =>
    new Promise((resolve) => {
      server.closeAllConnections()
      server.close(() => resolve())
    })
})
afterEach(async () => {
  await close()
  await rm(cacheDir, { recursive: true, force: true })
})

const options = (more: ResolveOptions = {}): ResolveOptions => ({
  endpoint,
  cacheDir,
  env: { HF_HOME: cacheDir },
  wait: async () => undefined,
  ...more,
})
const find = (id: string, more?: ResolveOptions): Promise<readonly string[]> => findDataset(id, options(more))
const downloads = (): string[] => requests.filter((line) => line.startsWith('/store') && !line.includes('bytes=0-0'))

it('is read like files, all of a split in order', async () => {
  const { sources } = await openRowData({ files: nodeFiles(), findDataset: (id) => find(id) }, 'hf:o/one')
  expect(sources.map(({ length }) => length)).toEqual([60, 60])
  const rows = []
  for await (const { value } of rowsOf(sources)) rows.push(value['id'])
  expect(rows).toEqual([...Array(60).keys(), ...Array(60).keys()])
  expect((await find('hf:o/one@test')).length).toBe(1)
  expect((await find('hf:o/many:fr@validation'))[0]).toContain(join('datasets--o--many', 'parquet', 'fr', 'validation'))
})

it('is fetched once, and again where the hub has another file', async () => {
  const paths = await find('hf:o/one')
  expect(downloads()).toHaveLength(2)
  expect(readFileSync(paths[0]!)).toEqual(content)
  expect(await find('hf:o/one')).toEqual(paths)
  expect(downloads()).toHaveLength(2)
  linked = undefined
  expect(await find('hf:o/one')).not.toEqual(paths)
  expect(downloads()).toHaveLength(4)
})

it('goes on where a connection was cut, and tells damage', async () => {
  cut = 2000
  const [path] = await find('hf:o/one@test')
  expect(readFileSync(path!)).toEqual(content)
  expect(downloads().map((line) => line.split(' ')[1])).toEqual([undefined, 'bytes=2000-'])
  linked = 'b'.repeat(64)
  await expect(find('hf:o/one@test')).rejects.toThrow('arrived damaged twice')
})

it('sends the token to the endpoint alone, whatever address it names', async () => {
  token = 'secret'
  mirror = 'http://elsewhere.invalid'
  expect(await find('hf:o/one', { env: { HF_TOKEN: 'secret' } })).toHaveLength(2)
  expect(requests.filter((line) => line.startsWith('/store') && line.includes('secret'))).toEqual([])
  await expect(find('hf:o/one')).rejects.toThrow(/refused the data set "o\/one" \(status 401: Invalid username.*set HF_TOKEN/)
  await expect(find('hf:o/one', { token: 'wrong' })).rejects.toThrow(/the option "token" is wrong or has expired/)
  await expect(find('hf:o/one', { env: { HUGGING_FACE_HUB_TOKEN: 'wrong' } })).rejects.toThrow(
    /in HUGGING_FACE_HUB_TOKEN is wrong/,
  )
})

describe('what is not there', () => {
  it.each([
    ['hf:o/none', /has no data set "o\/none".*Repository not found.*check the spelling/],
    ['hf:o/many', 'the data set "o/many" has several configs, "en", "fr"; say which: hf:o/many:en'],
    ['hf:o/many:de', 'has no config "de"; there are "en", "fr"'],
    ['hf:o/many:en@test', 'the data set "o/many" (config "en") has no split "test"; there are "train": hf:o/many:en@train'],
    ['hf:o/one@dev', 'the data set "o/one" has no split "dev"; there are "train", "test": hf:o/one@train'],
    ['hf:o/empty', 'has no Parquet files of the data set "o/empty"'],
  ])('%s', async (id, message) => {
    sets['o/empty'] = {}
    await expect(find(id)).rejects.toThrow(message)
    await expect(findDatasetUrls(id, { endpoint })).rejects.toThrow(/o\/(none|many|one|empty)/)
    expect(downloads()).toEqual([])
  })
})

describe('without the hub', () => {
  it('a copy is used, with a warning', async () => {
    const paths = await find('hf:o/one')
    await close()
    const warnings: string[] = []
    expect(await find('hf:o/one', { onWarning: (text) => warnings.push(text) })).toEqual(paths)
    expect(warnings.join()).toContain('could not be reached')
    expect(await find('hf:o/one', { env: { HF_HUB_OFFLINE: '1' } })).toEqual(paths)
    await expect(find('hf:o/one@test')).rejects.toThrow('has no copy of config "default", split "test"')
    await rm(paths[1]!)
    await expect(find('hf:o/one')).rejects.toThrow(`lacks ${paths[1]}`)
  })

  it('nothing is asked offline, and what is missing is told', async () => {
    await expect(find('hf:o/one', { offline: true })).rejects.toThrow(/HF_HUB_OFFLINE is set.*has no copy/)
    expect(requests).toEqual([])
  })
})

it('in a page: parts of the files by their addresses', async () => {
  const files = urlFiles(memoryFiles())
  const { sources } = await openRowData({ files, findDataset: (id) => findDatasetUrls(id, { endpoint }) }, 'hf:o/one@test')
  expect((await sources[0]!.row(59)).value['id']).toBe(59)
})
