/** @file GLUE's files in every form: as distributed, with and without header, as the hub has them; damaged ones; the real ones where they are there. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Files } from '../../src/io/files.js'
import { nodeFiles } from '../../src/io/node-files.js'
import type { GlueTask } from '../../src/metrics/glue.js'
import { hasGlue, readGlue, type GlueRows } from '../../src/paper/nlu/glue.js'
import { glueTasks, trainFiles } from '../../src/paper/nlu/tasks.js'
import { memoryFiles } from '../support/data.js'

const devFiles = (task: GlueTask): readonly string[] => glueTasks[task].dev[0]!.files

/** Files in memory, in folders. */
function foldersOf(contents: Record<string, string>): Files {
  const paths = Object.keys(contents)
  const below = (folder: string): string[] => paths.flatMap((path) => (path.startsWith(`${folder}/`) ? [path.slice(folder.length + 1)] : [])) // prettier-ignore
  return {
    ...memoryFiles(contents),
    isDirectory: (path) => Promise.resolve(below(path).length > 0),
    list: (folder) => Promise.resolve([...new Set(below(folder).map((rest) => rest.split('/')[0]!))].sort()),
  }
}

const read = (contents: Record<string, string>, task: GlueTask, labelled = true, data = 'glue'): Promise<GlueRows> =>
  readGlue({ files: foldersOf(contents) }, task, data, labelled ? trainFiles : glueTasks[task].test[0]!.files, labelled)

describe('TSV as it is distributed', () => {
  it.each<[GlueTask, string, string, object[]]>([
    [
      'cola',
      'CoLA',
      'gj04\t1\t\tShe said "hello.\ngj04\t0\t*\tHim left.\n',
      [
        { sentence: 'She said "hello.', label: 1 },
        { sentence: 'Him left.', label: 0 },
      ],
    ],
    ['sst2', 'SST-2', "sentence\tlabel\nit 's fine \t1\n", [{ sentence: "it 's fine ", label: 1 }]],
    ['sst2', 'SST-2', 'no header here\t0\n', [{ sentence: 'no header here', label: 0 }]],
    [
      'mrpc',
      'MRPC',
      '\uFEFFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t7\t8\t" A\tB "\r\n',
      [{ sentence1: '" A', sentence2: 'B "', label: 1 }],
    ],
    [
      'stsb',
      'STS-B',
      'index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n0\tg\tf\ty\t1\tnone\tnone\tA\tB\t3.800\n',
      [{ sentence1: 'A', sentence2: 'B', label: 3.8 }],
    ],
    [
      'stsb',
      'STS-B',
      'g\tf\ty\t1\t5.000\tA\tB\ng\tf\ty\t2\t0.0\tC\tD\tsrc1\tsrc2\n',
      [
        { sentence1: 'A', sentence2: 'B', label: 5 },
        { sentence1: 'C', sentence2: 'D', label: 0 },
      ],
    ],
    [
      'mnli',
      'MNLI',
      'index\tpromptID\tpairID\tgenre\tsentence1_parse\tsentence1\tsentence2\tlabel1\tgold_label\n0\t1\t1n\tfiction\t( A )\tA\tB\tneutral\tcontradiction\n',
      [{ premise: 'A', hypothesis: 'B', label: 2 }],
    ],
    [
      'qnli',
      'QNLI',
      'index\tquestion\tsentence\tlabel\n0\tWhen?\tThen.\tnot_entailment\n',
      [{ question: 'When?', sentence: 'Then.', label: 1 }],
    ],
    [
      'qqp',
      'QQP',
      'id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tA?\tB?\t0\n',
      [{ question1: 'A?', question2: 'B?', label: 0 }],
    ],
    ['rte', 'RTE', 'index\tsentence1\tsentence2\tlabel\n0\tA\tB\tentailment\n', [{ sentence1: 'A', sentence2: 'B', label: 0 }]],
    ['wnli', 'WNLI', 'index\tsentence1\tsentence2\tlabel\n0\tA\tB\t1\n', [{ sentence1: 'A', sentence2: 'B', label: 1 }]],
  ])('%s', async (task, folder, text, rows) => {
    const found = await read({ [`glue/${folder}/train.tsv`]: text }, task)
    expect(found).toEqual({ rows, file: `glue/${folder}/train.tsv`, incomplete: 0 })
    // The task's folder itself, too.
    expect((await read({ 'glue/train.tsv': text }, task)).rows).toEqual(rows)
  })

  it.each<[GlueTask, string, object]>([
    ['cola', 'index\tsentence\n0\tBill sang.\n', { sentence: 'Bill sang.' }],
    ['mrpc', 'index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\tA\tB\n', { sentence1: 'A', sentence2: 'B' }],
    ['qqp', 'id\tquestion1\tquestion2\n0\tA\tB\n', { question1: 'A', question2: 'B' }],
    ['rte', 'index\tsentence1\tsentence2\n0\tA\tB\n', { sentence1: 'A', sentence2: 'B' }],
  ])('the test rows of %s, which have no label', async (task, text, row) => {
    expect((await read({ 'glue/test.tsv': text }, task, false)).rows).toEqual([row])
  })

  it('counts lines that lack a column, as QQP has some', async () => {
    const text = 'id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tA?\tB?\t0\n4\t5\t6\tC?\n7\t8\t9\tD?\tE?\t1\n'
    const { rows, incomplete } = await read({ 'glue/train.tsv': text }, 'qqp')
    expect([rows.length, incomplete]).toEqual([2, 1])
  })
})

