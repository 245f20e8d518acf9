/** @file The adapters of an engine: of every kind, added up, more than fit, loaded and unloaded while others are read. */
import { beforeAll, describe, expect, it } from 'vitest'
import { AdapterSet, generate, loadAdapter, logits, type Adapter, type FolderModel } from '../../../src/index.js'
import { Engine } from '../../../src/serve/engine/engine.js'
import type { EngineOptions } from '../../../src/serve/engine/engine-options.js'
import { UnknownAdapterError } from '../../../src/serve/engine/errors.js'
import type { TextRequest } from '../../../src/serve/engine/text-request.js'
import { Random } from '../../../src/util/rng.js'
import { adapterKinds, openModel, readText, textOf, writeAdapter } from './served.js'

let model: FolderModel
const folders = new Map<string, string>()
const loaded = new Map<string, Adapter>()

beforeAll(async () => {
  model = await openModel()
  let seed = 1
  for (const [name, options] of Object.entries(adapterKinds)) {
    const folder = await writeAdapter(model, options, seed++)
    folders.set(name, folder)
    loaded.set(name, await loadAdapter(model, folder))
  }
})

async function engineWith(names: Iterable<string>, options: EngineOptions = {}): Promise<Engine> {
  const engine = new Engine(model, options)
  for (const name of names) await engine.adapters.load(name, folders.get(name)!)
  return engine
}

const one = (name: string): TextRequest['adapters'] => [{ name, scale: 1 }]
const prompt = (random: Random, length: number): number[] => Array.from({ length }, () => random.integer(90))

/** What the library writes of a request of at most one adapter, alone. */
async function alone({ prompt: inputIds, adapters: [used], options }: TextRequest): Promise<readonly number[]> {
  return (await generate(used === undefined ? model : loaded.get(used.name)!, { ...options, inputIds })).ids
}

describe('a text of an engine', () => {
  it('is what generate writes, alone and among 15 others: every kind of adapter, greedy and seeded', async () => {
    const engine = await engineWith(folders.keys())
    const random = new Random(4)
    const names = [undefined, ...folders.keys()]
    const requests = Array.from({ length: 16 }, (_, i) => {
      const name = names[i % names.length]
      return textOf(prompt(random, 1 + random.integer(30)), name === undefined ? [] : one(name), {
        ...(i >= names.length && { temperature: 0.8, topP: 0.95, seed: i }),
      })
    })
    const expected = await Promise.all(requests.map(alone))
    for (const [i, request] of requests.entries()) {
      const { ids } = await readText(engine.start(request))
      expect(ids, `text ${i} alone`).toEqual(expected[i])
    }
    const together = await Promise.all(requests.map((request) => readText(engine.start(request))))
    expect(together.map(({ ids }) => ids)).toEqual(expected)
  })

  it('of several adapters with scales is what a set with them writes, beside others', async () => {
    const engine = await engineWith(folders.keys())
    const set = new AdapterSet(model)
    for (const [name, adapter] of loaded) await set.add(name, adapter)
    const sums: TextRequest['adapters'][] = [
      [{ name: 'lora', scale: 0.5 }, { name: 'wide', scale: 0.4 }],
      [{ name: 'dora', scale: -0.8 }, { name: 'rslora', scale: 1 }, { name: 'embedding', scale: 0.7 }],
      [{ name: 'saved', scale: 1 }, { name: 'lora', scale: 2 }],
      [{ name: 'biases', scale: 0 }],
      [{ name: 'lora', scale: 0.25 }],
    ] // prettier-ignore
    const texts = await Promise.all(sums.map((sum) => readText(engine.start(textOf([5, 6, 7, 8], sum)))))
    for (const [i, sum] of sums.entries()) {
      set.setAdapter(sum)
      expect(texts[i]!.ids, `sum ${i}`).toEqual((await generate(set, { inputIds: [5, 6, 7, 8], ...textOf([]).options })).ids)
    }
    const twice = [...one('lora'), { name: 'lora', scale: 0.5 }]
    expect(() => engine.start(textOf([1], twice))).toThrow('"lora" is named twice')
    const small = await engineWith(['lora', 'wide'], { maxLoras: 1 })
    expect(() => small.start(textOf([1], [...one('lora'), ...one('wide')]))).toThrow('may have 1 adapters here, not 2')
  })
})

