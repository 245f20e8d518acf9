/** @file Texts that join a running batch: each is what it is alone, whoever else is there and whenever they came. */
import { describe, expect, it } from 'vitest'
import { loadAdapter, type Adapter } from '../../src/adapter/adapter.js'
import { AdapterSet } from '../../src/adapter/adapter-set.js'
import { ContinuousBatch } from '../../src/generate/continuous-batch.js'
import type { ContinuousPrompt } from '../../src/generate/continuous-prompt.js'
import { generate } from '../../src/generate/generate.js'
import type { Generation } from '../../src/generate/generation.js'
import { Random } from '../../src/util/rng.js'
import { golden, open, prompt, randomAdapter, read, told } from './continuous.js'

describe.each(['llama', 'gpt2', 'gemma3', 'qwen3'])('a continuous batch with %s', (name) => {
  it('gives each text as alone, whenever it joins: greedy and seeded, base and adapters, long and short', async () => {
    const model = await open(name)
    const set = new AdapterSet(model)
    const adapters: Record<string, Adapter> = {
      trained: await loadAdapter(model, `${golden}/${name}/adapter-trained`),
      one: await randomAdapter(model, 1),
      dora: await randomAdapter(model, 2, { useDora: true }),
    }
    for (const [key, adapter] of Object.entries(adapters)) await set.add(key, adapter)
    const random = new Random(5)
    const names = [null, 'trained', 'one', 'dora']
    const texts = Array.from({ length: 16 }, (_, i): ContinuousPrompt => ({
      ...{
        inputIds: prompt(random, 1 + random.integer(name === 'gpt2' ? 18 : 40)),
        adapter: names[i % 4]!,
        maxNewTokens: 1 + random.integer(14),
      },
      ...(i % 3 === 0 && { temperature: 0.8, topK: 20, seed: i }),
      ...(i % 5 === 0 && { repetitionPenalty: 1.3 }),
    }))
    const alone = async ({ adapter, ...options }: ContinuousPrompt): Promise<unknown> =>
      told(await generate(adapter === null ? model : adapters[adapter as string]!, options))
    const expected = await Promise.all(texts.map(alone))
    const batch = new ContinuousBatch(set, { maxRows: 6, prefillTokens: 7 })
    // Some come at once, the others while those are being written.
    const found: Promise<Generation>[] = []
    const waves = [texts.slice(5, 9), texts.slice(9, 15), texts.slice(15)]
    const later = (): void => {
      for (const text of waves.shift() ?? []) found.push(read(batch, text))
    }
    const first = texts.slice(0, 5).map((text, i) => read(batch, text, i < 3 ? (count) => count === 1 && later() : undefined))
    const before = await Promise.all(first)
    while (waves.length > 0) later()
    expect([...before, ...(await Promise.all(found))].map(told)).toEqual(expected)
    expect([batch.running, batch.waiting]).toEqual([0, 0])
  })
})

