/** @file Generation under a constraint: small automatons, whose language every text is in, alone, in batches and with samples. */
import { describe, expect, it } from 'vitest'
import type { Constraint, TokenSet } from '../../src/generate/constraint.js'
import { ruleOutOthers } from '../../src/generate/constraint.js'
import { ContinuousBatch } from '../../src/generate/continuous-batch.js'
import { generate } from '../../src/generate/generate.js'
import { generateBatch } from '../../src/generate/generate-batch.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { testEnvironment } from '../support/training.js'

const open = () => FolderModel.open('test/fixtures/golden/peft/llama/model', testEnvironment())
const VOCABULARY = 96
const END = 95

const maskOf = (ids: readonly number[]): Int32Array => {
  const words = new Int32Array(Math.ceil(VOCABULARY / 32))
  for (const id of ids) words[id >> 5]! |= 1 << (id & 31)
  return words
}

/** (10 | 20 30)* 40, and then the end: `after` says by the last token what may follow. */
const after = (last: number | undefined): readonly number[] =>
  last === 40 ? [END] : last === 20 ? [30] : [10, 20, 40] // prettier-ignore

const automaton = (shape: (ids: readonly number[]) => TokenSet): Constraint => ({
  begin: () => {
    let last: number | undefined
    return { allowed: () => shape(after(last)), accept: (id) => void (last = id) }
  },
})

const isOfLanguage = (ids: readonly number[]): boolean => /^(10 |20 30 )*40 $/.test(ids.map((id) => `${id} `).join(''))

describe('a constraint', () => {
  it('leaves the logits of its tokens, from ids and from a mask that may be too short', () => {
    const logits = Float32Array.from({ length: 40 }, (_, i) => i)
    const [byIds, byMask] = [logits.slice(), logits.slice()]
    ruleOutOthers(byIds, [33, 0, 31])
    ruleOutOthers(byMask, maskOf([33, 0, 31]))
    expect([...byIds.entries()].filter(([, logit]) => logit > -Infinity)).toEqual([[0, 0], [31, 31], [33, 33]]) // prettier-ignore
    expect(byMask).toEqual(byIds)
    const short = logits.slice()
    ruleOutOthers(short, Uint32Array.of(0x80000001))
    expect([...short.keys()].filter((i) => short[i]! > -Infinity)).toEqual([0, 31])
    expect(() => ruleOutOthers(logits.slice(), [40])).toThrow('the constraint allows token 40, but the vocabulary has 40')
  })

  it('keeps greedy and sampled texts in its language, by ids and by masks the same', async () => {
    const model = await open()
    const ask = async (shape: (ids: readonly number[]) => TokenSet, options: object) =>
      await generate(model, { inputIds: [5, 17], maxNewTokens: 60, eosTokenIds: [END], constraint: automaton(shape), ...options })
    const texts = new Set<string>()
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const options = { temperature: 2, topK: 50, seed }
      const text = await ask((ids) => ids, options)
      expect(await ask(maskOf, options)).toEqual({ ...text, tokensPerSecond: expect.any(Number) as number })
      expect(text.finishReason).toBe('eos')
      expect(isOfLanguage(text.ids)).toBe(true)
      texts.add(text.ids.join())
    }
    expect(texts.size).toBeGreaterThan(2)
    // Greedily the best of the allowed comes, whatever the model likes best of all.
    const { ids } = await generate(model, { inputIds: [5, 17], maxNewTokens: 1 })
    expect(after(undefined)).not.toContain(ids[0])
    expect(after(undefined)).toContain((await ask((ids) => ids, { maxNewTokens: 1 })).ids[0])
  })

  it('has a state for each row and each sample, beside rows without one, in both kinds of batch', async () => {
    const model = await open()
    const shared = { maxNewTokens: 40, temperature: 2, eosTokenIds: [END] }
    const constraint = automaton(maskOf)
    const rows = [
      { inputIds: [5, 17], constraint, numReturn: 4 },
      { inputIds: [9, 1, 2], seed: 3 },
      { inputIds: [9, 1, 2], seed: 3, constraint },
    ]
    const [several, free, one] = await generateBatch(model, rows, shared)
    for (const { ids } of [...several!.samples!, one!]) expect(isOfLanguage(ids)).toBe(true)
    expect(free!.ids).toEqual((await generate(model, { ...rows[1]!, ...shared })).ids)
    expect(isOfLanguage(free!.ids)).toBe(false)
    const alone = await generate(model, { ...rows[2]!, ...shared })
    expect(one!.ids).toEqual(alone.ids)
    const batch = new ContinuousBatch(model)
    const stream = batch.add({ ...rows[2]!, ...shared })
    let next = await stream.next()
    while (next.done !== true) next = await stream.next()
    expect(next.value.ids).toEqual(alone.ids)
  })

  it('ends the text where it allows no token, and says when other options rule out what it allows', async () => {
    const model = await open()
    const two: Constraint = {
      begin: () => {
        let left = 2
        return { allowed: () => (left === 0 ? [] : undefined), accept: () => void left-- }
      },
    }
    const free = await generate(model, { inputIds: [5], maxNewTokens: 5 })
    const ended = await generate(model, { inputIds: [5], maxNewTokens: 5, constraint: two })
    expect([ended.ids, ended.finishReason]).toEqual([free.ids.slice(0, 2), 'stop'])
    const only = (id: number): Constraint => ({ begin: () => ({ allowed: () => [id], accept: () => undefined }) })
    await expect(generate(model, { inputIds: [5], constraint: only(5), noRepeatNgramSize: 1 })).rejects.toThrow(
      /noRepeatNgramSize 1 and minNewTokens 0 rule out all 96 that the constraint would allow/,
    )
    await expect(generate(model, { inputIds: [5], constraint: only(96) })).rejects.toThrow('the constraint allows token 96')
    await expect(generate(model, { inputIds: [5], constraint: only(5), beams: 2 })).rejects.toThrow(
      'a constraint follows one text',
    )
    await expect(generate(model, { inputIds: [5], constraint: {} as Constraint })).rejects.toThrow(
      'constraint must be a constraint',
    )
  })
})
