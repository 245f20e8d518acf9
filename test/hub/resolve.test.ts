/**
 * @file Models and adapters fetched from a hub of functions: which files, into the cache layout of Python, nothing twice, and
 * errors.
 */
import { execFile, spawnSync } from 'node:child_process'
import { existsSync, readlinkSync } from 'node:fs'
import { link, mkdir, mkdtemp, readFile, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileError, HubError } from '../../src/errors.js'
import { resolveModel, type ResolveOptions } from '../../src/hub/node-resolve.js'
import { COMMIT, fakeHub, gitSha1, sha256, type Fake } from './fake-hub.js'

const name = 'someone/tiny'
const weights = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251))
const files = {
  '.gitattributes': Buffer.from('*.safetensors lfs'),
  'README.md': Buffer.from('# tiny'),
  'config.json': Buffer.from('{"model_type":"llama"}'),
  'tokenizer.json': Buffer.from('{}'),
  'model.safetensors': weights,
  'consolidated.safetensors': Buffer.from('the same weights under other names'),
  'pytorch_model.bin': Buffer.from('pickle'),
}

let hub: Fake
let cacheDir: string
const options = (more: ResolveOptions = {}): ResolveOptions => ({
  endpoint: hub.endpoint,
  cacheDir,
  env: { HF_HOME: cacheDir },
  wait: async () => undefined,
  ...more,
})
const blobs = (): string => join(cacheDir, 'models--someone--tiny', 'blobs')
const incompletes = async (): Promise<string[]> => (await readdir(blobs())).filter((file) => file.endsWith('.incomplete'))
const downloads = (): string[] => hub.requests.filter((line) => line.includes('/resolve/'))

beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'lowrank-hub-'))
  hub = await fakeHub(name, files)
})
afterEach(async () => {
  await hub.close()
  await rm(cacheDir, { recursive: true, force: true })
})

