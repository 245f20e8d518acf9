/** @file lowrank on bases without a head: labels of the data make one, which is trained, evaluated and merged. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collectLabels } from '../../src/index.js'
import { golden, runCli } from './run-cli.js'

const model = 'test/fixtures/heads/bert-tok-of-mlm/model'
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-heads-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const file = async (name: string, rows: readonly object[]): Promise<string> => {
  await writeFile(join(folder, name), rows.map((row) => JSON.stringify(row)).join('\n'))
  return join(folder, name)
}
const classes = ['spam', 'ham', 'eggs'].map((label, i) => ({ input_ids: [3 + i, 5, 7], label }))

describe('a base without a head', () => {
  it('offers one for rows that need it', async () => {
    const data = await file('classes.jsonl', classes)
    const offered = await runCli(['eval', '--model', model, '--data', data])
    expect(offered.code).toBe(1)
    expect(offered.stderr).toMatch(/line 1: the row is for sequence-classification.*\(--task sequence-classification\)/)
    for (const [row, task] of [
      [{ tokens: ['a', 'b'], ner_tags: [0, 1] }, 'token-classification'],
      [{ question: 'a', context: 'b', start_positions: 1, end_positions: 2 }, 'question-answering'],
      [{ text: 'a', text_pair: 'b', label: 'neutral' }, 'sequence-classification'],
      [{ question: 'a', context: 'b', label: 'yes' }, 'sequence-classification'],
    ] as const) {
      const { stderr } = await runCli(['eval', '--model', model, '--data', await file('row.jsonl', [row])])
      expect(stderr).toContain(`--task ${task}`)
    }
  })

  it('is trained with the labels of the data, evaluated and merged', async () => {
    const data = await file('classes.jsonl', classes)
    const [out, merged] = [join(folder, 'out'), join(folder, 'merged')]
    const base = ['--model', model]
    const trained = await runCli([
      'train',
      ...base,
      '--task',
      'sequence-classification',
      '--data',
      data,
      '--out',
      out,
      '--steps',
      '2',
    ])
    expect(trained.code).toBe(0)
    expect(JSON.parse(await readFile(join(out, 'head_config.json'), 'utf8'))).toMatchObject({
      id2label: { 0: 'eggs', 1: 'ham', 2: 'spam' },
    })
    const loss = async (...args: string[]): Promise<number> => {
      const { stdout, stderr } = await runCli(['eval', ...args, '--data', data, '--json'])
      expect(stderr).toBe('')
      return (JSON.parse(stdout) as { loss: number }).loss
    }
    const before = await loss(...base, '--adapter', out)
    expect((await runCli(['merge', ...base, '--adapter', out, '--out', merged])).code).toBe(0)
    const config = JSON.parse(await readFile(join(merged, 'config.json'), 'utf8')) as object
    expect(config).toMatchObject({ architectures: ['BertForSequenceClassification'], label2id: { eggs: 0, ham: 1, spam: 2 } })
    expect(await loss('--model', merged)).toBeCloseTo(before, 5)
    // Going on, the adapter's own labels count.
    const again = await runCli([
      'train',
      ...base,
      '--adapter',
      out,
      '--data',
      data,
      '--out',
      join(folder, 'again'),
      '--steps',
      '1',
    ])
    expect(again.code).toBe(0)
    // Another order of the same labels would mean other classes.
    const other = await runCli([
      ...['train', ...base, '--task', 'sequence-classification', '--labels', 'spam,ham,eggs', '--data', data],
      ...['--out', join(folder, 'again'), '--adapter', out, '--steps', '1'],
    ])
    expect(other.stderr).toMatch(/label 0 of the adapter is "eggs", but the model was opened with "spam"; leave/)
    expect(other.code).toBe(1)
  })

  it('reads labels from the data in train alone', async () => {
    for (const command of [
      ['merge', '--adapter', 'x', '--out', 'y'],
      ['export', '--out', 'y'],
      ['eval', '--data', 'z'],
      ['train', '--data', 'z', '--adapter', golden, '--out', 'y'],
    ]) {
      // prettier-ignore
      const { code, stderr } = await runCli([...command, '--model', model, '--labels', 'auto'])
      expect(stderr).toMatch(/^--labels auto is for (lowrank train|new adapters)/)
      expect(code).toBe(2)
    }
  })
})

describe('labels of rows', () => {
  it.each([
    [
      'names, in the order of Python',
      [{ label: 'b' }, { label: '\u{1F600}' }, { label: '\uFF5A' }, { label: 'a' }, { label: -100 }],
      undefined,
      { labels: ['a', 'b', '\uFF5A', '\u{1F600}'] },
    ],
    ['numbers', [{ label: 0 }, { label: 4 }, { label: '2' }], undefined, { numLabels: 5 }],
    ['numbers that are no classes', [{ label: 0 }, { label: 0.5 }], undefined, { numLabels: 1, problemType: 'regression' }],
    [
      'names that apply',
      [{ labels: ['x', 'y'] }, { labels: [] }],
      undefined,
      { labels: ['x', 'y'], problemType: 'multi_label_classification' },
    ],
    ['numbers side by side', [{ labels: [0, 1, 0] }], undefined, { numLabels: 3, problemType: 'multi_label_classification' }],
    ['tags', [{ ner_tags: ['O', 'B'] }, { labels: ['I', 'O'] }], 'token-classification', { labels: ['B', 'I', 'O'] }],
  ] as const)('%s', async (name, rows, task, found) => {
    expect(await collectLabels(await file(`${name.length}.jsonl`, rows), task && { task })).toEqual(found)
  })
  it.each([
    [[{ label: 'a' }, { label: 1 }], /line 2: "label" is 1, but labels before it were names/],
    [[{ label: 1 }, { label: 'a' }], /line 2: "label" is "a", but labels before it were numbers/],
    [[{ label: 'a' }, { text: 'x' }], /line 2: .*no label/],
    [[{ label: 'a' }, { label: 'a' }], /all rows have the same label \("a"\)/],
    [[{ label: { a: 1 } }], /line 1: "label" is an object/],
  ] as const)('refuses %j', async (rows, message) => {
    await expect(collectLabels(await file('bad.jsonl', rows))).rejects.toThrow(message)
  })
})
