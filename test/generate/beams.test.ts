/** @file Beam search: the tokens and scores of transformers, and what it is made of. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { addLora, loadAdapter } from '../../src/adapter/adapter.js'
import { AdapterSet } from '../../src/adapter/adapter-set.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { loadTokenizer } from '../../src/data/tokenizer.js'
import { BeamSearch } from '../../src/generate/beam-search.js'
import { generate, generateStream } from '../../src/generate/generate.js'
import type { Generation } from '../../src/generate/generation.js'
import type { GenerateOptions } from '../../src/generate/generate-options.js'
import { generateBatch } from '../../src/generate/generate-batch.js'
import { ConfigReader } from '../../src/models/config-reader.js'
import { randomWeights } from '../../src/models/random.js'
import { Random } from '../../src/util/rng.js'
import { byteTokenizer, memoryFiles } from '../support/data.js'
import { llamaConfig, testEnvironment } from '../support/training.js'

const golden = 'test/fixtures/golden/peft'

interface Case {
  readonly model: string
  readonly prompt: readonly number[]
  readonly options: GenerateOptions & { readonly beams: number; readonly ends?: readonly number[] }
  readonly maxNewTokens: number
  /** One beam is greedy, and has no score. */
  readonly results: readonly { readonly ids: readonly number[]; readonly score?: number }[]
}
const cases = JSON.parse(readFileSync('test/fixtures/generate/beams.json', 'utf8')) as Case[]

const optionsOf = ({ options: { ends, ...options }, maxNewTokens }: Case): GenerateOptions => ({
  ...options,
  maxNewTokens,
  numReturn: options.beams,
  ...(ends && { eosTokenIds: ends }),
})

const open = (name: string): Promise<FolderModel> => FolderModel.open(`${golden}/${name}/model`, testEnvironment())

/** transformers keeps the token that ended a text. */
const withoutEnd = (found: readonly number[], { finishReason }: { readonly finishReason: string }): readonly number[] =>
  finishReason === 'eos' ? found.slice(0, -1) : found

function expectResults({ beams, ids, finishReason }: Generation, { results }: Case): void {
  if (beams === undefined) {
    expect([ids]).toEqual(results.map((result) => withoutEnd(result.ids, { finishReason })))
    return
  }
  expect(beams.map((beam) => beam.ids)).toEqual(results.map((result, i) => withoutEnd(result.ids, beams[i]!)))
  for (const [i, { score }] of beams.entries()) expect(Math.abs(score / results[i]!.score! - 1), `score ${i}`).toBeLessThan(2e-6)
  expect([ids, finishReason]).toEqual([beams[0]!.ids, beams[0]!.finishReason])
}

describe.each([...new Set(cases.map(({ model }) => model))])('a beam search with %s', (name) => {
  it('finds the texts and scores of transformers', async () => {
    const model = await open(name)
    const subject = name === 'llama' ? await loadAdapter(model, `${golden}/${name}/adapter-trained`) : model
    const reasons = new Set<string>()
    for (const one of cases.filter((c) => c.model === name)) {
      const found = await generate(subject, { inputIds: one.prompt, ...optionsOf(one) })
      expectResults(found, one)
      for (const { finishReason } of found.beams ?? [found]) reasons.add(finishReason)
    }
    expect(reasons).toEqual(new Set(['eos', 'length']))
  })

  it('finds the same for several prompts together', async () => {
    const model = await open(name)
    const prompts = [[5, 17, 60, 3, 88, 41, 9, 22], [7], [44, 45, 46]].map((inputIds) => ({ inputIds }))
    const options = {
      ...{ beams: 3, numReturn: 3, maxNewTokens: 10, eosTokenIds: [11, 30, 52, 71], lengthPenalty: 0.5 },
      ...{ noRepeatNgramSize: 3, minNewTokens: 2 },
    }
    const together = await generateBatch(model, prompts, options)
    for (const [i, prompt] of prompts.entries()) {
      const { ids, beams } = await generate(model, { ...prompt, ...options })
      expect(together[i]!.ids).toEqual(ids)
      expect(together[i]!.beams!.map((beam) => beam.ids)).toEqual(beams!.map((beam) => beam.ids))
    }
  })
})