describe('a model from the hub', () => {
  it('fetches what is needed into the cache layout that Python uses', async () => {
    const progress: string[] = []
    const resolved = await resolveModel(name, options({ onProgress: (p) => progress.push(`${p.file} ${p.received}/${p.size}`) }))
    expect(resolved).toEqual({ path: join(cacheDir, 'models--someone--tiny', 'snapshots', COMMIT), id: name, commit: COMMIT })
    expect(await readdir(resolved.path)).toEqual(['config.json', 'model.safetensors', 'tokenizer.json'])
    expect(await readFile(join(resolved.path, 'model.safetensors'))).toEqual(weights)
    expect(readlinkSync(join(resolved.path, 'model.safetensors'))).toBe(join('..', '..', 'blobs', sha256(weights)))
    expect(readlinkSync(join(resolved.path, 'config.json'))).toBe(join('..', '..', 'blobs', gitSha1(files['config.json'])))
    expect(await readFile(join(cacheDir, 'models--someone--tiny', 'refs', 'main'), 'utf8')).toBe(COMMIT)
    expect(progress.at(-1)).toBe('model.safetensors 300000/300000')
  })

  it('fetches nothing twice', async () => {
    await resolveModel(name, options())
    const before = downloads().length
    await resolveModel(`${name}@v1`, options())
    expect(downloads().length).toBe(before)
    expect(await readFile(join(cacheDir, 'models--someone--tiny', 'refs', 'v1'), 'utf8')).toBe(COMMIT)
  })

  it('fetches the shards that the index names, and no others', async () => {
    await hub.close()
    const index = {
      weight_map: {
        a: 'model-00001-of-00002.safetensors',
        b: 'model-00002-of-00002.safetensors',
        c: 'model-00001-of-00002.safetensors',
      },
    }
    hub = await fakeHub(name, {
      'config.json': files['config.json'],
      'model.safetensors.index.json': Buffer.from(JSON.stringify(index)),
      'model-00001-of-00002.safetensors': Buffer.from('one'),
      'model-00002-of-00002.safetensors': Buffer.from('two'),
      'consolidated.00.safetensors': Buffer.from('again'),
    })
    const { path } = await resolveModel(name, options())
    expect(await readdir(path)).toEqual([
      'config.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
    ])
  })

  it("fetches what lies in the folders of sentence-transformers' modules, and in no others", async () => {
    await hub.close()
    const modules = {
      ...files,
      'modules.json': Buffer.from('[]'),
      '1_Pooling/config.json': Buffer.from('{"pooling_mode_cls_token":true}'),
      '2_Dense/model.safetensors': Buffer.from('dense'),
      '2_Dense/pytorch_model.bin': Buffer.from('pickle'),
      'onnx/model.onnx': Buffer.from('onnx'),
    }
    hub = await fakeHub(name, modules)
    const { path } = await resolveModel(name, options())
    for (const file of ['modules.json', '1_Pooling/config.json', '2_Dense/model.safetensors'] as const)
      expect(await readFile(join(path, file))).toEqual(modules[file])
    expect(existsSync(join(path, '2_Dense/pytorch_model.bin'))).toBe(false)
    expect(hub.requests.some((line) => line.includes('onnx'))).toBe(false)
  })

  it("fetches a tokenizer's chat templates with names", async () => {
    await hub.close()
    const templates = ['tool_use.jinja', 'rag.jinja'].map((file) => `additional_chat_templates/${file}`)
    hub = await fakeHub(name, {
      ...files,
      'additional_chat_templates/notes.txt': Buffer.from('no template'),
      ...Object.fromEntries(templates.map((path) => [path, Buffer.from(path)])),
    })
    for (const kind of ['model', 'tokenizer'] as const) {
      const { path } = await resolveModel(name, options({ kind }))
      expect(await readdir(join(path, 'additional_chat_templates'))).toEqual(['rag.jinja', 'tool_use.jinja'])
      for (const file of templates) expect(await readFile(join(path, file), 'utf8')).toBe(file)
      await rm(cacheDir, { recursive: true })
    }
  })

  it('fetches an adapter', async () => {
    await hub.close()
    hub = await fakeHub(name, {
      'adapter_config.json': Buffer.from('{}'),
      'adapter_model.safetensors': Buffer.from('AB'),
      // Of one for a larger vocabulary, and with ends of its own.
      'tokenizer.json': Buffer.from('{}'),
      'generation_config.json': Buffer.from('{}'),
      'optimizer.pt': Buffer.from('x'),
    })
    const { path } = await resolveModel(name, options({ kind: 'adapter' }))
    expect(await readdir(path)).toEqual([
      ...['adapter_config.json', 'adapter_model.safetensors', 'generation_config.json', 'tokenizer.json'],
    ])
    await expect(resolveModel(name, options())).rejects.toThrow(/has no config\.json.*it holds an adapter/)
  })

  it('says which files a repository without weights that we read has', async () => {
    await hub.close()
    hub = await fakeHub(name, { 'config.json': files['config.json'], 'tf_model.h5': Buffer.from('h') })
    await expect(resolveModel(name, options())).rejects.toThrow(
      /none of model\.safetensors, .*pytorch_model\.bin.*has tf_model\.h5: convert it to safetensors/,
    )
    await hub.close()
    hub = await fakeHub(name, { 'adapter_config.json': Buffer.from('{}'), 'adapter_model.pt': Buffer.from('x') })
    await expect(resolveModel(name, options({ kind: 'adapter' }))).rejects.toThrow(
      /neither adapter_model\.safetensors nor adapter_model\.bin; it has adapter_model\.pt/,
    )
  })

  it('takes torch files where there is no safetensors, whole or in shards', async () => {
    await hub.close()
    hub = await fakeHub(name, { 'config.json': files['config.json'], 'pytorch_model.bin': files['pytorch_model.bin'] })
    const whole = await resolveModel(name, options())
    expect(await readdir(whole.path)).toEqual(['config.json', 'pytorch_model.bin'])
    await hub.close()
    expect(await resolveModel(name, options({ offline: true }))).toEqual(whole)

    const index = { weight_map: { a: 'pytorch_model-00001-of-00001.bin' } }
    const sharded = {
      'config.json': files['config.json'],
      'pytorch_model.bin.index.json': Buffer.from(JSON.stringify(index)),
      'pytorch_model-00001-of-00001.bin': Buffer.from('one'),
      'optimizer.bin': Buffer.from('no'),
    }
    hub = await fakeHub('someone/sharded', sharded)
    const { path } = await resolveModel('someone/sharded', options())
    expect(await readdir(path)).toEqual(['config.json', 'pytorch_model-00001-of-00001.bin', 'pytorch_model.bin.index.json'])
    await rm(join(path, 'pytorch_model-00001-of-00001.bin'))
    await expect(resolveModel('someone/sharded', options({ offline: true }))).rejects.toThrow(
      /incomplete, it lacks pytorch_model-00001-of-00001\.bin/,
    )
    await hub.close()

    hub = await fakeHub('someone/adapter', { 'adapter_config.json': Buffer.from('{}'), 'adapter_model.bin': Buffer.from('AB') })
    const adapter = await resolveModel('someone/adapter', options({ kind: 'any' }))
    expect(await readdir(adapter.path)).toEqual(['adapter_config.json', 'adapter_model.bin'])
    expect((await resolveModel('someone/adapter', options({ kind: 'any', offline: true }))).path).toBe(adapter.path)
  })

  it('uses an existing folder as it is, without a request', async () => {
    const folder = join(cacheDir, 'here')
    await mkdir(folder)
    expect(await resolveModel(folder, options())).toEqual({ path: folder, id: folder })
    expect(hub.requests).toEqual([])
  })

  it('refuses what is neither a path nor an id', async () => {
    for (const text of ['./nowhere', 'nowhere', '/a/b/c', 'a/b/c', '../x', 'a--b/c'])
      await expect(resolveModel(text, options())).rejects.toThrow(FileError)
    await expect(resolveModel('a/b@..', options())).rejects.toThrow(/no branch, tag or commit/)
    expect(hub.requests).toEqual([])
  })
})

