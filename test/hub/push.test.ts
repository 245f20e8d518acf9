/** @file A folder pushed to a hub of functions: what is sent and what is not, bytes that arrive, branches, and refusals. */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileError, HubError, InvalidAdapterError, InvalidModelError, InvalidOptionError } from '../../src/errors.js'
import { pushWithin, type PushOptions, type Pushed } from '../../src/hub/node-push.js'
import { nodeFiles } from '../../src/io/node-files.js'
import { addLora, loadAdapter, push, train } from '../../src/index.js'
import { randomRows, tinyModel, writeRows } from '../support/training.js'
import { publishingHub, type PublishingHub } from './publishing-hub.js'

const name = 'someone/adapter'
const noise = (length: number, seed: number): Buffer => Buffer.from(Uint8Array.from({ length }, (_, i) => (i * seed) % 251))
const weights = noise(30_000, 7919)
/** What an adapter consists of. */
const adapter: Readonly<Record<string, string | Buffer>> = {
  'README.md': '# Mine',
  LICENSE: 'MIT',
  'adapter_config.json': '{"base_model_name_or_path":"a/base"}',
  'tokenizer.json': noise(5000, 31),
  'chat_template.jinja': 'x'.repeat(100),
  'additional_chat_templates/rag.jinja': 'ü',
  'adapter_model.safetensors': weights,
}
/** What a run and its user leave beside. */
const beside: Readonly<Record<string, string>> = {
  'log.jsonl': '{"event":"start"}',
  'report.html': '<html>',
  'train.jsonl': '{"text":"secret"}',
  '.env': 'HF_TOKEN=secret',
  'runs/events.out': 'x',
  'checkpoint-4/adapter_config.json': '{}',
  'checkpoint-4/adapter_model.safetensors': 'x',
  'checkpoint-4/training_state.safetensors': 'x',
}

let root: string
let folder: string
let hub: PublishingHub

async function write(files: Readonly<Record<string, string | Buffer>>, where = folder): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(where, path)), { recursive: true })
    await writeFile(join(where, path), content)
  }
}

/** Pushes the folder, with the token that may write. */
const pushed = (options: PushOptions = {}, from = folder, to = name): Promise<Pushed> =>
  pushWithin(from, to, { endpoint: hub.endpoint, token: 'may-write', ...options }, { env: { HF_HOME: root } })
const writes = (): string[] => hub.requests.filter((line) => !line.startsWith('GET'))
const arrived = (branch = 'main'): Record<string, Buffer> => hub.branches.get(branch) ?? {}
const paths = ({ files }: Pushed): string[] => files.map(({ path }) => path)

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'lowrank-push-'))
  folder = join(root, 'out')
  hub = await publishingHub(name, 'may-write')
  await write({ ...adapter, ...beside })
})
afterEach(async () => {
  await hub.close()
  await rm(root, { recursive: true, force: true })
})

