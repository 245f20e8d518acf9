/** @file Beginnings that a continuous batch has read before: texts are the same, and cost less. */
import { describe, expect, it } from 'vitest'
import { AdapterSet } from '../../src/adapter/adapter-set.js'
import { ContinuousBatch } from '../../src/generate/continuous-batch.js'
import { generate } from '../../src/generate/generate.js'
import { Random } from '../../src/util/rng.js'
import { open, prompt, randomAdapter, read, told } from './continuous.js'

const prefixBytes = 8 << 20

describe.each(['llama', 'gpt2', 'gemma3', 'qwen3'])('prompts of %s that begin alike', (name) => {
  it('are read from where they differ, for each choice of adapters, and continued as without', async () => {
    const model = await open(name)
    const set = new AdapterSet(model)
    await set.add('one', await randomAdapter(model, 1))
    await set.add('dora', await randomAdapter(model, 2, { useDora: true }))
    const random = new Random(2)
    // Of 24 positions that gpt2's has.
    const [system, turn, most] = name === 'gpt2' ? [17, 2, 3] : [40, 9, 12]
    const beginning = prompt(random, system)
    const choices = [null, 'one', 'dora', [{ name: 'one', scale: 0.5 }, { name: 'dora', scale: 0.5 }]] // prettier-ignore
    const texts = choices.flatMap((adapter) =>
      [0, 1, 2].map((i) => ({
        inputIds: [...beginning, ...prompt(random, 1 + random.integer(turn))],
        ...{ adapter, maxNewTokens: most, logprobs: 0, ignoreEos: true },
        ...(i === 1 && { temperature: 0.9, seed: 4 }),
      })),
    )
    const plain = new ContinuousBatch(set, { maxRows: 5, prefillTokens: 11 })
    const keeping = new ContinuousBatch(set, { maxRows: 5, prefillTokens: 11, prefixBytes })
    const expected = await Promise.all(texts.map((text) => read(plain, text)))
    // The first of each is read as a whole.
    const found = new Map(await Promise.all(texts.filter((_, i) => i % 3 === 0).map(async (text) => [text, await read(keeping, text)] as const))) // prettier-ignore
    for (const text of texts) if (!found.has(text)) found.set(text, await read(keeping, text))
    const blocks = 16 * Math.floor(system / 16)
    texts.forEach((text, i) => {
      const { cachedTokens, logprobs, ...rest } = found.get(text)!
      expect(told(rest as never)).toEqual(told(expected[i]!))
      expect(cachedTokens, `text ${i}`).toBe(i % 3 === 0 ? 0 : blocks)
      logprobs!.forEach(({ logprob }, k) => expect(logprob).toBeCloseTo(expected[i]!.logprobs![k]!.logprob, 3))
    })
    expect(expected[0]!.cachedTokens).toBeUndefined()
  })
})

describe('beginnings that are kept', () => {
  const ask = (inputIds: readonly number[]) => ({ inputIds, maxNewTokens: 8, ignoreEos: true })

  it('hold what was answered too: the next turn of a dialogue reads its own words alone', async () => {
    const model = await open()
    const batch = new ContinuousBatch(model, { prefixBytes })
    const first = prompt(new Random(1), 20)
    const { ids, cachedTokens } = await read(batch, { inputIds: first, maxNewTokens: 30, ignoreEos: true })
    expect(cachedTokens).toBe(0)
    const next = [...first, ...ids, 5, 6, 7]
    const answer = await read(batch, { inputIds: next, maxNewTokens: 8 })
    expect(answer.cachedTokens).toBe(48)
    expect(told(answer)).toEqual(told(await generate(model, { inputIds: next, maxNewTokens: 8 })))
  })

  it('are read once by texts that come together, which wait for no more than they share', async () => {
    const model = await open()
    const batch = new ContinuousBatch(model, { prefixBytes, prefillTokens: 8 })
    const random = new Random(3)
    const begun = prompt(random, 37)
    // While one runs, prompts are read in small pieces.
    const texts = [ask(prompt(random, 5)), ...[9, 1, 0, 4].map((more) => ask([...begun, ...prompt(random, more)]))]
    const ended: number[] = []
    const found = await Promise.all(texts.map((text, i) => read(batch, text, (count) => count === 1 && ended.push(i))))
    expect(found.map(({ cachedTokens }) => cachedTokens)).toEqual([0, 0, 32, 32, 32])
    for (const [i, text] of texts.entries()) expect(told(found[i]!)).toEqual(told(await generate(model, text)))
    expect(ended[0]).toBe(0)
  })

  it('are forgotten when the adapter is another, and do not outgrow their memory', async () => {
    const model = await open()
    const set = new AdapterSet(model)
    const [before, after] = [await randomAdapter(model, 1), await randomAdapter(model, 2)]
    await set.add('a', before)
    const batch = new ContinuousBatch(set, { prefixBytes: 1 << 16 })
    const begun = prompt(new Random(1), 40)
    const cached = async (): Promise<number> => (await read(batch, { ...ask(begun), adapter: 'a' })).cachedTokens!
    expect([await cached(), await cached()]).toEqual([0, 32])
    await set.replace('a', after)
    const replaced = await read(batch, { ...ask(begun), adapter: 'a' })
    expect(replaced.cachedTokens).toBe(0)
    expect(told(replaced)).toEqual(told(await generate(after, ask(begun))))
    set.setScale('a', 0.5)
    expect([await cached(), await cached()]).toEqual([0, 32])
    set.remove('a')
    await read(batch, ask([1]))
    expect(batch.keptBytes).toBe(0)
    const random = new Random(9)
    for (let i = 0; i < 10; i++) {
      await read(batch, ask(prompt(random, 50)))
      expect(batch.keptBytes).toBeLessThanOrEqual(1 << 16)
    }
    expect(batch.keptBytes).toBeGreaterThan(1 << 15)
  })

  it('are not what was read while an adapter was replaced', async () => {
    const model = await open()
    const set = new AdapterSet(model)
    await set.add('a', await randomAdapter(model, 1))
    const other = await randomAdapter(model, 2)
    const batch = new ContinuousBatch(set, { prefixBytes })
    const begun = prompt(new Random(1), 20)
    let replaced: Promise<unknown> | undefined
    const { ids } = await read(batch, { ...ask(begun), adapter: 'a', maxNewTokens: 40 }, (count) => {
      if (count === 5) replaced = set.replace('a', other)
    })
    await replaced
    const next = ask([...begun, ...ids.slice(0, 20)])
    const answer = await read(batch, { ...next, adapter: 'a' })
    expect(answer.cachedTokens).toBe(0)
    expect(told(answer)).toEqual(told(await generate(other, next)))
  })

  it('do not stand for a prompt whose tokens are scored, and are refused for an adapter that may be trained', async () => {
    const model = await open()
    const batch = new ContinuousBatch(model, { prefixBytes })
    const begun = prompt(new Random(1), 40)
    await read(batch, ask(begun))
    const scored = await read(batch, { ...ask(begun), promptLogprobs: 0 })
    expect(scored.cachedTokens).toBe(0)
    expect(scored.promptLogprobs!.filter((each) => each !== null)).toHaveLength(39)
    const adapter = await randomAdapter(model, 1)
    expect(() => new ContinuousBatch(adapter, { prefixBytes })).toThrow('put the adapter into an AdapterSet')
    expect(() => new ContinuousBatch(model, { prefixBytes: -1 })).toThrow('prefixBytes must be a whole number')
  })
})