describe('interrupted downloads', () => {
  it('continues within one call after cuts, asking only for the rest', async () => {
    hub.cuts.set('model.safetensors', [100_000, 50_000])
    const { path } = await resolveModel(name, options())
    expect(await readFile(join(path, 'model.safetensors'))).toEqual(weights)
    const ranges = downloads()
      .filter((line) => line.includes('/model.safetensors'))
      .map((line) => line.split(' ')[2])
    expect(ranges).toEqual([undefined, 'bytes=100000-', 'bytes=150000-'])
  })

  it('keeps what came when it gives up, and continues in the next run', async () => {
    hub.cuts.set('model.safetensors', [120_000, 0, 0, 0, 0, 0, 0])
    await expect(resolveModel(name, options())).rejects.toThrow(
      /"model\.safetensors" stopped at 120000 of 300000 bytes.*run the same command again to continue/,
    )
    expect(existsSync(join(cacheDir, 'models--someone--tiny', 'refs', 'main'))).toBe(false)
    hub.cuts.clear()
    hub.requests.length = 0
    const { path } = await resolveModel(name, options())
    expect(await readFile(join(path, 'model.safetensors'))).toEqual(weights)
    expect(downloads()).toEqual([`GET /${name}/resolve/${COMMIT}/model.safetensors bytes=120000-`])
  })

  it('starts over when the server ignores the range', async () => {
    hub.cuts.set('model.safetensors', [1000])
    hub.ignoreRange = true
    const { path } = await resolveModel(name, options())
    expect(await readFile(join(path, 'model.safetensors'))).toEqual(weights)
  })

  it('starts over when what an earlier run left is damaged', async () => {
    await mkdir(blobs(), { recursive: true })
    await writeFile(join(blobs(), `${sha256(weights)}.kept.incomplete`), Buffer.alloc(5000, 1))
    const { path } = await resolveModel(name, options())
    expect(await readFile(join(path, 'model.safetensors'))).toEqual(weights)
    expect(await incompletes()).toEqual([])
  })

  it('takes over what a killed process left, the longest, and not what a living one writes', async () => {
    const { pid } = spawnSync(process.execPath, ['-e', ''])
    const host = hostname().replace(/[^\w]/g, '').slice(0, 40)
    await mkdir(blobs(), { recursive: true })
    const left = (owner: string, bytes: number): Promise<void> =>
      writeFile(join(blobs(), `${sha256(weights)}.${owner}.incomplete`), weights.subarray(0, bytes))
    await left(`${host}-${pid}-1`, 7000)
    await left(`${host}-${pid}-2`, 9000)
    await left(`${host}-${process.ppid}-1`, 20_000)
    await left(`another-${pid}-1`, 30_000)
    // Of a container that is gone, say: nobody has written there for days.
    await left(`another-${pid}-2`, 10_000)
    await utimes(join(blobs(), `${sha256(weights)}.another-${pid}-2.incomplete`), 1e9, 1e9)
    // Python's own name: it may be writing there.
    await writeFile(join(blobs(), `${sha256(weights)}.incomplete`), weights.subarray(0, 50_000))
    await resolveModel(name, options())
    expect(downloads().find((line) => line.includes('safetensors'))).toContain('bytes=10000-')
    expect(await readFile(join(blobs(), sha256(weights)))).toEqual(weights)
    expect((await incompletes()).map((file) => file.replace(sha256(weights), '')).sort()).toEqual(
      ['.incomplete', `.another-${pid}-1.incomplete`, `.${host}-${process.ppid}-1.incomplete`].sort(),
    )
  })

  it('follows no link in place of what an earlier run left', async () => {
    await mkdir(blobs(), { recursive: true })
    const precious = join(cacheDir, 'precious')
    await writeFile(precious, 'precious')
    await symlink(precious, join(blobs(), `${sha256(weights)}.kept.incomplete`))
    await link(
      precious,
      join(blobs(), `${sha256(weights)}.${hostname().replace(/[^\w]/g, '').slice(0, 40)}-999999999-1.incomplete`),
    )
    await resolveModel(name, options())
    expect(await readFile(precious, 'utf8')).toBe('precious')
    expect(await readFile(join(blobs(), sha256(weights)))).toEqual(weights)
  })

  it('publishes right bytes from several processes at once, whatever is cut', async () => {
    hub.cuts.set('model.safetensors', [1000, 250_000, 30_000, 0, 90_000, 299_999])
    const script = `import { resolveModel } from ${JSON.stringify(join(process.cwd(), 'src/hub/node-resolve.ts'))}
      const [endpoint, cacheDir] = process.argv.slice(1)
      await resolveModel('${name}', { endpoint, cacheDir, env: {}, wait: async () => undefined })`
    const child = () => promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, hub.endpoint, cacheDir]) // prettier-ignore
    await Promise.all([child(), child(), child(), resolveModel(name, options()), resolveModel(name, options())])
    expect(await readFile(join(blobs(), sha256(weights)))).toEqual(weights)
    expect(await incompletes()).toEqual([])
  })

  it('no revision leads out of the cache', async () => {
    for (const revision of ['../../../escaped', '/tmp/escaped', 'a/../../b', ''])
      await expect(resolveModel(name, options({ revision }))).rejects.toThrow('is no branch, tag or commit')
    await resolveModel(name, options())
    await writeFile(join(cacheDir, 'models--someone--tiny', 'refs', 'main'), '../../precious')
    await expect(resolveModel(name, options({ offline: true }))).rejects.toThrow('has no revision "main"')
  })

  it('fetches a blob again that is not whole', async () => {
    const { path } = await resolveModel(name, options())
    for (const linked of [true, false]) {
      await writeFile(join(blobs(), sha256(weights)), 'torn')
      if (!linked) await rm(join(path, 'model.safetensors'))
      await resolveModel(name, options())
      expect(await readFile(join(path, 'model.safetensors'))).toEqual(weights)
    }
  })
})

