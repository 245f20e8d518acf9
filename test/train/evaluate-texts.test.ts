/** @file Texts that a model writes for rows, scored: as `generate` writes them and `score` scores them; by the API and by `lowrank eval`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { evaluateTexts, generate, loadModel, type Model } from '../../src/index.js'
import { score } from '../../src/metrics/index.js'
import { runCli, temporaryFolder } from '../cli/run-cli.js'
import { writeChatModel } from '../support/chat-model.js'
import { writeRows } from '../support/training.js'

const folder = temporaryFolder()
const path = writeChatModel(join(folder, 'model'))
let model: Model
beforeAll(async () => {
  model = await loadModel(path, { threads: 1 })
})

const options = { maxNewTokens: 6, minNewTokens: 2 }
const rows = [
  { prompt: 'one cat', completion: ' sat down' },
  { prompt: 'two dogs', completion: ' bark ' },
  { prompt: 'one cat', completion: ' ran' },
]
const data = writeRows(join(folder, 'rows.jsonl'), rows)
const written = async (prompt: string): Promise<string> => (await generate(model, { prompt, ...options })).text.trim()

it('rows of a table without a header are read by the numbers of its columns, by the API and by the command', async () => {
  const table = join(folder, 'rows.tsv')
  writeFileSync(table, rows.map(({ prompt, completion }) => `${prompt}\t"\t${completion}\n`).join(''))
  const metrics = ['ter'] as const
  const wanted = await evaluateTexts(model, { data, metrics, ...options })
  const columns = { prompt: '1', completion: '3' }
  expect(await evaluateTexts(model, { data: table, columns, header: false, metrics, ...options })).toEqual(wanted)
  const flags = ['--columns', 'prompt=1,completion=3', '--no-header', '--max-new-tokens', '6', '--min-new-tokens', '2']
  const found = await runCli(['eval', '--model', path, '--data', table, ...flags, '--metrics', 'ter', '--json'])
  expect(found.json()[0]).toMatchObject({ segments: 2, scores: { ter: { score: wanted.scores.ter!.score } } })
})

it('rows of one prompt are one segment; texts are those of generate, whatever the batch', async () => {
  const segments = [
    { hypothesis: await written('one cat'), references: ['sat down', 'ran'] },
    { hypothesis: await written('two dogs'), references: ['bark'] },
  ]
  expect(segments[0]!.hypothesis).not.toBe('')
  const told: number[][] = []
  const metrics = ['ter', 'chrf++'] as const
  for (const batchSize of [1, 8]) {
    const found = await evaluateTexts(model, { data: rows, metrics, ...options, batchSize, onProgress: (...at) => told.push(at) })
    expect(found).toEqual({ segments, scores: score(segments, metrics) })
  }
  expect(told).toEqual([[1, 2], [2, 2], [2, 2]]) // prettier-ignore
  // What was written is a score of its own: as a reference it is perfect.
  const perfect = segments.map(({ hypothesis }, i) => ({ prompt: ['one cat', 'two dogs'][i], completion: hypothesis }))
  const { scores } = await evaluateTexts(model, { data: perfect, metrics: ['ter'], ...options, lowercase: true })
  expect(scores.ter).toMatchObject({ score: 0, lowercase: true })
})

it('metrics get what they need', async () => {
  const modules = ['exact', 'stem'] as const
  const { scores, segments } = await evaluateTexts(model, { data: rows, metrics: ['meteor'], modules, ...options })
  expect(scores).toEqual(score(segments, ['meteor'], { modules }))
})

it('dialogues: what comes before the last turn is answered by the template', async () => {
  const messages = [{ role: 'user', content: 'cat?' }]
  const answer = { role: 'assistant', content: 'a cat' }
  const hypothesis = (await generate(model, { messages, ...options })).text.trim()
  const both = [{ messages: [...messages, answer] }, { prompt: messages, completion: [{ ...answer, content: 'the cat' }] }]
  const { segments } = await evaluateTexts(model, { data: both, metrics: ['bleu'], ...options })
  expect(segments).toEqual([{ hypothesis, references: ['a cat', 'the cat'] }])
})

describe('refuses, before a text is written', () => {
  it.each([
    [{ text: 'alone' }, /data, row 2: the row is one text/],
    [{ input_ids: [1, 2] }, /data, row 2: the row is tokens/],
    [{ messages: [{ role: 'user', content: 'a' }] }, /row 2: there is nothing before the answer/],
    [{ messages: [{ role: 'assistant', content: 'a' }, { role: 'user', content: 'a' }] }, /does not end with a turn of the assistant/], // prettier-ignore
    [{ prompt: 'a '.repeat(3000), completion: 'b' }, /row 2: the prompt has \d+ tokens, but the model has only \d+ positions/],
  ])('%j', async (row, message) => {
    await expect(evaluateTexts(model, { data: [rows[0]!, row], metrics: ['bleu'], ...options })).rejects.toThrow(message)
  })

  it('metrics and options that are asked for in vain', async () => {
    const ask = (more: object) => evaluateTexts(model, { data: rows, metrics: ['bleu'], ...more })
    await expect(ask({ metrics: ['blue'] })).rejects.toThrow(/Did you mean bleu/)
    await expect(ask({ metrics: [] })).rejects.toThrow(/one or more of/)
    await expect(ask({ metrics: ['chrf++'], tokenizer: '13a' })).rejects.toThrow(/tokenizer is for other metrics/)
    await expect(ask({ metrics: ['meteor'] })).rejects.toThrow(/WordNet/)
    await expect(ask({ lengthPenalty: 2 })).rejects.toThrow(/beams/)
    await expect(ask({ numReturn: 2 })).rejects.toThrow(/unknown option "numReturn"/)
  })
})

describe('lowrank eval --metrics', () => {
  const run = (...args: string[]) => runCli(['eval', '--model', path, '--data', data, '--threads', '1', ...args])

  it('says the same', async () => {
    const each = join(folder, 'each.jsonl')
    const generation = ['--max-new-tokens', '6', '--min-new-tokens', '2']
    const result = await run('--metrics', 'bleu,ter', ...generation, '--per-segment', each, '--json')
    expect(result.stderr).toBe('')
    const { scores, segments } = await evaluateTexts(model, { data, metrics: ['bleu', 'ter'], ...options })
    expect(result.json()).toMatchObject([{ segments: 2, scores: { bleu: { score: scores.bleu!.score }, ter: { score: scores.ter!.score } } }]) // prettier-ignore
    expect(JSON.parse(readFileSync(each, 'utf8').split('\n')[1]!)).toMatchObject({ segment: 2, ...segments[1] })
  })

  it('has the modules of METEOR that are asked for', async () => {
    const result = await run('--metrics', 'meteor', '--meteor-modules', 'exact,stem', '--max-new-tokens', '6', '--json')
    expect(result.stderr).toBe('')
    expect(result.json()).toMatchObject([{ scores: { meteor: { name: 'METEOR (exact, stem)' } } }])
  })

  it.each([
    [['--max-new-tokens', '6'], /--max-new-tokens is for texts that are compared by --metrics/],
    [['--lower'], /--lower is for texts/],
    [['--metrics', 'bleu', '--max-length', '6'], /--max-length is for the loss/],
    [['--metrics', 'bleu', '--meteor-modules', 'exact'], /--meteor-modules is for the metric meteor/],
    [['--metrics', 'meteor', '--meteor-modules', 'exact,paraphrase'], /needs --meteor-data DIR of lowrank score/],
    [['--metrics', 'bleu,blue'], /there is no "blue"/],
    [['--metrics', 'bleu', '--overwrite'], /--overwrite is for the file of --per-segment/],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await run(...args)
    expect(stderr).toMatch(message)
    expect(code).toBeGreaterThan(0)
  })
})