describe('rows whose fields have names', () => {
  it('JSONL with names or numbers of labels', async () => {
    const lines = '{"premise":"A","hypothesis":"B","label":"neutral"}\n{"premise":"C","hypothesis":"D","label":2,"idx":1}\n'
    const { rows } = await read({ 'glue/mnli/train.jsonl': lines }, 'mnli')
    expect(rows).toEqual([
      { premise: 'A', hypothesis: 'B', label: 1 },
      { premise: 'C', hypothesis: 'D', label: 2 },
    ])
  })

  it('tests of the hub, whose labels are -1', async () => {
    const lines = '{"sentence":"A","label":-1,"idx":0}\n'
    expect((await read({ 'glue/cola/test.jsonl': lines }, 'cola', false)).rows).toEqual([{ sentence: 'A' }])
  })

  it('the hub itself, by config and split', async () => {
    const asked: string[] = []
    const files = memoryFiles({ 'cache/rows.jsonl': '{"sentence1":"A","sentence2":"B","label":1}\n' })
    const findDataset = (id: string): Promise<string[]> => {
      asked.push(id)
      return Promise.resolve(['cache/rows.jsonl'])
    }
    const place = { files, findDataset }
    await readGlue(place, 'mrpc', 'hf:nyu-mll/glue', trainFiles, true)
    await readGlue(place, 'mrpc', 'hf:nyu-mll/glue', devFiles('mrpc'), true)
    await readGlue(place, 'mrpc', 'hf:me/glue:mine', glueTasks.mrpc.test[0]!.files, false)
    expect(asked).toEqual(['hf:nyu-mll/glue:mrpc@train', 'hf:nyu-mll/glue:mrpc@validation', 'hf:me/glue:mine@test'])
    expect(glueTasks.mnli.dev.map(({ files: names }) => names[1])).toEqual(['validation_matched', 'validation_mismatched'])
  })

  it('shards, and their names', async () => {
    const contents = {
      'glue/rte/train-00000-of-00002.jsonl': '{"sentence1":"A","sentence2":"B","label":0}\n',
      'glue/rte/train-00001-of-00002.jsonl': '{"sentence1":"C","sentence2":"D","label":1}\n',
    }
    expect((await read(contents, 'rte')).rows.map((row) => row['sentence1'])).toEqual(['A', 'C'])
  })
})

describe('refuses', () => {
  it.each<[string, GlueTask, Record<string, string>]>([
    ['glue: no file of rte called "train", "sts-train" (.tsv', 'rte', { 'glue/rows.tsv': '' }],
    [
      'train.jsonl, train.tsv may each be the rows called train; keep one',
      'rte',
      { 'glue/train.tsv': '', 'glue/train.jsonl': '' },
    ],
    [
      'glue/train.tsv: the first line names no columns of rte ("sentence1", "sentence2", "label"), and is no row of it; it holds "A", "B"',
      'rte',
      { 'glue/train.tsv': 'A\tB\n' },
    ],
    [
      'glue/train.tsv, line 2: the label of rte must be one of entailment, not_entailment, or its number from 0 to 1, got "maybe"',
      'rte',
      { 'glue/train.tsv': 'sentence1\tsentence2\tlabel\nA\tB\tmaybe\n' },
    ],
    [
      'glue/train.tsv, line 1: the label of stsb must be a number from 0 to 5, got "7"',
      'stsb',
      { 'glue/train.tsv': 'g\tf\ty\t1\t7\tA\tB\n' },
    ],
    ['glue/train.tsv, line 2: the label of rte must be one of', 'rte', { 'glue/train.tsv': 'sentence1\tsentence2\nA\tB\n' }],
    [
      'glue/train.jsonl, line 1: rte needs the text "sentence2"; the row has "sentence1", "label"',
      'rte',
      { 'glue/train.jsonl': '{"sentence1":"A","label":0}\n' },
    ],
    ['glue/train.tsv: there is no row', 'rte', { 'glue/train.tsv': 'sentence1\tsentence2\tlabel\n' }],
  ])('%s', (message, task, contents) => expect(read(contents, task)).rejects.toThrow(message))

  it('a split of the hub, which each part of the task has of its own', () =>
    expect(read({}, 'rte', true, 'hf:nyu-mll/glue@train')).rejects.toThrow(
      '"hf:nyu-mll/glue@train" names a split; leave "@train" out',
    ))

  it('what is no folder', () =>
    expect(readGlue({ files: memoryFiles({ 'glue.tsv': 'A' }) }, 'rte', 'glue.tsv', trainFiles, true)).rejects.toThrow(
      '"glue.tsv" is no folder',
    ))
})

it('has names for labels by their numbers in `datasets`, and texts that training reads', () => {
  expect(Object.fromEntries(Object.entries(glueTasks).map(([task, { labels }]) => [task, labels.length]))).toEqual({
    ...{ cola: 2, sst2: 2, mrpc: 2, stsb: 0, qqp: 2, mnli: 3, qnli: 2, rte: 2, wnli: 2 },
  })
})

const real = resolve(import.meta.dirname, '../../../shared/data/glue')
describe.skipIf(!existsSync(real))('the files themselves (skipped where ../shared/data/glue is absent)', () => {
  it.each<[GlueTask, number, number]>([
    ['cola', 7250, 1043],
    ['sst2', 6920, 872],
    ['rte', 2127, 277],
    ['stsb', 5749, 1500],
  ])('%s has %d rows to train on and %d to measure', async (task, train, dev) => {
    const place = { files: nodeFiles() }
    const counts = await Promise.all(
      [trainFiles, devFiles(task)].map(async (names) => (await readGlue(place, task, real, names, true)).rows.length),
    )
    const inFiles = [train, dev]
    expect(counts).toEqual(inFiles)
    expect(await hasGlue(place, task, real, glueTasks[task].test[0]!.files)).toBe(true)
    await readGlue(place, task, real, glueTasks[task].test[0]!.files, false)
    expect(existsSync(join(real, glueTasks[task].folders[0]!))).toBe(true)
  })
})