describe('a server that sends too much, too often or too slowly', () => {
  it('a list without sizes, which would bound what is downloaded', async () => {
    hub.answer = (path, response) => {
      if (path !== `/api/models/someone/tiny/tree/${COMMIT}`) return false
      const file = { type: 'file', path: 'config.json', size: 'many', oid: 'b'.repeat(40) }
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify([file]))
      return true
    }
    await expect(resolveModel(name, options())).rejects.toThrow('names no size of "config.json" in "someone/tiny"')
    expect(downloads()).toEqual([])
  })

  it.each([
    [
      'a description without end',
      '/api/models/someone/tiny/revision/main',
      200,
      /more than 32 MiB where a list or a description/,
    ],
    ['an error without end', '/api/models/someone/tiny/revision/main', 404, /no repository|has no/],
    ['a list without end', `/api/models/someone/tiny/tree/${COMMIT}`, 200, /more than 32 MiB/],
  ])('%s', async (_, where, status, message) => {
    let sent = 0
    hub.answer = (path, response) => {
      if (path !== where) return false
      response.writeHead(status, { 'Content-Type': 'application/json' })
      const chunk = Buffer.alloc(2 ** 20, 0x20)
      const more = (): void => {
        if (response.destroyed) return
        sent += chunk.length
        response.write(chunk, () => setImmediate(more))
      }
      more()
      return true
    }
    await expect(resolveModel(name, options())).rejects.toThrow(message)
    expect(sent).toBeLessThan(80 * 2 ** 20)
  })

  it('pages without end', async () => {
    hub.answer = (path, response) => {
      if (!path.includes('/tree/')) return false
      response.writeHead(200, { 'Content-Type': 'application/json', Link: `<${hub.endpoint}${path}?cursor=1>; rel="next"` })
      response.end('[]')
      return true
    }
    await expect(resolveModel(name, options())).rejects.toThrow('lists "someone/tiny" in more than 500 pages')
  })

  it.each([
    ['no answer', false],
    ['half an answer', true],
  ])('%s', async (_, begins) => {
    hub.answer = (path, response) => {
      if (!path.includes('/tree/')) return false
      if (begins) response.writeHead(200, { 'Content-Type': 'application/json' }).write('[')
      return true
    }
    await expect(resolveModel(name, options({ stall: 200 }))).rejects.toThrow(/could not be reached: .*nothing for 0.2 seconds/)
  })

  it('a file that stops half-way is asked for again from there', async () => {
    let first = true
    hub.answer = (path, response) => {
      if (!path.endsWith('/model.safetensors') || !first) return false
      first = false
      response.writeHead(200, { 'Content-Length': weights.length }).write(weights.subarray(0, 1000))
      return true
    }
    const { path } = await resolveModel(name, options({ stall: 300 }))
    expect(await readFile(join(path, 'model.safetensors'))).toEqual(weights)
    expect(downloads().at(-1)).toContain('bytes=1000-')
  })
})

