/** @file `lowrank predict` as a process. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { testEnvironment, writeRows } from '../support/training.js'
import { finish, runCli, startCli, temporaryFolder } from './run-cli.js'

const root = resolve(import.meta.dirname, '../fixtures/predict')
const model = join(root, 'classes')
const folder = temporaryFolder()
const texts = ['Ada lives in London', 'the soup was cold!', 'who wrote, and "why"?', 'nobody came']
const rows = texts.map((text, id) => ({ id, text, label: 'praise', big: '12345678901234567890' }))
const data = writeRows(join(folder, 'rows.jsonl'), rows)
const [out, table] = [join(folder, 'said.jsonl'), join(folder, 'said.csv')]

interface Said {
  readonly id: number
  readonly text: string
  readonly label: string
  readonly prediction: { readonly label: string; readonly score: number; readonly scores: readonly object[] }
}
const lines = (text: string): Said[] => text.trim().split('\n').map((line) => JSON.parse(line) as Said) // prettier-ignore

it('rows of a file with their own fields and what the model says, to a file or printed', async () => {
  const printed = await runCli(['predict', '--model', model, '--data', data, '--json', '--top-k', '1'])
  expect(printed.stderr).toBe('')
  const said = lines(printed.stdout)
  expect(said.map(({ prediction: _, ...row }) => row)).toEqual(rows)
  for (const { prediction } of said) expect(prediction.scores).toEqual([{ label: prediction.label, score: prediction.score }])

  const written = await runCli([
    'predict',
    '--model',
    model,
    '--data',
    data,
    '--out',
    out,
    '--top-k',
    '1',
    '--batch-size',
    '3',
    '--json',
  ])
  expect(written.json()).toEqual([{ out, rows: 4 }])
  const kept = lines(readFileSync(out, 'utf8'))
  expect(kept.map(({ id, prediction }) => [id, prediction.label])).toEqual(said.map(({ id, prediction }) => [id, prediction.label])) // prettier-ignore
  kept.forEach(({ prediction }, i) => {
    expect(prediction.score).toBeCloseTo(said[i]!.prediction.score, 5)
  })

  const people = await runCli(['predict', '--model', model, '--data', data])
  expect(people.stdout.split('\n')[0]!.split('\t')[0]).toBe(said[0]!.prediction.label)
  expect(people.stdout).toContain('Ada lives in London')
})

it('a table, which a second run reads as rows', async () => {
  const written = await runCli(['predict', '--model', model, '--data', data, '--out', table])
  expect([written.stderr, written.stdout]).toEqual(['', `4 rows → ${table}\n`])
  const [head, , , third] = readFileSync(table, 'utf8').split('\n')
  expect(head).toBe('id,text,label,big,prediction.label,prediction.score,prediction.scores')
  expect(third!.startsWith('2,"who wrote, and ""why""?",praise,12345678901234567890,')).toBe(true)
  const again = await runCli(['predict', '--model', model, '--data', table, '--json'])
  expect(lines(again.stdout).map(({ text }) => text)).toEqual(texts)
  const twice = await runCli(['predict', '--model', model, '--data', table, '--out', join(folder, 'twice.csv')])
  expect(twice.stderr).toContain('line 2: the row has a field "prediction.label" already')
  expect(existsSync(join(folder, 'twice.csv'))).toBe(false)
})

it('the rows that a run has set aside', async () => {
  const { splitRows } = await import('../../src/data/split.js')
  const { openRows } = await import('../../src/data/open-rows.js')
  const { nodeFiles } = await import('../../src/io/node-files.js')
  const aside = await splitRows([await openRows(nodeFiles(), data)], { share: 0.5, seed: 3 })
  const [source] = aside.evaluation
  const wanted = await Promise.all([0, 1].map(async (index) => (await source!.row(index)).value['id']))
  const said = await runCli(['predict', '--model', model, '--data', data, '--val-split', '0.5', '--seed', '3', '--json'])
  expect(said.stderr).toBe('')
  expect(lines(said.stdout).map(({ id }) => id)).toEqual(wanted)
})

it('the rows that a run has set aside by a column that it renamed', async () => {
  const { openTrainAndEvalRows } = await import('../../src/train/open-dataset.js')
  const { FolderModel } = await import('../../src/model/folder-model.js')
  const mooded = writeRows(join(folder, 'mooded.jsonl'), [0, 1, 2, 3, 4, 5].map((id) => ({ id, text: texts[id % 4], mood: id >> 1, topic: 'one' }))) // prettier-ignore
  const columns = { topic: 'mood' }
  const split = { valSplit: 0.4, valSplitBy: 'topic', seed: 3 }
  const { evaluation } = await openTrainAndEvalRows(await FolderModel.open(model, testEnvironment()), { data: [mooded], columns, ...split }) // prettier-ignore
  const [source] = evaluation!.sources
  const wanted = await Promise.all(Array.from({ length: source!.length }, async (_, i) => (await source!.row(i)).value['id']))
  const flags = ['--val-split', '0.4', '--val-split-by', 'topic', '--seed', '3', '--columns', 'topic=mood']
  const said = await runCli(['predict', '--model', model, '--data', mooded, ...flags, '--json'])
  expect(said.stderr).toBe('')
  expect(lines(said.stdout).map(({ id }) => id)).toEqual(wanted)
  expect(lines(said.stdout)[0]).toHaveProperty('mood')
})

it('texts, lines of stdin and columns of other names', async () => {
  const given = await runCli(['predict', '--model', model, '--text', ...texts, '--json'])
  const child = startCli(['predict', '--model', model, '--json'])
  child.stdin.end(`${texts[0]}\n\n${texts[1]}\r\n${texts[2]}\n${texts[3]}`)
  const piped = await finish(child)
  expect(piped.stderr).toBe('')
  // An empty line is a row too: the number of a line is that of its answer.
  const [first, empty, ...rest] = lines(piped.stdout)
  expect([first, ...rest]).toEqual(lines(given.stdout))
  expect(empty!.text).toBe('')
  // Rows come out as they went in: every column in its place, under its own name.
  const named = texts.map((review, id) => ({ id, review, text: 'of another', note: null }))
  const other = writeRows(join(folder, 'other.jsonl'), named)
  // As the run that trained was told: rows to predict lack the column of its labels.
  const trained = await runCli(['predict', '--model', model, '--data', other, '--columns', 'text=review,label=mood', '--json'])
  const said = lines(trained.stdout)
  expect(said.map(({ prediction: _, ...row }) => JSON.stringify(row))).toEqual(named.map((row) => JSON.stringify(row)))
  expect(said.map(({ prediction }) => prediction)).toEqual(lines(given.stdout).map(({ prediction }) => prediction))
  const absent = await runCli(['predict', '--model', model, '--data', other, '--columns', 'text=remark,label=mood'])
  expect(absent.stderr).toContain('no row has the column "remark"')
})

it('an adapter, and several added up', async () => {
  const adapter = resolve(import.meta.dirname, '../fixtures/heads/bert-seq/adapter')
  const base = resolve(import.meta.dirname, '../fixtures/heads/bert-seq/model')
  const tokens = writeRows(join(folder, 'tokens.jsonl'), [{ input_ids: [3, 4, 5] }])
  const one = await runCli(['predict', '--model', base, '--adapter', adapter, '--data', tokens, '--json'])
  expect(lines(one.stdout)[0]!.prediction.scores).toHaveLength(3)
  const two = await runCli(['predict', '--model', base, '--adapter', adapter, adapter, '--data', tokens, '--json'])
  expect(two.stderr).toContain(`--adapter names ${adapter} twice.`)
})

it('never replaces rows, whatever names them', async () => {
  const data = join(folder, 'rows')
  mkdirSync(data)
  const file = writeRows(join(data, 'test.jsonl'), [{ text: texts[0] }])
  const before = readFileSync(file)
  const predicted = await runCli(['predict', '--model', model, '--data', data, '--out', file, '--overwrite'])
  expect(predicted.stderr).toContain('is a file of --data, which is never replaced')
  for (const given of [file, data]) {
    const page = await runCli(['data', given, '--model', model, '--html', file, '--overwrite'])
    expect(page.stderr).toContain('is a file of --data, which is never replaced')
  }
  const other = join(folder, 'config.json')
  writeFileSync(other, '{}')
  const page = await runCli(['data', file, '--model', model, '--html', other])
  expect(page.stderr).toContain('is there already. Choose another file, or replace it with --overwrite.')
  expect([readFileSync(file), readFileSync(other, 'utf8')]).toEqual([before, '{}'])
  const loose = await runCli(['predict', '--model', model, '--text', 'a', '--columns', 'text=x'])
  expect(loose.stderr).toContain('--columns is for rows of --data.')
})

it('refuses what it cannot do, and loses nothing', async () => {
  const refused = async (...flags: string[]): Promise<string> => {
    const { code, stderr, stdout } = await runCli(['predict', '--model', model, ...flags])
    expect([code === 0, stdout]).toEqual([false, ''])
    return stderr
  }
  expect(await refused('--data', data, '--out', join(folder, 'x.parquet'))).toContain(
    'predictions are written as .jsonl, .ndjson or .csv; Parquet is read, but not written',
  )
  expect(await refused('--data', data, '--out', data)).toContain('is there already')
  expect(await refused('--data', data, '--out', data, '--overwrite')).toContain('is a file of --data, which is never replaced')
  expect(lines(readFileSync(data, 'utf8'))).toEqual(rows)
  expect(await refused('--data', data, '--text', 'a')).toContain('--data and --text exclude each other')
  const large = join(folder, 'large.jsonl')
  writeFileSync(large, '{"text": "a", "id": 12345678901234567890}\n')
  expect(await refused('--data', large, '--json')).toContain('line 1: the number 12345678901234567000 under "id" is beyond 2^53')
  const uneven = writeRows(join(folder, 'uneven.jsonl'), [{ text: 'a' }, { text: 'b', more: 1 }])
  expect(await refused('--data', uneven, '--out', join(folder, 'uneven.csv'))).toContain(
    'line 2: the row has "more", which the first row lacks',
  )
  expect(existsSync(join(folder, 'uneven.csv'))).toBe(false)
})
