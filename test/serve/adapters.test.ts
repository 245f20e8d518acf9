/** @file Adapters over HTTP: named, listed, loaded and unloaded, from nowhere but where they may lie. */
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { HubError } from '../../src/index.js'
import { serve, work, writeAdapter, type Served } from './served.js'

const messages = [{ role: 'user', content: 'Hi' }]
let red: string
let places: string
let served: Served
beforeAll(async () => {
  red = await writeAdapter('red', 1)
  await writeAdapter('blue', 2)
  places = dirname(red)
  mkdirSync(join(places, 'team'), { recursive: true })
  cpSync(red, join(places, 'team', 'red'), { recursive: true })
  cpSync(red, join(work, 'outside'), { recursive: true })
  symlinkSync(join(work, 'outside'), join(places, 'link'))
  mkdirSync(join(places, 'damaged'))
  writeFileSync(join(places, 'damaged', 'adapter_config.json'), '{"peft_type": "LORA", "r": 2}')
  served = await serve({ adapters: { red }, adaptersFolder: places, allowRuntimeAdapters: true })
})

const say = async (model: string): Promise<string> => {
  const response = await served.post('/v1/chat/completions', { model, messages, temperature: 0, max_tokens: 8 })
  const answer = (await response.json()) as { choices?: [{ message: { content: string } }] }
  return response.status === 200 ? answer.choices![0].message.content : `${response.status}`
}
const load = (lora_name: string, lora_path: string, more = {}) =>
  served.post('/v1/load_lora_adapter', { lora_name, lora_path, ...more })
const unload = (lora_name: string) => served.post('/v1/unload_lora_adapter', { lora_name })
const names = async (): Promise<string[]> =>
  ((await (await served.get('/v1/models')).json()) as { data: { id: string }[] }).data.map(({ id }) => id)

describe('adapters', () => {
  it('are models with a parent, one by one too, whatever their names', async () => {
    expect(await (await served.get('/v1/models/red')).json()).toMatchObject({ id: 'red', parent: 'tiny-chat', root: 'red' })
    expect(await (await load('a/b', 'team/red')).text()).toBe("Success: LoRA adapter 'a/b' added successfully.")
    for (const path of ['/v1/models/a/b', '/v1/models/a%2Fb'])
      expect(await (await served.get(path)).json()).toMatchObject({ id: 'a/b' })
    expect(await say('a/b')).toBe(await say('red'))
    expect(await (await unload('a/b')).text()).toBe("Success: LoRA adapter 'a/b' removed successfully.")
    expect(await say('a/b')).toBe('404')
  })

  it('of the folder are loaded when they are asked for', async () => {
    expect(await names()).not.toContain('blue')
    expect(await say('blue')).not.toBe(await say('red'))
    expect(await names()).toContain('blue')
    await unload('blue')
  })

  it('are loaded by a path within the folder or in full, once, or in place of another', async () => {
    expect((await load('one', join(places, 'blue'))).status).toBe(200)
    const blue = await say('one')
    const twice = await load('one', 'red')
    expect([twice.status, await twice.json()]).toEqual([400, { error: expect.objectContaining({ type: 'InvalidUserInput', message: "The lora adapter 'one' has already been loaded." }) }]) // prettier-ignore
    expect(await say('one')).toBe(blue)
    expect((await load('one', 'red', { load_inplace: true })).status).toBe(200)
    expect(await say('one')).toBe(await say('red'))
    expect((await unload('one')).status).toBe(200)
    expect((await unload('one')).status).toBe(404)
  })

  it('that do not fit leave all as it was, and say why', async () => {
    const before = await names()
    const response = await load('broken', 'damaged')
    expect(response.status).toBeGreaterThanOrEqual(400)
    expect(response.status).toBeLessThan(500)
    expect(await response.text()).not.toContain(work)
    expect(await names()).toEqual(before)
  })

  it.each([
    '../outside',
    '/etc',
    `${work}/outside`,
    'link',
    'red/../../outside',
    './red',
    'red\u0000',
    '..',
    '',
    'team/../red',
    'owner/name',
    'C:\\x',
    '.hidden',
  ])('from %j are refused, by load and as a model', async (path) => {
    const response = await load('x', path)
    expect([400, 404]).toContain(response.status)
    expect(await names()).not.toContain('x')
    if (path !== '') expect(await say(path)).toBe('404')
  })

  it('have names that can be told', async () => {
    for (const name of ['', 'a b', 'tiny-chat', '\u202e', 'x'.repeat(300)]) expect((await load(name, 'red')).status).toBe(400)
  })

  it('are not changed by requests unless that is allowed', async () => {
    const strict = await serve({ adapters: { red }, adaptersFolder: places })
    for (const [path, body] of [
      ['/v1/load_lora_adapter', { lora_name: 'x', lora_path: 'red' }],
      ['/v1/unload_lora_adapter', { lora_name: 'red' }],
      ['/lora-adapters', [{ id: 0, scale: 1 }]],
    ] as const)
      expect((await strict.post(path, body)).status).toBe(403)
  })

  it('count in requests that name none as llama.cpp has them set', async () => {
    const { get, post } = await serve({ adapters: { red }, allowRuntimeAdapters: true })
    const content = async (body = {}): Promise<string> => {
      const response = await post('/v1/chat/completions', { messages, temperature: 0, max_tokens: 8, ...body })
      return ((await response.json()) as { choices: [{ message: { content: string } }] }).choices[0].message.content
    }
    expect(await (await get('/lora-adapters')).json()).toEqual([{ id: 0, path: 'red', scale: 0 }])
    const base = await content()
    expect(await (await post('/lora-adapters', [{ id: 0, scale: 1 }])).json()).toEqual({ success: true })
    expect(await content()).toBe(await content({ model: 'red' }))
    expect(await content({ lora: [] })).toBe(base)
    await post('/lora-adapters', [])
    expect(await content()).toBe(base)
    expect((await post('/lora-adapters', [{ id: 9, scale: 1 }])).status).toBe(400)
    const scaled = await serve({ adapters: { red }, defaultScales: { red: 1 } })
    expect(await (await scaled.get('/lora-adapters')).json()).toMatchObject([{ scale: 1 }])
    await expect(serve({ adapters: { red }, defaultScales: { blue: 1 } })).rejects.toThrow('there is no adapter "blue"')
  })

  it('of the hub are those of a pattern, of this base', async () => {
    const asked: string[] = []
    const { post } = await serve({
      allowHub: ['me/*'],
      loadAdapter: (_, path) => (asked.push(path), Promise.reject(new Error('no network'))),
    })
    for (const model of ['me/sql', 'me/sql@v1', 'you/sql', 'me/../you', 'me/a/b', 'mex/sql'])
      await post('/v1/chat/completions', { model, messages })
    expect(asked).toEqual(['me/sql', 'me/sql@v1'])
  })

  it('of the hub that cannot be had are not known; the log says why', async () => {
    const { post, log, errors } = await serve({
      allowHub: ['me/*'],
      loadAdapter: () => Promise.reject(new HubError('the hub could not be reached')),
    })
    const response = await post('/v1/chat/completions', { model: 'me/sql', messages })
    expect([response.status, await response.json()]).toMatchObject([404, { error: { code: 'model_not_found', param: 'model' } }])
    expect(log[0]!.error).toContain('HubError: the hub could not be reached')
    expect(errors).toEqual([])
  })
})