describe('refusals', () => {
  it('sends the token of the environment', async () => {
    hub.token = 'secret'
    for (const variable of ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN'])
      await resolveModel(name, options({ env: { [variable]: 'secret' } }))
  })

  it('tells a missing token from a wrong one', async () => {
    hub.token = 'secret'
    await expect(resolveModel(name, options())).rejects.toThrow(/status 401.*private or gated; check the name, or set HF_TOKEN/)
    await expect(resolveModel(name, options({ token: 'wrong' }))).rejects.toThrow(
      /status 401: Invalid credentials.*the option "token" is wrong or has expired/,
    )
  })

  it('asks to accept the terms of a gated repository', async () => {
    hub.gated = true
    await expect(resolveModel(name, options({ token: 'mine' }))).rejects.toThrow(
      /status 403: Access to this model is restricted.*accept the terms at .*someone\/tiny/,
    )
  })

  it('names the repository or the revision that is not there', async () => {
    await expect(resolveModel('someone/else', options())).rejects.toThrow(
      /no repository "someone\/else" with revision "main".*Repository not found.*no file or folder here/,
    )
    await expect(resolveModel(`${name}@v9`, options())).rejects.toThrow(/revision "v9".*Invalid rev id: v9/)
  })
})

describe('offline', () => {
  const away = (): Promise<void> => hub.close()

  it('says what was tried, where the cache is and what to do', async () => {
    await away()
    const error = await resolveModel(name, options()).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(HubError)
    for (const part of [
      `"${name}"`,
      hub.endpoint,
      'ECONNREFUSED',
      join(cacheDir, 'models--someone--tiny'),
      'pass a local folder',
    ])
      expect((error as Error).message).toContain(part)
    hub = await fakeHub(name, files)
  })

  it('uses a warm cache with a warning', async () => {
    const { path } = await resolveModel(name, options())
    await away()
    const warnings: string[] = []
    expect((await resolveModel(name, options({ onWarning: (w) => warnings.push(w) }))).path).toBe(path)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(/could not be reached.*using the copy of someone\/tiny/)
    hub = await fakeHub(name, files)
  })

  it('asks nothing with HF_HUB_OFFLINE', async () => {
    const env = { HF_HUB_OFFLINE: '1' }
    await expect(resolveModel(name, options({ env }))).rejects.toThrow(/HF_HUB_OFFLINE is set/)
    expect(hub.requests).toEqual([])
    const { path } = await resolveModel(name, options())
    hub.requests.length = 0
    expect((await resolveModel(name, options({ env }))).path).toBe(path)
    expect((await resolveModel(`${name}@${COMMIT}`, options({ env }))).path).toBe(path)
    expect(hub.requests).toEqual([])
  })

  it('does not take half a download for a model', async () => {
    const { path } = await resolveModel(name, options())
    await rm(join(path, 'model.safetensors'))
    await expect(resolveModel(name, options({ offline: true }))).rejects.toThrow(/incomplete, it lacks model\.safetensors/)
  })

  it('treats a hub in trouble like one that cannot be reached', async () => {
    hub.down = 503
    await expect(resolveModel(name, options())).rejects.toThrow(/could not be reached: status 503: Service unavailable/)
  })
})