describe('a beam search', () => {
  it('serves an adapter for each prompt', async () => {
    const model = await open('llama')
    const set = new AdapterSet(model)
    const other = await addLora(model, { r: 3, targetModules: 'all-linear', seed: 2 })
    const random = new Random(2)
    for (let i = 0; i < other.parameters.data.length; i++) other.parameters.data[i] = random.normal(0, 0.2)
    await set.add('other', other)
    const options = { beams: 3, maxNewTokens: 8 }
    const rows = [{ inputIds: [5, 6], adapter: null }, { inputIds: [5, 6], adapter: 'other' }, { inputIds: [9], adapter: 'other' }] // prettier-ignore
    const found = await generateBatch(set, rows, options)
    for (const [i, subject] of [model, other, other].entries()) {
      const { inputIds } = rows[i]!
      expect(found[i]!.ids).toEqual((await generate(subject, { inputIds, ...options })).ids)
    }
    expect(found[0]!.ids).not.toEqual(found[1]!.ids)
  })

  it('ends beams at stop strings and streams the best text', async () => {
    const json = byteTokenizer(['<s>', '</s>'])
    const files = memoryFiles({ 'm/tokenizer.json': json, 'm/tokenizer_config.json': '{"bos_token":"<s>","eos_token":"</s>"}' })
    const tokenizer = (await loadTokenizer(files, 'm'))!
    const config = new ConfigReader({ ...llamaConfig, vocab_size: 258, max_position_embeddings: 64 }, 'bytes')
    const model = FolderModel.fromWeights(testEnvironment(), config, randomWeights(config, 1), { tokenizer })
    const options = { prompt: 'hello there', maxNewTokens: 20, beams: 3, numReturn: 3 }
    const free = await generate(model, options)
    // A character that is not the first of the best text: the search must go on without it as well as with it.
    const stop = [...free.text].find((c, i) => i > 2 && c !== '\uFFFD' && free.text.indexOf(c) === i)!
    expect(stop).toBeDefined()
    const stopped = await generate(model, { ...options, stop })
    const hit = stopped.beams!.filter(({ finishReason }) => finishReason === 'stop')
    expect(hit.length).toBeGreaterThan(0)
    for (const { text, ids } of stopped.beams!) {
      expect(text).not.toContain(stop)
      const whole = tokenizer.decode([...tokenizer.encodePrompt(options.prompt), ...ids], { skipSpecialTokens: true })
      expect(whole.startsWith(options.prompt + text)).toBe(true)
    }
    for (const { ids } of hit) expect(tokenizer.decode(ids.slice(-1))).toBe(stop)
    const stream = generateStream(model, { ...options, stop })
    let [text, next] = ['', await stream.next()]
    const ids: number[] = []
    for (; next.done !== true; next = await stream.next()) {
      text += next.value.text
      if (next.value.id !== undefined) ids.push(next.value.id)
    }
    expect([text, ids]).toEqual([stopped.text, stopped.ids])
    expect(next.value.beams).toEqual(stopped.beams)
  })

  it('finds a likelier text than the greedy one, and with enough beams the likeliest of all', () => {
    // Next-token probabilities by the token before: the likeliest first token leads to unlikely texts.
    const next: Readonly<Record<number, readonly number[]>> = { [-1]: [0.5, 0.4, 0.1], 0: [0.4, 0.3, 0.3], 1: [0.05, 0.9, 0.05], 2: [1 / 3, 1 / 3, 1 / 3] } // prettier-ignore
    const optionsOfSearch = {
      lengthPenalty: 0,
      earlyStopping: false,
      repetitionPenalty: 1,
      noRepeatNgramSize: 0,
      minNewTokens: 0,
    }
    const run = (beams: number) => {
      const search = new BeamSearch({ beams, prompt: [0], limit: 3, ends: new Set(), stops: new Set(), ...optionsOfSearch })
      while (search.running.length > 0)
        search.advance(search.running.map(({ ids }) => Float32Array.from(next[ids.at(-1) ?? -1]!, Math.log)))
      return search.results(beams)
    }
    const all = [0, 1, 2].flatMap((a) => [0, 1, 2].flatMap((b) => [0, 1, 2].map((c) => [a, b, c])))
    const probability = (ids: readonly number[]): number => ids.reduce((p, id, i) => p * next[ids[i - 1] ?? -1]![id]!, 1)
    const best = all.map(probability).sort((a, b) => b - a)
    expect(run(2)[0]!.ids).toEqual([1, 1, 1])
    const found = run(9)
    expect(found.map(({ ids }) => probability(ids))).toEqual(best.slice(0, 9).map((p) => expect.closeTo(p, 12)))
    for (const { ids, score } of found) expect(score).toBeCloseTo(Math.log(probability(ids)), 5)
  })

  it('ends with what it has where the options rule out every token, and says so where that is nothing', () => {
    const search = (ends: readonly number[]) =>
      new BeamSearch({
        ...{ beams: 2, prompt: [0], limit: 9, ends: new Set(ends), stops: new Set<number>(), text: undefined },
        ...{ lengthPenalty: 1, earlyStopping: false, repetitionPenalty: 1, noRepeatNgramSize: 1, minNewTokens: 0 },
      })
    const advance = (beams: BeamSearch): void => {
      while (beams.running.length > 0) beams.advance(beams.running.map(() => Float32Array.of(3, 2, 1)))
    }
    const ended = search([2])
    advance(ended)
    expect(ended.results(2).map(({ ids }) => ids)).toEqual([[1], []])
    expect(() => advance(search([]))).toThrow(
      'no token may follow the 3 so far: noRepeatNgramSize 1 and minNewTokens 0 rule out all 3; raise the one or lower the other',
    )
  })

  it('gives what it has when it is aborted', async () => {
    const found = await generate(await open('llama'), { inputIds: [5], beams: 2, signal: AbortSignal.abort() })
    expect([found.ids, found.finishReason, found.beams!.length]).toEqual([[], 'aborted', 1])
  })

  it('refuses what does not go together', async () => {
    const model = await open('llama')
    const ask = (options: Record<string, unknown>) => generate(model, { inputIds: [1], ...options })
    await expect(ask({ beams: 0 })).rejects.toThrow('beams must be a whole number of at least 1, got 0')
    await expect(ask({ beams: 2, temperature: 0.5 })).rejects.toThrow(
      'temperature samples, and a beam search (beams 2) does not: leave out one of the two',
    )
    await expect(ask({ beams: 2, topK: 5 })).rejects.toThrow('topK samples')
    await expect(ask({ beams: 2, numReturn: 3 })).rejects.toThrow(
      'numReturn must be a whole number from 1 to the number of beams (2), got 3',
    )
    await expect(ask({ lengthPenalty: 1 })).rejects.toThrow('lengthPenalty belongs to a beam search: set beams to at least 2')
    await expect(ask({ minNewTokens: 9, maxNewTokens: 8 })).rejects.toThrow(
      'minNewTokens must be at most maxNewTokens (8), got 9',
    )
    await expect(ask({ beams: 2, lengthPenalty: NaN })).rejects.toThrow('lengthPenalty must be a finite number, got NaN')
    await expect(ask({ beams: 2, earlyStopping: 'always' })).rejects.toThrow(
      'earlyStopping must be true, false or "never", got "always"',
    )
    await expect(generateBatch(model, [{ inputIds: [1] }], { beams: 2, topP: 0.5 })).rejects.toThrow('topP samples')
  })
})