describe('more adapters than there is room for', () => {
  it('take turns in the batch and in memory, each with its own text', async () => {
    let reads = 0
    const options = { maxRows: 4, maxLoras: 2, maxCpuLoras: 3, loadAdapter: (...given: Parameters<typeof loadAdapter>) => (reads++, loadAdapter(...given)) } // prettier-ignore
    const engine = await engineWith(folders.keys(), options)
    const loads = folders.size
    expect(reads).toBe(loads)
    const random = new Random(8)
    const names = [...folders.keys()]
    const requests = Array.from({ length: 40 }, (_, i) => textOf(prompt(random, 4), i % 9 === 8 ? [] : one(names[random.integer(names.length)]!))) // prettier-ignore
    const expected = await Promise.all(requests.map(alone))
    let most = 0
    const texts = requests.map((request) => readText(engine.start(request), () => (most = Math.max(most, engine.adapters.inMemory)))) // prettier-ignore
    expect((await Promise.all(texts)).map(({ ids }) => ids)).toEqual(expected)
    expect(most).toBeLessThanOrEqual(3)
    expect(reads).toBeGreaterThan(loads)
    expect(engine.adapters.list()).toHaveLength(names.length)
    expect([engine.running, engine.waiting]).toEqual([0, 0])
  })

  it('wait no longer than a while for those that are asked for all the time', async () => {
    const engine = await engineWith(['lora', 'wide'], { maxRows: 3, maxLoras: 1, maxCpuLoras: 1, maxQueue: 1000 })
    const order: string[] = []
    const ask = async (name: string, signal?: AbortSignal): Promise<void> => {
      await readText(engine.start({ ...textOf([1, 2], one(name), { maxNewTokens: 2 }), ...(signal && { signal }) }))
      order.push(name)
    }
    const popular = Array.from({ length: 150 }, (_, i) => () => ask(i === 1 ? 'wide' : 'lora'))
    await Promise.all(popular.map((go) => go()))
    expect(order.indexOf('wide')).toBeLessThan(100)
    expect(order).toHaveLength(150)
  })

  it('that are in memory together do not wait for each other for ever', async () => {
    const engine = await engineWith(folders.keys(), { maxRows: 4, maxLoras: 2, maxCpuLoras: 2 })
    const random = new Random(2)
    const names = ['lora', 'wide', 'rslora', 'dora', 'embedding', 'biases']
    const pairs = Array.from({ length: 20 }, () => {
      const first = random.integer(names.length)
      const second = (first + 1 + random.integer(names.length - 1)) % names.length
      return [...one(names[first]!), ...one(names[second]!)]
    })
    const texts = await Promise.all(pairs.map((pair) => readText(engine.start(textOf([1, 2], pair, { maxNewTokens: 3 })))))
    expect(texts.every(({ ids }) => ids.length === 3)).toBe(true)
  })

  it('tell a text whose adapter cannot be read again, and nobody else', async () => {
    let isBroken = false
    const engine = await engineWith(['lora', 'wide', 'dora'], {
      maxLoras: 1,
      maxCpuLoras: 1,
      loadAdapter: (...given) => (isBroken ? Promise.reject(new Error('the disk is gone')) : loadAdapter(...given)),
    })
    isBroken = true
    const lost = readText(engine.start(textOf([1, 2], one('lora'))))
    const aborted = new AbortController()
    const left = readText(engine.start({ ...textOf([1, 2], one('wide')), signal: aborted.signal }))
    aborted.abort()
    expect((await left).finishReason).toBe('aborted')
    await expect(lost).rejects.toThrow('the disk is gone')
    expect((await readText(engine.start(textOf([1, 2], one('dora'))))).ids).toEqual(await alone(textOf([1, 2], one('dora'))))
    isBroken = false
    expect((await readText(engine.start(textOf([1, 2], one('lora'))))).ids).toEqual(await alone(textOf([1, 2], one('lora'))))
    expect(() => new Engine(model, { maxLoras: 4, maxCpuLoras: 2 })).toThrow('maxCpuLoras (2) must be at least maxLoras (4)')
  })
})