describe('tokens', () => {
  const answer = async (path: string, body: object) => (await served.post(path, body)).json() as Promise<Record<string, unknown>>

  it('of texts and dialogues, and back', async () => {
    const { tokens } = await answer('/tokenize', { content: 'Hé<|im_end|>' })
    expect(await answer('/detokenize', { tokens })).toEqual({ content: 'Hé<|im_end|>', prompt: 'Hé<|im_end|>' })
    const pieces = await answer('/tokenize', { content: 'Hé', with_pieces: true })
    expect(pieces['tokens']).toEqual([{ id: 42, piece: 'H' }, { id: 130, piece: [195] }, { id: 105, piece: [169] }]) // prettier-ignore
    expect(await answer('/tokenize', { prompt: 'Hi', return_token_strs: true })).toMatchObject({ count: 2, max_model_len: 256, token_strs: ['H', 'i'] }) // prettier-ignore
    const { prompt } = await answer('/apply-template', { messages })
    expect(prompt).toBe('<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n')
    const dialogue = await answer('/tokenize', { messages })
    expect(await answer('/detokenize', { tokens: dialogue['tokens'] })).toMatchObject({ content: prompt })
  })

  it.each([
    ['/tokenize', {}],
    ['/tokenize', { content: 'a', prompt: 'a' }],
    ['/tokenize', { content: 'a', parse_special: false }],
    ['/detokenize', { tokens: [-1] }],
    ['/detokenize', { tokens: [5000] }],
    ['/apply-template', { messages: [] }],
  ])('%s refuses %j', async (path, body) => expect((await served.post(path, body)).status).toBe(400))
})

it('tells nobody where adapters and their base lie', async () => {
  for (const path of ['/metrics', '/v1/models', '/lora-adapters', '/props'])
    expect(await (await served.get(path)).text(), path).not.toContain(work)
  expect(await (await served.get('/metrics')).text()).toContain('lowrank_adapter_info{name="red",rank="2",base="tiny-chat"} 1\n')
})