describe('a continuous batch', () => {
  it('serves sums of adapters with scales of their own beside each other, and those that replace tensors of the base', async () => {
    const model = await open()
    const set = new AdapterSet(model)
    await set.add('a', await randomAdapter(model, 1))
    await set.add('b', await randomAdapter(model, 2, { useDora: true }))
    await set.add('whole', await randomAdapter(model, 3, { modulesToSave: ['lm_head'] }))
    await set.add('other', await randomAdapter(model, 4, { modulesToSave: ['lm_head'] }))
    const sums = [
      [{ name: 'a', scale: 0.5 }, { name: 'b', scale: -0.7 }],
      [{ name: 'b', scale: 2 }],
      [{ name: 'whole' }, { name: 'a', scale: 0.3 }],
      [{ name: 'a', scale: 0.3 }, { name: 'whole' }],
      [{ name: 'a', scale: 0 }],
    ] // prettier-ignore
    const text = { inputIds: [5, 6, 7], maxNewTokens: 8, ignoreEos: true }
    const batch = new ContinuousBatch(set)
    const found = await Promise.all(sums.map((adapter) => read(batch, { ...text, adapter })))
    for (const [i, sum] of sums.entries()) {
      for (const { name, scale = 1 } of sum) set.setScale(name, scale)
      set.setAdapter(sum.map(({ name }) => name))
      expect(told(found[i]!), `text ${i}`).toEqual(told(await generate(set, text)))
      for (const { name } of sum) set.setScale(name, 1)
    }
    const both = [{ name: 'whole' }, { name: 'other' }]
    await expect(read(batch, { ...text, adapter: both })).rejects.toThrow('both replace')
    await expect(read(batch, { ...text, adapter: [{ name: 'nobody' }] })).rejects.toThrow('the set has no adapter "nobody"')
    await expect(read(batch, { ...text, adapter: [{ scale: 1 }] as never })).rejects.toThrow('adapter must be the name')
  })

  it('serves adapters that replace tensors of the base in passes of their own, beside the others', async () => {
    const model = await open()
    const whole = await randomAdapter(model, 1, { modulesToSave: ['lm_head'], bias: 'none' })
    const plain = await randomAdapter(model, 2)
    const set = new AdapterSet(model)
    await set.add('whole', whole)
    await set.add('plain', plain)
    const batch = new ContinuousBatch(set)
    const text = (adapter: string | null) => ({ inputIds: [5, 6, 7], maxNewTokens: 8, adapter })
    const found = await Promise.all(['whole', 'plain', null, 'whole'].map((adapter) => read(batch, text(adapter))))
    const options = { inputIds: [5, 6, 7], maxNewTokens: 8 }
    const expected = await Promise.all([whole, plain, model, whole].map((subject) => generate(subject, options)))
    expect(found.map(told)).toEqual(expected.map(told))
  })

  it('frees the place of a text that is aborted or read no further; the others go on', async () => {
    const model = await open()
    const batch = new ContinuousBatch(model, { maxRows: 2 })
    const abort = new AbortController()
    const long = { inputIds: [3, 4], maxNewTokens: 60, eosTokenIds: [] }
    const aborted = read(batch, { ...long, signal: abort.signal }, (count) => count === 3 && abort.abort())
    const left = batch.add(long)
    const waited = read(batch, { inputIds: [9, 8, 7], maxNewTokens: 5 })
    await left.next()
    await left.return(undefined as never)
    expect((await aborted).finishReason).toBe('aborted')
    expect((await aborted).ids.length).toBeLessThan(10)
    expect(told(await waited)).toEqual(told(await generate(model, { inputIds: [9, 8, 7], maxNewTokens: 5 })))
    // One that waits is aborted before it begins.
    const never = AbortSignal.abort()
    expect((await read(batch, { ...long, signal: never })).ids).toEqual([])
  })

  it('frees the place of a text that is left before it was read, or while its reader waits', async () => {
    const model = await open()
    const batch = new ContinuousBatch(model, { maxRows: 1 })
    const long = { inputIds: [3, 4], maxNewTokens: 60, eosTokenIds: [] }
    let tokens = 0
    const running = read(batch, long, (count) => (tokens = count))
    const unread = batch.add(long)
    const waiting = batch.add(long)
    const next = waiting.next()
    await Promise.all([unread.return(undefined as never), waiting.return(undefined as never)])
    expect(tokens).toBeLessThan(60)
    expect((await next).done).toBe(true)
    expect(batch.waiting).toBe(0)
    expect((await running).ids).toHaveLength(60)
  })

  it('tells a wrong text what is wrong, and nobody else', async () => {
    const model = await open()
    const set = new AdapterSet(model)
    await set.add('a', await randomAdapter(model, 1))
    const batch = new ContinuousBatch(set)
    const good = read(batch, { inputIds: [1, 2, 3], maxNewTokens: 20, adapter: 'a' })
    await expect(read(batch, { inputIds: [1], adapter: 'b' })).rejects.toThrow('the set has no adapter "b"')
    await expect(read(batch, { inputIds: [] })).rejects.toThrow('the prompt is empty')
    await expect(read(batch, { inputIds: [1], beams: 4 } as never)).rejects.toThrow('beams')
    await expect(read(batch, { inputIds: [1], maxNewTokens: 0 })).rejects.toThrow('maxNewTokens')
    await expect(read(batch, { inputIds: new Array<number>(5000).fill(1) })).rejects.toThrow('positions')
    expect((await good).ids).toHaveLength(20)
    await expect(read(new ContinuousBatch(model), { inputIds: [1], adapter: 'a' })).rejects.toThrow('AdapterSet')
    expect(() => new ContinuousBatch(model, { maxRows: 0 })).toThrow('maxRows')
  })

  it('takes adapters that come while it runs, and tells texts whose adapter was taken away', async () => {
    const model = await open()
    const set = new AdapterSet(model, { targetModules: ['q_proj'] })
    await set.add('a', await randomAdapter(model, 1))
    const late = await randomAdapter(model, 2)
    const batch = new ContinuousBatch(set)
    let second: Promise<Generation> | undefined
    const text = { inputIds: [1, 2, 3], maxNewTokens: 30, eosTokenIds: [] }
    const first = read(batch, { ...text, adapter: 'a' }, (count) => {
      if (count === 4)
        void set.add('late', late).then(() => (second = read(batch, { inputIds: [4, 4], maxNewTokens: 6, adapter: 'late' })))
      if (count === 20) {
        expect(batch.inUse('a')).toBe(1)
        set.remove('a')
      }
    })
    await expect(first).rejects.toThrow('the adapter "a" was removed')
    expect(told(await second!)).toEqual(told(await generate(late, { inputIds: [4, 4], maxNewTokens: 6 })))
  })
})