describe('adapters that are loaded, replaced and unloaded under load', () => {
  it('answer with their own texts, and no request is lost', async () => {
    const engine = new Engine(model, { maxRows: 6, maxLoras: 4, maxCpuLoras: 5 })
    const kinds = [...folders.keys()]
    const request = (name: string): TextRequest => textOf([7, 3, 5], one(name), { maxNewTokens: 5 })
    const signatures = new Map<string, readonly number[]>()
    for (const kind of kinds) signatures.set(kind, await alone(request(kind)))
    expect(new Set([...signatures.values()].map((ids) => ids.join())).size).toBe(kinds.length)
    const random = new Random(6)
    let [answers, gone] = [0, 0]
    /** A name comes with one kind, is replaced by another, and goes; it is asked for all the time. */
    const life = async (name: string): Promise<void> => {
      for (let round = 0; round < 7; round++) {
        const [first, second] = [kinds[random.integer(kinds.length)]!, kinds[random.integer(kinds.length)]!]
        const ask = async (kind: string): Promise<void> => {
          const { ids } = await readText(engine.start(request(name)))
          expect(ids).toEqual(signatures.get(kind))
          answers++
        }
        await engine.adapters.load(name, folders.get(first)!)
        const asked = [ask(first), ask(first), ask(first)]
        await engine.adapters.load(name, folders.get(second)!, { inPlace: true })
        asked.push(ask(second), ask(second))
        const unloaded = engine.adapters.unload(name)
        expect(() => engine.start(request(name))).toThrow(UnknownAdapterError)
        gone++
        await Promise.all([...asked, unloaded])
      }
    }
    await Promise.all(['a', 'b', 'c', 'd'].map(life))
    expect([answers, gone]).toEqual([4 * 7 * 5, 4 * 7])
    expect([engine.adapters.list(), engine.adapters.memory.set.names, engine.running, engine.waiting]).toEqual([[], [], 0, 0])
  })

  it('serve what writes no text, whatever else is chosen meanwhile', async () => {
    const engine = await engineWith(['lora', 'wide', 'saved'], { maxLoras: 1, maxCpuLoras: 1 })
    const ask = (name: string, scale: number) => engine.adapters.use([{ name, scale }], (subject) => logits(subject, [[1, 2, 3]]))
    const found = await Promise.all([ask('lora', 1), ask('wide', 0.5), ask('saved', 1), ask('lora', 0), ask('wide', 1)])
    const set = new AdapterSet(model)
    for (const [name, adapter] of loaded) await set.add(name, adapter)
    for (const [i, [name, scale]] of (
      [
        ['lora', 1],
        ['wide', 0.5],
        ['saved', 1],
        ['lora', 0],
        ['wide', 1],
      ] as const
    ).entries()) {
      // prettier-ignore
      set.setAdapter([{ name, scale }])
      const [expected] = await logits(set, [[1, 2, 3]])
      const [values, others] = [found[i]![0]!.data, expected!.data]
      values.forEach((value, k) => expect(Number(value)).toBeCloseTo(Number(others[k]), 3))
    }
    expect(engine.adapters.inMemory).toBe(1)
    await expect(engine.adapters.use(one('nobody'), () => Promise.resolve())).rejects.toThrow(UnknownAdapterError)
    await expect(engine.adapters.use(one('lora'), () => Promise.reject(new Error('mine')))).rejects.toThrow('mine')
    expect((await readText(engine.start(textOf([1, 2], one('lora'))))).ids).toEqual(await alone(textOf([1, 2], one('lora'))))
  })
})