describe('what is pushed', () => {
  it('is what the adapter consists of, byte for byte, in one commit', async () => {
    const progress: number[] = []
    const result = await pushed({ onProgress: ({ sent }) => progress.push(sent) })
    expect(paths(result).sort()).toEqual(Object.keys(adapter).sort())
    expect(Object.keys(arrived()).sort()).toEqual(Object.keys(adapter).sort())
    for (const [path, content] of Object.entries(adapter)) expect(arrived()[path]).toEqual(Buffer.from(content))
    expect(hub.commits).toMatchObject([{ branch: 'main', title: 'Upload adapter with lowrank', pullRequest: false }])
    expect(result).toMatchObject({ repository: name, revision: 'main', kind: 'adapter', url: `${hub.endpoint}/${name}` })
    expect(result.commit).toMatch(/^a{40}$/)
    expect(hub.repository).toEqual({ private: false })
    // Only what is large goes to storage, which is told no token.
    expect(hub.storage.size).toBe(2)
    expect(hub.storageTokens).toEqual([undefined, undefined])
    expect(progress.at(-1)).toBe(weights.length + 5000)
  })

  it('sends files in parts where storage asks for that, and nothing that is there already', async () => {
    const large = noise(250_001, 7)
    await write({ 'adapter_model.safetensors': large })
    await pushed()
    expect(hub.requests.filter((line) => line.startsWith('PUT /part/'))).toHaveLength(3)
    expect(arrived()['adapter_model.safetensors']).toEqual(large)
    const before = hub.requests.length
    await pushed({ message: 'Again' })
    expect(hub.requests.slice(before).filter((line) => line.startsWith('PUT'))).toEqual([])
    expect(hub.commits[1]?.title).toBe('Again')
  })

  it('is what a merged or exported model consists of', async () => {
    const model = join(root, 'merged')
    const index = JSON.stringify({ weight_map: { a: 'model-1-of-2.safetensors', b: 'model-2-of-2.safetensors' } })
    const whole = {
      'config.json': '{"model_type":"llama"}',
      'generation_config.json': '{}',
      'model.safetensors.index.json': index,
      'model-1-of-2.safetensors': 'one',
      'model-2-of-2.safetensors': 'two',
      'preprocessor_config.json': '{}',
      'onnx/model.onnx': 'graph',
      'onnx/model.onnx_data_1': 'data',
    }
    await write({ ...whole, 'model-3-of-2.safetensors': 'stray', 'optimizer.pt': 'x' }, model)
    const result = await pushed({}, model)
    expect(result.kind).toBe('model')
    expect(Object.keys(arrived()).sort()).toEqual(Object.keys(whole).sort())
    await rm(join(model, 'model-2-of-2.safetensors'))
    await expect(pushed({}, model)).rejects.toThrow(InvalidModelError)
    await expect(pushed({}, model)).rejects.toThrow(/names model-2-of-2.safetensors, not there/)
  })

  it('takes beside it what is asked for, and leaves out what is not wanted', async () => {
    const result = await pushed({
      dryRun: true,
      include: ['report.html', 'runs/**'],
      exclude: ['LICENSE', 'additional_chat_templates/'],
    })
    const expected = [...Object.keys(adapter).filter((path) => !/LICENSE|rag/.test(path)), 'report.html', 'runs/events.out']
    expect(paths(result).sort()).toEqual(expected.sort())
    expect(paths(await pushed({ dryRun: true, include: ['*'] }))).not.toContain('.env')
    await expect(pushed({ include: ['raport.html'] })).rejects.toThrow(/include "raport.html" fits no file/)
    await expect(pushed({ exclude: ['*.safetensors'] })).rejects.toThrow(/leaves out adapter_model.safetensors/)
    expect(hub.requests).toEqual([])
  })

  it('is told without a token and without a request', async () => {
    const result = await pushWithin(folder, name, { endpoint: hub.endpoint, dryRun: true }, { env: { HF_HOME: root } })
    expect(result.files).toContainEqual({ path: 'adapter_model.safetensors', size: weights.length })
    expect(result).not.toHaveProperty('commit')
    expect(hub.requests).toEqual([])
  })

  it('is nothing that a link leads to elsewhere', async () => {
    await write({ secret: 'x' }, root)
    await symlink(join(root, 'secret'), join(folder, 'NOTICE'))
    await expect(pushed()).rejects.toThrow(/NOTICE" is a link to .*secret", outside the folder/)
    expect(paths(await pushed({ dryRun: true, exclude: ['NOTICE'] }))).not.toContain('NOTICE')
  })
})

describe('where it goes', () => {
  it('a private repository, and never a public one that was to be private', async () => {
    await pushed({ private: true })
    expect(hub.repository).toEqual({ private: true })
    hub.repository = { private: false }
    const before = hub.requests.length
    await expect(pushed({ private: true })).rejects.toThrow(/is there and public.*Nothing was sent/)
    expect(hub.requests.slice(before).filter((line) => !line.startsWith('GET'))).toEqual([])
  })

  it('a branch, made where it is not there', async () => {
    for (const to of [`${name}@v2`, name]) await pushed({ ...(to === name && { revision: 'v2' }) }, folder, to)
    expect(hub.commits.map(({ branch }) => branch)).toEqual(['v2', 'v2'])
    expect(writes().filter((line) => line.includes('/branch/'))).toHaveLength(1)
    expect(arrived('v2')['adapter_model.safetensors']).toEqual(weights)
    expect(arrived()).toEqual({})
  })

  it('a pull request of a repository that is there', async () => {
    await expect(pushed({ pullRequest: true })).rejects.toThrow(/no repository "someone\/adapter" to open a pull request at/)
    expect(writes()).toEqual([])
    hub.repository = { private: false }
    const result = await pushed({ pullRequest: true })
    expect(result.url).toBe(`${hub.endpoint}/${name}/discussions/1`)
    expect(hub.commits).toMatchObject([{ branch: 'main', pullRequest: true }])
    expect(arrived()).toEqual({})
    await expect(pushed({ pullRequest: true, revision: 'v9' })).rejects.toThrow(/has no branch "v9"/)
  })

  it('only to repositories of models', async () => {
    await expect(pushed({}, folder, 'adapter')).rejects.toThrow(/no repository of the hub; write owner\/name/)
    await expect(pushed({}, folder, 'datasets/a/b')).rejects.toThrow(/repositories of models/)
    await expect(pushed({ revision: '../x' })).rejects.toThrow(InvalidOptionError)
    await expect(push(folder, name, { publik: true } as PushOptions)).rejects.toThrow(/unknown option "publik"/)
    expect(hub.requests).toEqual([])
  })
})

