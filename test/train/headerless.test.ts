/** @file A table without a header is the same data as its rows with names, for whatever takes rows. */
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  addLora,
  collectLabels,
  evaluate,
  initializeEva,
  inspectData,
  loadModel,
  planTraining,
  type Adapter,
  type Model,
  type TrainOptions,
} from '../../src/index.js'
import { runCli } from '../cli/run-cli.js'
import { runTraining, temporaryFolder, writeRows } from '../support/training.js'

const folder = temporaryFolder()
const path = resolve(import.meta.dirname, '../fixtures/predict/classes')
const texts = ['Ada lives in London', 'the "soup was cold!', '"who" wrote it?', 'nobody came', 'a name', 'London']
const labels = ['praise', 'complaint', 'question', 'praise', 'question', 'complaint']
const rows = texts.map((text, i) => ({ text, label: labels[i] }))
const data = writeRows(join(folder, 'rows.jsonl'), rows)
const raw = join(folder, 'raw.tsv')
writeFileSync(raw, rows.map(({ text, label }) => `gj04\t${label}\t\t${text}\n`).join(''))
const columns = { label: '2', text: '4' }
const header = false
/** The same rows, each in the one form and in the other. */
const [named, unnamed] = [{ data }, { data: raw, columns, header }]

let model: Model
const fresh = (): Promise<Adapter> => addLora(model, { r: 2, seed: 3 })
const common = { steps: 2, batchSize: 2, learningRate: 1e-2, seed: 7, maxLength: 16 }
beforeAll(async () => {
  model = await loadModel(path, { threads: 1 })
})

describe('a table without a header', () => {
  it('is trained on and evaluated as rows with names are, split and given beside', async () => {
    const run = async (options: Pick<TrainOptions, 'data'> & Partial<TrainOptions>) => {
      const { steps, evals } = await runTraining(await fresh(), { ...common, evalEvery: 2, ...options })
      return [steps.map(({ loss }) => loss), evals.map(({ loss }) => loss)]
    }
    const wanted = await run({ ...named, valSplit: 0.3 })
    expect(wanted[1]).toHaveLength(1)
    expect(await run({ ...unnamed, valSplit: 0.3 })).toEqual(wanted)
    expect(await run({ ...unnamed, evalData: raw })).toEqual(await run({ ...named, evalData: data }))
    expect(await evaluate(model, { ...unnamed, maxLength: 16 })).toEqual(await evaluate(model, { ...named, maxLength: 16 }))
    const set = { valSplit: 0.3, seed: 7, maxLength: 16 }
    expect(await evaluate(model, { ...unnamed, ...set })).toEqual(await evaluate(model, { ...named, ...set }))
    const of = async (options: Pick<TrainOptions, 'data'>) => (await planTraining(await fresh(), { ...common, ...options })).tokensPerStep // prettier-ignore
    expect(await of(unnamed)).toBe(await of(named))
  })

  it('has its labels collected and its rows inspected, and EVA reads it', async () => {
    expect(await collectLabels(raw, { columns, header })).toEqual(await collectLabels(data))
    await expect(collectLabels(raw, { header: 'no' as unknown as boolean })).rejects.toThrow('header must be true or false')
    const found = await inspectData(path, raw, { columns, header })
    const { rows, tokens, labels } = (await inspectData(path, data)).data
    expect(found.data).toMatchObject({ rows, tokens, labels })
    const components = async (options: Pick<TrainOptions, 'data'>): Promise<unknown> =>
      (await initializeEva(await addLora(model, { r: 1, seed: 3 }), options)).parameters.data
    expect(await components(unnamed)).toEqual(await components(named))
  })

  it('is what a run was trained on, which one that is resumed must say too', async () => {
    // Read with its header, it has the same columns and a row less.
    const numbers = join(folder, 'numbers.tsv')
    writeFileSync(numbers, `1\t2\n${rows.map(({ text, label }) => `${label}\t${text}\n`).join('')}`)
    const out = join(folder, 'out')
    const options = { ...common, data: numbers, columns: { label: '1', text: '2' }, out }
    await runTraining(await fresh(), { ...options, checkpointEvery: 1, steps: 1 })
    const again = runTraining(await fresh(), { ...options, header, resume: true })
    await expect(again).rejects.toThrow('header (--no-header): not given before, false now')
  })
})

describe('--no-header', () => {
  it('of eval, predict and data', async () => {
    const flags = ['--columns', 'label=2,text=4', '--no-header', '--json']
    const of = ['--model', path, '--max-length', '16']
    const measured = await runCli(['eval', ...of, '--data', raw, ...flags])
    expect([measured.code, measured.json()]).toEqual([0, [await evaluate(model, { ...named, maxLength: 16 })]])
    const predicted = await runCli(['predict', ...of, '--data', raw, ...flags])
    const plain = await runCli(['predict', ...of, '--data', data, '--json'])
    expect(predicted.json().map(({ prediction }) => prediction)).toEqual(plain.json().map(({ prediction }) => prediction))
    expect(predicted.json()[1]).toMatchObject({ 1: 'gj04', 2: 'complaint', 3: '', 4: 'the "soup was cold!' })
    const inspected = await runCli(['data', raw, ...of, ...flags])
    expect(inspected.json()[0]).toMatchObject({ data: { rows: 6, usable: 6 } })
    const auto = await runCli(['data', raw, ...of, '--labels', 'auto', '--new-head', ...flags])
    expect([auto.stderr, auto.code]).toEqual(['', 0])
  })

  it('of train, whose labels are read and whose EVA begins in the same way', async () => {
    const out = join(folder, 'trained')
    const head = ['--task', 'sequence-classification', '--labels', 'auto', '--new-head', '--init', 'eva', '--r', '1']
    const rows = ['--data', raw, '--columns', 'label=2,text=4', '--no-header', '--val-split', '0.3', '--max-length', '16']
    const trained = await runCli(['train', '--model', path, ...head, ...rows, '--out', out, '--steps', '1', '--json'])
    expect([trained.code, trained.json().at(-1)]).toEqual([0, expect.objectContaining({ event: 'done', reason: 'finished' })])
  })

  it('of score', async () => {
    const pairs = join(folder, 'pairs.csv')
    writeFileSync(pairs, 'a b,a b\na c,a b\n')
    const columns = ['--columns', 'hypothesis=1,references=2']
    const scored = await runCli(['score', '--data', pairs, ...columns, '--no-header', '--metrics', 'exact-match', '--json'])
    expect([scored.stderr, scored.json()[0]]).toMatchObject(['', { segments: 2 }])
  })

  it('is refused where there are no files of rows, and of rows that have names', async () => {
    const refused = async (...args: string[]): Promise<string> => {
      const { code, stderr } = await runCli(args)
      expect(code).not.toBe(0)
      return stderr
    }
    expect(await refused('predict', '--model', path, '--text', 'a', '--no-header')).toContain(
      '--no-header is for rows of --data.',
    )
    const files = ['--references', data, '--hypotheses', data]
    expect(await refused('score', ...files, '--no-header')).toContain('--no-header is for rows of --data.')
    expect(await refused('eval', '--model', path, '--data', data, '--no-header')).toContain('rows of .jsonl have the names')
  })
})
