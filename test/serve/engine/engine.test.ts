/** @file The engine of a server: each text is what it is alone, whoever else is there; places are freed; what is wrong is refused. */
import { describe, expect, it } from 'vitest'
import { generate, loadAdapter } from '../../../src/index.js'
import { Engine } from '../../../src/serve/engine/engine.js'
import { DeadlineError, DrainingError, QueueFullError, UnknownAdapterError } from '../../../src/serve/engine/errors.js'
import type { TextRequest } from '../../../src/serve/engine/text-request.js'
import { golden, openModel as open, readText } from './served.js'

/** A text that goes on for long. */
const long: TextRequest = { prompt: [3, 4], adapters: [], options: { maxNewTokens: 60, ignoreEos: true } }
const short: TextRequest = { prompt: [9, 8, 7], adapters: [], options: { maxNewTokens: 4, ignoreEos: true } }

describe('an engine', () => {
  it('writes what generate writes, of the base and of an adapter', async () => {
    const model = await open()
    const engine = new Engine(model)
    await engine.adapters.load('poet', `${golden}/adapter-trained`)
    const poet = await loadAdapter(model, `${golden}/adapter-trained`)
    const adapters = [{ name: 'poet', scale: 1 }]
    const [base, adapted] = await Promise.all([
      readText(engine.start({ ...long, adapters: [] })),
      readText(engine.start({ ...long, adapters, options: { ...long.options, temperature: 0.7, seed: 3 } })),
    ])
    expect(base.ids).toEqual((await generate(model, { inputIds: [3, 4], ...long.options })).ids)
    expect(base).toMatchObject({ finishReason: 'length', promptTokens: 2, cachedTokens: 0 })
    const expected = await generate(poet, { inputIds: [3, 4], ...long.options, temperature: 0.7, seed: 3 })
    expect(adapted.ids).toEqual(expected.ids)
  })

  it('refuses what does not fit in its line, and adapters that are not there', async () => {
    const engine = new Engine(await open(), { maxRows: 1, maxQueue: 1 })
    const first = readText(engine.start(long))
    const second = readText(engine.start(short))
    expect([engine.running, engine.waiting]).toEqual([1, 1])
    expect(() => engine.start(short)).toThrow(QueueFullError)
    await Promise.all([first, second])
    expect(() => engine.start({ ...short, adapters: [{ name: 'nobody', scale: 1 }] })).toThrow(UnknownAdapterError)
    expect(() => new Engine(engine.model, { maxQueue: -1 })).toThrow('maxQueue')
    expect(() => new Engine(engine.model, { maxRows: 0 })).toThrow('maxRows')
  })

  it('lets keys take turns', async () => {
    const engine = new Engine(await open(), { maxRows: 1 })
    const order: string[] = []
    const ask = async (key: string): Promise<void> => {
      await readText(engine.start({ ...short, key }))
      order.push(key)
    }
    await Promise.all(['a', 'a', 'a', 'b', 'c', 'b'].map(ask))
    expect(order).toEqual(['a', 'a', 'b', 'c', 'a', 'b'])
  })

  it('ends a text at its deadline, waiting or running, and frees its place', async () => {
    const engine = new Engine(await open(), { maxRows: 1 })
    const late = readText(engine.start({ ...long, options: { ...long.options, maxNewTokens: 4000 }, timeout: 20 }))
    const waiting = readText(engine.start({ ...short, timeout: 5 }))
    await expect(waiting).rejects.toThrow(DeadlineError)
    await expect(late).rejects.toThrow('within 20 ms')
    expect((await readText(engine.start(short))).ids).toHaveLength(4)
  })

  it('drops a text that is aborted or left, waiting or running', async () => {
    const engine = new Engine(await open(), { maxRows: 1 })
    const abort = new AbortController()
    const waits = new AbortController()
    const running = readText(engine.start({ ...long, signal: abort.signal }), (count) => count === 3 && abort.abort())
    const waiting = readText(engine.start({ ...long, signal: waits.signal }))
    const left = engine.start(long)
    await left.return(undefined as never)
    waits.abort()
    expect(await waiting).toMatchObject({ finishReason: 'aborted', ids: [] })
    expect(engine.waiting).toBe(0)
    const { finishReason, ids } = await running
    expect(finishReason).toBe('aborted')
    expect(ids.length).toBeLessThan(10)
    expect((await readText(engine.start({ ...long, signal: AbortSignal.abort() }))).ids).toEqual([])
  })

  it('ends what runs and waits when it is drained, and takes no more', async () => {
    const engine = new Engine(await open(), { maxRows: 1 })
    const texts = [engine.start(short), engine.start(short)].map((stream) => readText(stream))
    const drained = engine.drain()
    expect(() => engine.start(short)).toThrow(DrainingError)
    await drained
    expect([engine.running, engine.waiting]).toEqual([0, 0])
    for (const text of await Promise.all(texts)) expect(text.ids).toHaveLength(4)
  })

  it('tells the reader of a wrong text, and nobody else', async () => {
    const engine = new Engine(await open())
    const good = readText(engine.start(long))
    await expect(readText(engine.start({ ...short, prompt: [] }))).rejects.toThrow('the prompt is empty')
    expect((await good).ids).toHaveLength(60)
  })
})

describe('the adapters of an engine', () => {
  it('come and go while texts are written, which keep those that they began with', async () => {
    const model = await open()
    const engine = new Engine(model, { maxRows: 4 })
    const registered = await engine.adapters.load('poet', `${golden}/adapter-trained`)
    expect(registered).toMatchObject({ name: 'poet', id: 0, defaultScale: 0, path: `${golden}/adapter-trained` })
    await expect(engine.adapters.load('poet', `${golden}/adapter`)).rejects.toThrow('has already been loaded')
    const request: TextRequest = { ...long, adapters: [{ name: 'poet', scale: 1 }] }
    const expected = await readText(engine.start(request))
    const before = readText(engine.start(request))
    await engine.adapters.load('poet', `${golden}/adapter`, { inPlace: true })
    const after = readText(engine.start(request))
    const unloaded = engine.adapters.unload('poet')
    expect(() => engine.start(request)).toThrow(UnknownAdapterError)
    expect((await before).ids).toEqual(expected.ids)
    expect((await after).ids).toEqual((await generate(await loadAdapter(model, `${golden}/adapter`), { inputIds: [3, 4], ...long.options })).ids) // prettier-ignore
    await unloaded
    expect(engine.adapters.list()).toEqual([])
    expect(engine.adapters.memory.set.names).toEqual([])
  })

  it('are found by name where they may lie, once, and refused for another base', async () => {
    const model = await open()
    let searches = 0
    const engine = new Engine(model, {
      findAdapter: (name) => {
        searches++
        const bases = name === 'other' ? ['somebody/else'] : undefined
        return Promise.resolve(name === 'none' ? undefined : { path: `${golden}/adapter-trained`, ...(bases && { bases }) })
      },
    })
    expect(await engine.adapters.resolve('none')).toBeUndefined()
    const found = await Promise.all([engine.adapters.resolve('poet'), engine.adapters.resolve('poet')])
    expect(found.map((adapter) => adapter?.id)).toEqual([0, 0])
    expect(searches).toBe(2)
    await expect(engine.adapters.resolve('other')).rejects.toThrow('but the model here is "somebody/else"')
    await expect(engine.adapters.load('bad', 'nowhere')).rejects.toThrow('nowhere')
    expect(engine.adapters.list().map(({ name }) => name)).toEqual(['poet'])
    expect(engine.adapters.memory.set.names).toHaveLength(1)
  })
})