describe('a README', () => {
  const card = '<!-- Written by lowrank from the training log; remove this line to keep your own changes. -->'

  it('that somebody wrote stays, here and on the hub', async () => {
    hub.repository = { private: false }
    const warnings: string[] = []
    const onWarning = (message: string): void => void warnings.push(message)
    await pushed({ onWarning })
    expect(arrived()['README.md']?.toString()).toBe('# Mine')
    expect(await readFile(join(folder, 'README.md'), 'utf8')).toBe('# Mine')
    await write({ 'README.md': `${card} one` })
    expect(paths(await pushed({ onWarning }))).not.toContain('README.md')
    expect(arrived()['README.md']?.toString()).toBe('# Mine')
    expect(warnings).toEqual([expect.stringMatching(/has a README.md that lowrank has not written, which stays/)])
    await pushed({ include: ['README.md'] })
    expect(arrived()['README.md']?.toString()).toBe(`${card} one`)
    await write({ 'README.md': `${card} two` })
    await pushed()
    expect(arrived()['README.md']?.toString()).toBe(`${card} two`)
  })

  it.each([
    ['{"base_model_name_or_path":"./local"}', /names "\.\/local" as its base model, which nobody else can load/],
    ['{"base_model_name_or_path":null}', /names nothing as its base model/],
    ['{"base_model_name_or_path":"src/hub"}', /names "src\/hub"/],
  ])('warns of a base that only this machine has: %s', async (config, message) => {
    await write({ 'adapter_config.json': config })
    const warnings: string[] = []
    await pushed({ dryRun: true, onWarning: (text) => warnings.push(text) })
    expect(warnings).toEqual([expect.stringMatching(message)])
  })
})

describe('folders that are refused', () => {
  it('one that a run writes to', async () => {
    const release = await nodeFiles().lock!(join(folder, '.lowrank.lock'))
    await expect(pushed()).rejects.toThrow(FileError)
    await expect(pushed()).rejects.toThrow(/is being written by another run/)
    await release()
    await pushed()
  })

  it('one with checkpoints alone, which says what to do', async () => {
    const run = join(root, 'run')
    await write({ 'log.jsonl': '', 'checkpoint-2/adapter_config.json': '{}', 'checkpoint-10/adapter_config.json': '{}' }, run)
    await expect(pushed({}, run)).rejects.toThrow(InvalidAdapterError)
    await expect(pushed({}, run)).rejects.toThrow(/checkpoints .*\(checkpoint-2, checkpoint-10\).*resume.*run\/checkpoint-10"/)
    // A checkpoint by its own name is an adapter, without the optimizer's state.
    expect(paths(await pushed({}, join(folder, 'checkpoint-4/'))).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
    ])
  })

  it('one without an adapter and a model, half of one, none, and a file', async () => {
    await write({ 'a.txt': '' }, join(root, 'other'))
    await expect(pushed({}, join(root, 'other'))).rejects.toThrow(/holds neither an adapter .* nor a model .*it has "a.txt"/)
    await write({ 'config.json': '{}' }, join(root, 'other'))
    await expect(pushed({}, join(root, 'other'))).rejects.toThrow(/holds neither/)
    await rm(join(folder, 'adapter_model.safetensors'))
    await expect(pushed()).rejects.toThrow(/no whole adapter: it has adapter_config.json and no adapter_model.safetensors/)
    await expect(pushed({}, join(root, 'nowhere'))).rejects.toThrow(/is not there/)
    await expect(pushed({}, join(root, 'other/a.txt'))).rejects.toThrow(/is a file/)
    expect(hub.requests).toEqual([])
    expect(existsSync(join(root, 'nowhere'))).toBe(false)
  })
})

