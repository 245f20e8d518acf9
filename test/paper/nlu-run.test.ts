/** @file Runs on GLUE from end to end, on a small BERT and generated files: the best kept and measured, what is written, MNLI's adapter as a beginning, refusals. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { FolderModel } from '../../src/model/folder-model.js'
import { nodeFiles } from '../../src/io/node-files.js'
import { findRecords } from '../../src/paper/table/find-records.js'
import type { NluOverrides } from '../../src/paper/nlu/overrides.js'
import { runNlu, type NluEvent, type NluRunOptions } from '../../src/paper/nlu/run.js'
import { nluSettings } from '../../src/paper/nlu/settings.js'
import { runCli } from '../cli/run-cli.js'
import { writeBertModel } from '../support/bert-model.js'
import { temporaryFolder, testEnvironment } from '../support/training.js'
import { Random } from '../../src/util/rng.js'

const folder = temporaryFolder()
const glue = join(folder, 'glue')
const base = join(folder, 'base')

const words = { good: ['fine', 'lovely', 'bright'], bad: ['dull', 'poor', 'bleak'], other: ['the', 'film', 'was', 'a', 'song'] }
const random = new Random(3)
const pick = (list: readonly string[]): string => list[random.integer(list.length)]!
const sentence = (good: boolean): string =>
  [pick(words.other), pick(words.other), pick(good ? words.good : words.bad), pick(words.other)].join(' ')

function write(task: string, files: Record<string, string>): void {
  mkdirSync(join(glue, task), { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(glue, task, name), text)
}

const sst2 = (rows: number): string =>
  `sentence\tlabel\n${Array.from({ length: rows }, (_, i) => `${sentence(i % 2 === 1)}\t${i % 2}\n`).join('')}`
const tests = (rows: number): string =>
  `index\tsentence\n${Array.from({ length: rows }, (_, i) => `${i}\t${sentence(i % 2 === 1)}\n`).join('')}`
const mnli = (rows: number): string =>
  Array.from({ length: rows }, (_, i) => {
    const [premise, hypothesis] = [sentence(true), sentence(i % 3 === 0)]
    return `${JSON.stringify({ premise, hypothesis, label: (['entailment', 'neutral', 'contradiction'] as const)[i % 3] })}\n`
  }).join('')
const stsb = (rows: number): string =>
  Array.from({ length: rows }, (_, i) => `g\tf\ty\t${i}\t${i % 2 === 0 ? 4.5 : 0.5}\t${sentence(true)}\t${sentence(i % 2 === 0)}\n`).join('') // prettier-ignore

beforeAll(() => {
  write('SST-2', {
    'train.tsv': sst2(96),
    'dev.tsv': sst2(16),
    'test.tsv': tests(12),
  })
  write('mnli', { 'train.jsonl': mnli(18), 'validation_matched.jsonl': mnli(6), 'validation_mismatched.jsonl': mnli(9) })
  write('STS-B', { 'sts-train.tsv': stsb(12), 'sts-dev.tsv': stsb(6), 'sts-test.tsv': stsb(3) })
  writeBertModel(base, [Object.values(words).flat().join(' ')])
})

interface Ran {
  readonly events: readonly NluEvent[]
  readonly record: Record<string, unknown> & { readonly metrics: Record<string, Record<string, number>> }
}

async function run(
  preset: string,
  overrides: NluOverrides,
  options: Partial<NluRunOptions> & { readonly out: string },
): Promise<Ran> {
  const model = await FolderModel.open(base, testEnvironment())
  const small = { batchSize: 8, gradAccum: 1, maxLength: 32, ...overrides }
  const events: NluEvent[] = []
  for await (const event of runNlu(model, nluSettings(preset, small), { data: glue, ...options })) events.push(event)
  return { events, record: JSON.parse(readFileSync(join(options.out, 'paper.json'), 'utf8')) as Ran['record'] }
}

const out = (name: string): string => join(folder, name)

describe('a run', () => {
  it('learns SST-2, keeps the best epoch and predicts the test rows by name', async () => {
    const to = out('sst2')
    const { events, record } = await run('roberta-base-sst2', { epochs: 8, learningRate: 1e-2 }, { out: to, predict: true })
    const evaluated = events.flatMap((event) => (event.event === 'eval' ? [event.accuracy!] : []))
    expect(evaluated).toHaveLength(8)
    expect(record.metrics['dev']).toEqual({ accuracy: Math.max(...evaluated), combined: Math.max(...evaluated) })
    expect(record.metrics['dev']!['accuracy']).toBeGreaterThan(0.8)
    expect(record).toMatchObject({ task: 'sst2', preset: 'roberta-base-sst2', model: base, seed: 0, rows: 96, steps: 96 })
    const [best] = record['evaluations'] as { accuracy: number; step: number }[]
    expect(best).toHaveProperty('step', 12)
    // Two layers, queries and values, rank 8 of width 64; the head is not counted.
    expect(record['trainedParameters']).toBe(2 * 2 * 8 * (64 + 64))
    const [header, ...lines] = readFileSync(join(to, 'test_results_sst2.txt'), 'utf8').trimEnd().split('\n')
    expect(header).toBe('index\tprediction')
    const right = lines.filter((line, i) => line === `${i}\t${i % 2 === 1 ? 'positive' : 'negative'}`)
    expect(lines).toHaveLength(12)
    expect(right.length).toBeGreaterThan(8)
    expect(existsSync(join(to, 'adapter_model.safetensors'))).toBe(true)
    expect(await findRecords(nodeFiles(), [to])).toHaveLength(1)
  })

  it('measures MNLI on matched and mismatched rows, with R-Drop; STS-B begins with its adapter and a head of its own', async () => {
    const from = out('mnli')
    const { record } = await run('roberta-base-mnli', { epochs: 1, rDrop: 1 }, { out: from })
    expect(Object.keys(record.metrics)).toEqual(['matched', 'mismatched'])
    const { events, record: other } = await run(
      'roberta-base-stsb',
      { epochs: 1, seed: 2 },
      { out: out('stsb'), loraPath: from, predict: true, maxTrainSamples: 8, maxValSamples: 4 },
    )
    const start = events.find((event) => event.event === 'started')!
    expect(start).toMatchObject({ from, fresh: ['base_model.model.classifier.weight', 'base_model.model.classifier.bias'] })
    expect(Object.keys(other.metrics['dev']!)).toEqual(['pearson', 'spearman', 'combined'])
    expect(other).toMatchObject({ seed: 2, rows: 8, measuredRows: { dev: 4 } })
    expect(events.filter((event) => event.event === 'rows').map((event) => event.rows)).toEqual([8, 4, 3])
    expect(readFileSync(join(out('stsb'), 'test_results_stsb.txt'), 'utf8')).toMatch(
      /^index\tprediction\n(\d\t-?\d+\.\d{3}\n){3}$/,
    )
  })

  it('of BitFit is a row of its own, which counts the biases of the base', async () => {
    const { record } = await run('roberta-base-sst2', { epochs: 1, method: 'bitfit' }, { out: out('bitfit') })
    expect(record['preset']).toBe('roberta-base-bitfit-sst2')
    // Of each layer four projections, two dense layers and two norms; the norm of the embeddings, and BERT's pooler.
    expect(record['trainedParameters']).toBe(2 * (4 * 64 + 128 + 64 + 2 * 64) + 64 + 64)
    expect(record['settings']).not.toHaveProperty('r')
  })

  it('that is resumed notes the evaluations of both of its parts', async () => {
    const to = out('resumed')
    const options = { out: to, maxTrainSamples: 16, maxValSamples: 8 }
    const settings = nluSettings('roberta-base-sst2', { batchSize: 8, gradAccum: 1, maxLength: 32, epochs: 3 })
    const stop = new AbortController()
    const part = runNlu(await FolderModel.open(base, testEnvironment()), settings, {
      data: glue,
      signal: stop.signal,
      ...options,
    })
    for await (const { event } of part) if (event === 'eval') stop.abort()
    expect(existsSync(join(to, 'paper.json'))).toBe(false)
    const { record } = await run('roberta-base-sst2', { epochs: 3 }, { ...options, resume: true })
    expect((record['evaluations'] as { step: number }[]).map(({ step }) => step)).toEqual([2, 4, 6])
  })

  it('takes the record of an earlier one away as it begins', async () => {
    const to = out('again')
    await run('roberta-base-sst2', { epochs: 1 }, { out: to, maxTrainSamples: 8 })
    const settings = nluSettings('roberta-base-sst2', { batchSize: 8, gradAccum: 1, maxLength: 32, epochs: 1 })
    const options = { data: glue, out: to, maxTrainSamples: 8, overwrite: true }
    for await (const { event } of runNlu(await FolderModel.open(base, testEnvironment()), settings, options))
      if (event === 'start') break
    expect(existsSync(join(to, 'paper.json'))).toBe(false)
  })

  it('is a command', async () => {
    const to = out('command')
    const flags = [
      '--model',
      base,
      '--data',
      glue,
      '--out',
      to,
      '--epochs',
      '1',
      '--batch-size',
      '8',
      '--grad-accum',
      '1',
      '--max-length',
      '32',
    ]
    const ran = await runCli(['paper', 'nlu', 'run', '--preset', 'roberta-base-sst2', ...flags, '--seed', '3', '--json'])
    expect(ran.stderr).toBe('')
    expect(ran.json().at(-1)).toMatchObject({ event: 'scores', split: 'dev' })
    expect(JSON.parse(readFileSync(join(to, 'paper.json'), 'utf8'))).toMatchObject({
      seed: 3,
      settings: { batchSize: 8, epochs: 1 },
    })
    const said = await runCli(['paper', 'nlu', 'run', '--preset', 'roberta-base-sst2', ...flags, '--overwrite'])
    expect(said.stderr).toContain('roberta-base-sst2, seed 0: 8 rows in an update, one batch of 8')
    expect(said.stdout).toMatch(/dev: accuracy [\d.]+, combined [\d.]+/)
  })
})

describe('refuses, before anything is trained', () => {
  it.each<[string, string, Partial<NluRunOptions>]>([
    [
      'preset "roberta-base-stsb" begins with the adapter of MNLI: give it with loraPath (--lora-path), or fromScratch',
      'roberta-base-stsb',
      {},
    ],
    [
      'loraPath (--lora-path) and fromScratch (--from-scratch) contradict each other',
      'roberta-base-stsb',
      { loraPath: 'x', fromScratch: true },
    ],
    [
      'preset "roberta-base-sst2" begins from scratch anyway; leave fromScratch (--from-scratch) out',
      'roberta-base-sst2',
      { fromScratch: true },
    ],
    ['no file of mnli called "test_matched"', 'roberta-base-mnli', { predict: true }],
    ['no file of qnli called "train"', 'roberta-base-qnli', {}],
  ])('%s', async (message, preset, options) => {
    await expect(run(preset, { epochs: 1 }, { out: out('refused'), ...options })).rejects.toThrow(message)
    expect(existsSync(out('refused'))).toBe(false)
  })
})
