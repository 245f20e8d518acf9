/** @file The demo's rows, its tokenizer, the base model in the checkout, and training of all weights. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HELD_OUT } from '../src/cli/demo/held-out.js'
import { factsStated, generateRows, toJsonl, type Domain } from '../src/cli/demo/rows.js'
import { learnMerges, specialTokens, tokenizerJson, writeTokenizer } from '../demo/tokenizer.js'
import { loadTokenizer, type Tokenizer } from '../src/data/tokenizer.js'
import { evaluate, fullTrainee, loadModel, train, type TrainEvent } from '../src/index.js'
import { nodeFiles } from '../src/io/node-files.js'
import type { Trainee } from '../src/train/trainee.js'
import { Random } from '../src/util/rng.js'

const root = resolve(import.meta.dirname, '..')
const base = join(root, 'demo/base')
const files = nodeFiles()
const folder = mkdtempSync(join(tmpdir(), 'lowrank-demo-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.each<Domain>(['general', 'trains'])('rows of domain %s', (domain) => {
  const rows = generateRows(domain, 2000, 5)

  it('depend on the seed alone', () => {
    expect(generateRows(domain, 2000, 5)).toEqual(rows)
    expect(generateRows(domain, 100, 5)).toEqual(rows.slice(0, 100))
    expect(generateRows(domain, 100, 6)).not.toEqual(rows.slice(0, 100))
  })

  it('have prompts that all differ, in plain ASCII, and completions that state every fact', () => {
    expect(new Set(rows.map((row) => row.prompt)).size).toBe(2000)
    for (const row of rows) {
      expect(row.prompt).toMatch(/^[\x20-\x7e]+\n$/)
      expect(row.completion).toMatch(/^[\x20-\x7e]+$/)
      expect(factsStated(row, row.completion)).toBe(row.facts.length)
      expect(factsStated(row, '')).toBe(0)
    }
  })

  it('are JSONL with prompt and completion', () => {
    const lines = toJsonl(rows.slice(0, 2)).split('\n')
    expect(lines).toHaveLength(3)
    expect(JSON.parse(lines[0]!)).toEqual({ prompt: rows[0]!.prompt, completion: rows[0]!.completion })
  })
})

describe('facts and wording', () => {
  it('a number must end where it ends', () => {
    const row = { prompt: '', completion: '', facts: ['platform 1', 'to Halden'] }
    expect(factsStated(row, 'to Haldensee from platform 12')).toBe(0)
    expect(factsStated(row, 'platform 12, no: platform 1.')).toBe(1)
    expect(factsStated(row, 'to Halden, platform 1')).toBe(2)
  })

  it('the same board always has the same announcement, though rows are drawn at random', () => {
    // Two streams: an announcement is a function of the board if prompts alone decide.
    const strip = (text: string): string => text.replace(/\d+|[A-Z][a-z]+(?= >)|(?<=> )\w+|(?<=via )\w+/g, '#')
    const form = (text: string): string => text.replace(/(from|to|via) [A-Z]\w+/g, '$1 #').replace(/\d+/g, '#')
    const forms = new Map<string, Set<string>>()
    for (const { prompt, completion } of generateRows('trains', 4000, 8)) {
      const delay = Number(/\+(\d+)/.exec(prompt)![1])
      const board = `${strip(prompt)}${delay === 0 ? 0 : delay < 30 ? 1 : 2}`
      forms.set(board, (forms.get(board) ?? new Set()).add(form(completion)))
    }
    expect(forms.size).toBeGreaterThan(60)
    for (const [board, completions] of forms) expect([board, completions.size]).toEqual([board, 1])
  })
})

describe('the tokenizer', () => {
  const load = async (): Promise<Tokenizer> => (await loadTokenizer(files, base))!

  it('merges the most frequent pair first, the first in order where two are as frequent', () => {
    // Pairs: "ab" 4 times, then "abc" 3 times ("ab" stands once alone); no other pair is left.
    expect(learnMerges(['abc', 'abc', 'abc', 'ab'], 9)).toEqual([
      ['a', 'b'],
      ['ab', 'c'],
    ])
    expect(learnMerges(['yz', 'ab'], 1)).toEqual([['a', 'b']])
    // Digits are never joined, a space belongs to the word after it.
    expect(learnMerges(['10 10 10 x', ' x'], 9)).toEqual([['Ġ', 'x']])
  })

  it('is a whole alphabet even without merges', async () => {
    await files.write(`${folder}/bytes/tokenizer.json`, JSON.stringify(tokenizerJson([])))
    const tokenizer = (await loadTokenizer(files, `${folder}/bytes`))!
    expect(tokenizer.encode('é', { addSpecialTokens: false })).toHaveLength(2)
  })

  it('gives every text back, puts <s> before it and knows the others', async () => {
    const tokenizer = await load()
    const texts = ['IC 204 | Halden > Morvik | 08:15 | +10\n', '  two  spaces ', 'naïve – 日本 🚂\t\r\n', '</s> and <s>']
    for (const text of [...texts, ...generateRows('general', 100, 9).map((row) => row.prompt + row.completion)])
      expect(tokenizer.decode(tokenizer.encode(text, { addSpecialTokens: false }))).toBe(text)
    expect(tokenizer.encode('a')[0]).toBe(specialTokens.indexOf('<s>'))
    expect([tokenizer.bosTokenId, tokenizer.eosTokenIds, tokenizer.padTokenId]).toEqual([1, [2], 0])
    expect(tokenizer.decode(tokenizer.encode(' 2024', { addSpecialTokens: false }).slice(1, 2))).toBe('2')
  })

  it('in the checkout is the one that its program makes', async () => {
    const texts = [...generateRows('general', 6000, 1), ...generateRows('trains', 2000, 1)].map(
      (row) => row.prompt + row.completion,
    )
    await writeTokenizer(files, `${folder}/again`, texts, 768)
    for (const name of ['tokenizer.json', 'tokenizer_config.json'])
      expect(await files.readText(`${folder}/again/${name}`)).toBe(await files.readText(`${base}/${name}`))
  })
})

describe('the base model in the checkout', () => {
  it('is a few megabytes, knows domain A and not domain B', async () => {
    expect(await files.size(`${base}/model.safetensors`)).toBeLessThan(6e6)
    const model = await loadModel(base)
    expect(model.parameterCount).toBeGreaterThan(1e6)
    const loss = async (domain: Domain): Promise<number> => {
      const { rows, seed } = HELD_OUT[domain]
      await files.write(`${folder}/${domain}.jsonl`, toJsonl(generateRows(domain, rows, seed)))
      return (await evaluate(model, { data: `${folder}/${domain}.jsonl`, batchSize: 20 })).loss
    }
    // The wording of a row is drawn at random, so the loss cannot reach 0.
    expect(await loss('general')).toBeLessThan(0.35)
    expect(await loss('trains')).toBeGreaterThan(1)
  })
})

describe.each(['gpt2', 'llama'])('all weights of %s', (name) => {
  const rows = join(folder, `${name}.jsonl`)
  const open = async (): Promise<Trainee> => fullTrainee(await loadModel(join(root, `test/fixtures/golden/peft/${name}/model`)))
  beforeAll(() => {
    const random = new Random(3)
    const row = (length: number): object => ({ input_ids: Array.from({ length }, () => 3 + random.integer(90)) })
    writeFileSync(rows, [9, 13, 16, 7].map((length) => JSON.stringify(row(length))).join('\n'))
  })

  it('train: five steps lower the loss, every tensor moves, and the saved model has the loss', async () => {
    const trainee = await open()
    const start = trainee.parameters.data.slice()
    const out = join(folder, `${name}-trained`)
    const events: TrainEvent[] = []
    const options = { steps: 5, batchSize: 4, learningRate: 3e-3, shuffle: false, out }
    for await (const event of train(trainee, { data: rows, evalData: rows, ...options })) events.push(event)
    const losses = events.flatMap((event) => (event.event === 'step' ? [event.loss] : []))
    expect(losses).toHaveLength(5)
    losses.slice(1).forEach((loss, i) => expect(loss).toBeLessThan(losses[i]!))
    const end = events.findLast((event) => event.event === 'eval')!
    expect(end.loss).toBeLessThan(losses[0]! - 0.1)
    expect(events[0]).toMatchObject({ event: 'start', trainableParameters: start.length, totalParameters: start.length })

    let offset = 0
    for (const { name: tensor, shape } of trainee.parameters.specs) {
      const length = shape.reduce((a, b) => a * b, 1)
      const moved = trainee.parameters.view(tensor).some((value, i) => value !== start[offset + i])
      expect([tensor, moved]).toEqual([tensor, true])
      offset += length
    }
    const saved = await evaluate(await loadModel(out), { data: rows, batchSize: 4 })
    expect(saved.loss).toBeCloseTo(end.loss, 6)
  })
})