describe('a hub that does not take it', () => {
  it('asks for a token', async () => {
    const env = { HF_HOME: root }
    const without = (): Promise<Pushed> => pushWithin(folder, name, { endpoint: hub.endpoint }, { env })
    await expect(without()).rejects.toThrow(/needs an access token that may write.*settings\/tokens and set HF_TOKEN, or log in/)
    expect(hub.requests).toEqual([])
    await writeFile(join(root, 'token'), 'may-write\n')
    expect(await without()).toHaveProperty('commit')
    await writeFile(join(root, 'token'), 'old')
    await expect(without()).rejects.toThrow(/status 401: Invalid credentials.*access token in .*token is wrong or has expired/)
    await expect(pushWithin(folder, name, {}, { env: { ...env, HF_HUB_OFFLINE: '1' } })).rejects.toThrow(/HF_HUB_OFFLINE is set/)
  })

  it('says that a token may not write, and has sent nothing', async () => {
    for (const repository of [undefined, { private: false }]) {
      hub.repository = repository
      await expect(pushed({ token: 'READ-ONLY' })).rejects.toThrow(
        /status 403: You have read access.*access token in the option "token" may not write there; make one of the kind "write" .*may write to "someone"/,
      )
    }
    expect(hub.commits).toEqual([])
    expect(hub.storage.size).toBe(0)
  })

  it('says that the name is taken', async () => {
    hub.trouble.set(/repos\/create/, 409)
    await expect(pushed()).rejects.toThrow(/making the repository .*status 409.*something else has that name.*Nothing was sent/)
  })

  it('leaves nothing half done, and says what is there', async () => {
    hub.trouble.set(/^\/storage\//, 500)
    await expect(pushed()).rejects.toThrow(/in trouble.*The repository "someone\/adapter" was made, and is empty/)
    hub.trouble.clear()
    hub.trouble.set(/^\/storage\//, 'drop')
    await expect(pushed()).rejects.toThrow(HubError)
    await expect(pushed()).rejects.toThrow(/could not be reached .*No commit was made. Push again later/)
    hub.trouble.clear()
    hub.trouble.set(/\/commit\/main/, 412)
    await expect(pushed()).rejects.toThrow(/somebody else pushed meanwhile.*No commit was made/)
    hub.trouble.clear()
    for (const end of ['drop', 502] as const) {
      hub.trouble.set(/\/commit\/main/, end)
      await expect(pushed()).rejects.toThrow(/was lost while it was making the commit.*All of it is there, or nothing/)
    }
    expect(hub.commits).toEqual([])
    expect(arrived()).toEqual({})
    hub.trouble.clear()
    await pushed()
    expect(hub.commits).toHaveLength(1)
  })

  it('says that it cannot be reached, gives up on one that is silent, and knows another server', async () => {
    const endpoint = hub.endpoint
    hub.trouble.set(/revision/, 404)
    hub.repository = undefined
    hub.answer = (_, response) => {
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>')
      return true
    }
    await expect(pushed()).rejects.toThrow(/gave an answer that is none of the hub's.*Nothing was sent/)
    hub.answer = () => true
    const silent = pushWithin(folder, name, { endpoint, token: 't' }, { env: { HF_HOME: root }, stall: 100 })
    await expect(silent).rejects.toThrow(/could not be reached .*nothing moved for 0.1 seconds/)
    await hub.close()
    await expect(pushed({ endpoint })).rejects.toThrow(/could not be reached \(looking at the repository.*Nothing was sent/)
    hub = await publishingHub(name, 'may-write')
  })
})

it('what was trained and pushed loads again by its id', async () => {
  const out = join(root, 'trained')
  const model = tinyModel()
  const trained = await addLora(model, { r: 2, targetModules: ['q_proj'] })
  const data = writeRows(join(root, 'rows.jsonl'), randomRows(6))
  for await (const _ of train(trained, { data, out, steps: 2, batchSize: 3, checkpointEvery: 1 }));
  expect(paths(await pushed({}, out)).sort()).toEqual(['README.md', 'adapter_config.json', 'adapter_model.safetensors'])
  const loaded = await loadAdapter(model, name, { endpoint: hub.endpoint, token: 'may-write', cacheDir: join(root, 'cache') })
  const again = join(root, 'again')
  await loaded.save(again)
  expect(await readFile(join(again, 'adapter_model.safetensors'))).toEqual(await readFile(join(out, 'adapter_model.safetensors')))
  expect(await readFile(join(root, 'cache/models--someone--adapter/refs/main'), 'utf8')).toMatch(/^a{40}$/)
})
