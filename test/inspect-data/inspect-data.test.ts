/** @file An inspection of rows tells what training does: the same tokens, labels, batches and refusals. */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openDataset } from '../../src/data/dataset.js'
import { addLora, inspectData, loadModel, type DataInspection, type DataInspectionOptions, type Model } from '../../src/index.js'
import { epochCost } from '../../src/inspect-data/epoch-cost.js'
import { FirstRows, hashOf } from '../../src/inspect-data/first-rows.js'
import { summarizeLengths } from '../../src/inspect-data/lengths.js'
import { chooseObjective, openTaskDataset } from '../../src/train/open-dataset.js'
import { splitBatch } from '../../src/train/sub-batches.js'
import type { ObjectiveOptions } from '../../src/train/objectives/options.js'
import { memoryFiles } from '../support/data.js'
import { CHATML, writeChatModel } from '../support/chat-model.js'
import { runTraining, temporaryFolder, writeRows } from '../support/training.js'

const work = temporaryFolder()
const predictors = resolve(import.meta.dirname, '../fixtures/predict')
mkdirSync(join(work, 'chat'))
const chatFolder = writeChatModel(join(work, 'chat'), `${CHATML}{# <|endoftext|> #}`)
const chat = await loadModel(chatFolder, { threads: 1 })
const rowsFile = (name: string, rows: readonly unknown[]): string => writeRows(join(work, `${name}.jsonl`), rows)

/** What training feeds for each row, one row a batch. */
async function fed(model: Model, data: string, options: ObjectiveOptions, maxLength?: number) {
  const objective = await chooseObjective(model, data, options)
  const dataset = await openTaskDataset(model, objective, data, { maxLength })
  const rows: { ids: number[][]; labels: number[][] }[] = []
  for await (const { feeds } of dataset.batches({ batchSize: 1 })) {
    const width = feeds['input_ids']!.shape[1]!
    const listed = (name: string): number[][] => {
      const { data, shape } = feeds[name] ?? { data: [], shape: [0] }
      const numbers = Array.from(data as ArrayLike<unknown>, Number)
      const step = shape.length > 1 ? width : 1
      return Array.from({ length: numbers.length / step }, (_, i) => numbers.slice(i * step, (i + 1) * step))
    }
    rows.push({ ids: listed('input_ids'), labels: listed('labels') })
  }
  return rows
}

const user = { role: 'user', content: 'What is the name?' }
const assistant = { role: 'assistant', content: 'a name' }
const languageRows = [
  { text: 'a text of its own' },
  { prompt: 'name : The Vaults\n', completion: ' The Vaults is a pub.' },
  { instruction: 'say', output: 'said' },
  { messages: [{ role: 'system', content: 's' }, user, assistant, user, { ...assistant, weight: 0 }, user, assistant] },
  { prompt: [user], completion: [assistant] },
  { input_ids: [5, 6, 7, 8], labels: [-100, 6, -100, 8], attention_mask: [1, 1, 0, 1] },
]
const cutRows = [
  { text: 'a text that is rather long '.repeat(3) },
  { prompt: 'a', completion: ' b c d e'.repeat(9) },
  languageRows[5],
]
const pairs = [
  { prompt: 'a b', chosen: ' c d e', rejected: ' f' },
  { prompt: [user], chosen: [assistant], rejected: [{ ...assistant, content: 'no' }] },
]

const judged = [
  { prompt: 'a b', completion: ' c d e', label: true },
  { prompt: [user], completion: [assistant], label: 0 },
  { messages: [user, assistant, user, { ...assistant, content: 'no' }], label: 'false' },
]

describe('tokens and labels', () => {
  it.each([
    ['of a language model', languageRows, {}, undefined],
    ['of rows that are cut', cutRows, {}, 12],
    ['of preferences', pairs, { objective: 'dpo' }, undefined],
    ['of preferences whose prompt is learned too', pairs, { objective: 'orpo' }, undefined],
    ['of preferences that are cut', pairs, { objective: 'dpo' }, 9],
    ['of judged completions', judged, { objective: 'kto', lossType: 'apo_zero_unpaired' }, undefined],
  ] as const)('%s are those of the batch', async (_, rows, objective, maxLength) => {
    const data = rowsFile('golden', rows)
    const options = { ...objective, ...(maxLength !== undefined && { maxLength }) }
    const found = await inspectData(chat, data, { ...options, rows: 10 })
    expect(found.data.bad).toEqual([])
    const expected = await fed(chat, data, objective, maxLength)
    expect(expected).toHaveLength(rows.length)
    found.data.shown.forEach(({ sequences }, i) => {
      sequences.forEach(({ ids, labels }, s) => {
        const width = ids.length
        expect(ids).toEqual(expected[i]!.ids[s]!.slice(0, width))
        // A preference has rows of one width, so the shorter is padded behind its end; a label before it is the loss's.
        expect(labels!.slice(1)).toEqual(expected[i]!.labels[s]!.slice(1, width))
        expect(expected[i]!.labels[s]!.slice(width).every((label) => label === -100)).toBe(true)
      })
    })
    const learned = expected.flatMap(({ labels }) => labels.flatMap((row) => row.slice(1))).filter((label) => label !== -100)
    expect(found.data.learnedTokens).toBe(learned.length)
  })

  it('are text again, with its spaces; special tokens are told', async () => {
    const { data } = await inspectData(chat, rowsFile('one', [languageRows[3]]), {})
    const { tokens, special, learned } = data.shown[0]!.sequences[0]!
    const turn = '<|im_start|>user\nWhat is the name?<|im_end|>\n<|im_start|>assistant\na name<|im_end|>\n'
    expect(tokens.join('')).toBe(`<|im_start|>system\ns<|im_end|>\n${turn.repeat(3)}`)
    const texts = learned.map(([start, end]) => tokens.slice(start, end).join('').trimEnd())
    expect(texts).toEqual(['a name<|im_end|>', 'a name<|im_end|>'])
    expect(special.map((place) => tokens[place])).toContain('<|im_start|>')
  })

  it('of classes: the class by name, how often each occurs, the same text with another label', async () => {
    const model = await loadModel(join(predictors, 'classes'), { threads: 1 })
    const { labels } = model.task
    const data = rowsFile('classes', [
      { text: 'good', label: labels[1] },
      { text: 'bad', label: 0 },
      { text: 'good', label: 0 },
      { text: 'good', label: 1 },
    ])
    const found = await inspectData(model, data, { rows: 4 })
    expect(found.objective).toBe('single-label')
    expect(found.data.shown.map(({ label }) => label)).toEqual([labels[1], labels[0], labels[0], labels[1]])
    expect(found.data.shown.map(({ sequences }) => sequences[0]!.ids)).toEqual(
      (await fed(model, data, {})).map(({ ids }) => ids[0]),
    )
    expect(found.data.labels!.slice(0, 2)).toEqual([
      { label: labels[0], count: 2 },
      { label: labels[1], count: 2 },
    ])
    expect(found.data.learnedTokens).toBeNull()
    expect(found.data.duplicates.rows).toBe(1)
    expect(found.data.sameInput).toMatchObject({ inputs: 1, rows: 3 })
  })

  it('of judged completions: how many are desirable, and what a run would say of it', async () => {
    const options = { objective: 'kto', desirableWeight: 2 } as const
    const { data } = await inspectData(chat, rowsFile('judged', [...judged, judged[1]]), { ...options, batchSize: 3 })
    expect(data.labels).toEqual([
      { label: 'undesirable', count: 3 },
      { label: 'desirable', count: 1 },
    ])
    expect(data.shown.map(({ label }) => label)).toEqual(['desirable', 'undesirable', 'undesirable'])
    expect(data.duplicates.rows).toBe(1)
    expect(data.warnings).toEqual([
      expect.stringContaining('1 desirable and 3 undesirable rows'),
      expect.stringContaining('the last batch of a pass has a single row'),
    ])
    const other = await inspectData(chat, rowsFile('judged-twice', [judged[0], { ...judged[0], label: false }]), options)
    expect(other.data).toMatchObject({ duplicates: { rows: 0 }, sameInput: { inputs: 1, rows: 2 } })
    await expect(inspectData(chat, rowsFile('judged', judged), { ...options, batchSize: 1 })).rejects.toThrow('at least 2 rows')
  })

  it('of tags: each with its name; of a fresh head with the labels of the data', async () => {
    const data = rowsFile('tags', [{ tokens: ['Anna', 'sees', 'Berlin'], labels: ['PER', 'O', 'LOC'] }])
    const found = await inspectData(join(predictors, 'classes'), data, { task: 'token-classification' })
    const [sequence] = found.data.shown[0]!.sequences
    expect(sequence!.tags!.filter((tag) => tag !== null)).toEqual(['PER', 'O', 'LOC'])
    expect(found.data.labels).toEqual(['LOC', 'O', 'PER'].map((label) => ({ label, count: 1 })))
    expect(found.data.learnedTokens).toBe(3)
  })
})

describe('answers and pairs', () => {
  it('the tokens of an answer are marked in its context', async () => {
    const context = 'The Vaults is a pub near Café Adriatic'
    const answers = { text: ['near Café Adriatic'], answer_start: [context.indexOf('near')] }
    const data = rowsFile('answers', [{ question: 'Where is it?', context, answers }])
    const found = await inspectData(join(predictors, 'answers'), data)
    const { tokens, learned } = found.data.shown[0]!.sequences[0]!
    expect(learned.map(([start, end]) => tokens.slice(start, end).join('').replace(/\s/g, ''))).toEqual(['nearcafeadriatic'])
  })

  it('two texts of a pair are shown one after the other, with their score', async () => {
    const data = rowsFile('scored', [{ text: 'a pub', text_pair: 'a restaurant', score: 0.25 }])
    const { data: found, objective } = await inspectData(join(predictors, 'classes'), data, { task: 'feature-extraction' })
    expect(objective).toMatch(/^cosine/)
    expect(found.shown[0]).toMatchObject({ label: 0.25, sequences: [{ name: 'first' }, { name: 'second' }] })
  })
})

describe('what is counted', () => {
  const inspect = (rows: readonly unknown[], options: DataInspectionOptions = {}): Promise<DataInspection> =>
    inspectData(chat, rowsFile('counted', rows), options)
  const ids = (...list: number[]) => ({ input_ids: list })

  it('rows, tokens, what is cut of them and how long they were', async () => {
    const learnt = { input_ids: [1, 2, 3, 4, 5, 6], labels: [-100, -100, 3, -100, 5, 6] }
    const { data } = await inspect([ids(1, 2, 3), learnt], { maxLength: 4 })
    expect(data).toMatchObject({ rows: 2, usable: 2, tokens: 7, learnedTokens: 3 })
    expect(data.truncated).toEqual({ rows: 1, tokens: 2, learnedTokens: 2 })
    expect(data.lengths).toMatchObject({ shortest: 3, longest: 6, mean: 4.5 })
    expect(data.shown.map(({ truncated }) => truncated)).toEqual([false, true])
  })

  it('duplicates, the same prompt with other completions, and empty answers', async () => {
    const row = { prompt: 'a', completion: ' b' }
    const { data } = await inspect([row, { prompt: 'a', completion: ' c' }, row, { prompt: 'e', completion: '' }])
    const place = (line: number) => ({ file: join(work, 'counted.jsonl'), line })
    expect(data.duplicates).toEqual({ rows: 1, first: [{ row: place(3), first: place(1) }] })
    expect(data.sameInput).toEqual({ inputs: 1, rows: 3, first: [{ row: place(2), first: place(1) }] })
    expect(data.emptyAnswers).toEqual({ rows: 1, first: [place(4)] })
  })

  it('rows without a token to learn, where they are left out', async () => {
    const rows = [ids(5, 6), { input_ids: [5, 6], labels: [-100, -100] }]
    expect((await inspect(rows, { unlabelled: 'skip' })).data).toMatchObject({ skipped: 1, usable: 1, bad: [] })
    expect((await inspect(rows)).data.bad).toMatchObject([{ line: 2, message: expect.stringMatching(/no token to learn/) }])
  })

  it('rows to evaluate on that are trained on too', async () => {
    const evalData = rowsFile('valid', [ids(5, 6), ids(7, 8), { input_ids: [1, 2, 3], labels: [-100, -100, 3] }])
    const train = [ids(9, 9), ids(5, 6), { input_ids: [1, 2, 4], labels: [-100, -100, 4] }]
    const found = await inspect(train, { evalData })
    expect(found.evalData!.alsoTrainedOn).toMatchObject({ rows: 1, inputs: 1 })
    expect(found.evalData!.alsoTrainedOn.first.map(({ row, first }) => [row.line, first.line])).toEqual([
      [1, 2],
      [3, 3],
    ])
  })

  it('what a run would warn of', async () => {
    const { data } = await inspect([{ text: 'a', source: 'web' }])
    expect(data.warnings).toEqual(['nothing reads these fields of the rows: "source"'])
  })
})

describe('bad rows', () => {
  it('are all listed with their lines, and the good ones counted', async () => {
    const file = join(work, 'bad.jsonl')
    writeFileSync(file, ['{"text":"a b"}', '', '{"txt":1}', '{oops', '{"text":7}', '{"text":"c d"}'].join('\n'))
    const { data } = await inspectData(chat, file)
    expect(data.bad.map(({ line }) => line)).toEqual([3, 4, 5])
    for (const { line, message } of data.bad) expect(message).toContain(`bad.jsonl, line ${line}: `)
    expect(data).toMatchObject({ rows: 5, usable: 2 })
  })

  it('do not hide what is learned from the others', async () => {
    const file = join(work, 'bad-first.jsonl')
    writeFileSync(file, '{broken\n{"text":"a","label":1}\n')
    const found = await inspectData(join(predictors, 'classes'), file)
    expect([found.objective, found.data.usable, found.data.bad.length]).toEqual(['single-label', 1, 1])
  })

  it('one at line 20,001 of 42,000 is found, here and by train before its first step', { timeout: 300_000 }, async () => {
    const file = join(work, 'long.jsonl')
    const line = (i: number): string =>
      i === 20_000 ? '{"input_ids":[5,"6"]}' : `{"input_ids":[${5 + (i % 40)},6,${7 + (i % 30)}]}`
    writeFileSync(file, Array.from({ length: 42_000 }, (_, i) => line(i)).join('\n'))
    const { data } = await inspectData(chat, file)
    expect(data.bad).toEqual([{ file, line: 20_001, message: expect.stringContaining('"input_ids"[1] must be an integer') }])
    expect(data).toMatchObject({ rows: 42_000, usable: 41_999 })
    const events: string[] = []
    const run = runTraining(await addLora(chat, { r: 2 }), { data: file, onEvent: ({ event }) => events.push(event) })
    await expect(run).rejects.toThrow(/long\.jsonl, line 20001: "input_ids"\[1\]/)
    expect(events.filter((event) => event !== 'checking')).toEqual([])
  })

  it('that are fine each but share no batch are told of all together', async () => {
    const data = rowsFile('unlearned', [{ input_ids: [5, 6], labels: [-100, -100] }])
    const found = await inspectData(chat, data, { unlabelled: 'skip' })
    expect(found.data.problems).toEqual([expect.stringMatching(/no row of .* has a token to learn/)])
  })
})

describe('without weights', () => {
  it('config and tokenizer tell the same; so does a tokenizer alone, without the limit of the positions', async () => {
    const data = rowsFile('outline', languageRows)
    const whole = await inspectData(chatFolder, data)
    const outline = join(work, 'outline')
    cpSync(chatFolder, outline, { recursive: true })
    rmSync(join(outline, 'model.safetensors'))
    expect(await inspectData(outline, data)).toEqual(whole)
    rmSync(join(outline, 'config.json'))
    const alone = await inspectData(outline, data)
    expect(alone.maxLength).toBeNull()
    expect(alone.data.shown).toEqual(whole.data.shown)
    await expect(inspectData(outline, data, { task: 'sequence-classification' })).rejects.toThrow(
      /holds a tokenizer but no config/,
    )
  })

  it('options that exclude each other are refused as by train', async () => {
    const data = rowsFile('some', languageRows)
    await expect(inspectData(chat, data, { packing: true, groupByLength: true })).rejects.toThrow(/exclude each other/)
    await expect(inspectData(chat, data, { valSplit: 0.5, evalData: data })).rejects.toThrow(/exclude each other/)
    await expect(inspectData(join(predictors, 'classes'), rowsFile('label', [{ text: 'a', label: 0 }]), { packing: true })).rejects.toThrow(/packing is for language models/) // prettier-ignore
    const misspelt = { maxLenght: 3 } as DataInspectionOptions
    await expect(inspectData(chat, data, misspelt)).rejects.toThrow(/did you mean maxLength/)
  })
})

describe('the cost of a pass', () => {
  const rows = Array.from({ length: 137 }, (_, i) => ({ input_ids: Array.from({ length: 2 + ((i * 7919) % 41) }, () => 5) }))
  const files = memoryFiles({ 'rows.jsonl': rows.map((row) => JSON.stringify(row)).join('\n') })

  it.each([
    { shuffle: true },
    { shuffle: false },
    { shuffle: true, bucket: true },
    { shuffle: false, bucket: true },
    { shuffle: true, packing: true },
  ])('is that of the batches of a data set: %o', async (way) => {
    const options = { vocabularySize: 100, maxPositions: 64 }
    const dataset = await openDataset(files, 'rows.jsonl', options)
    const lengths = Uint32Array.from(rows, ({ input_ids }) => input_ids.length)
    const batches = { batchSize: 5, seed: 3, ...way }
    for (const epoch of [0, 1]) {
      let [count, tokens, positions] = [0, 0, 0]
      for await (const batch of dataset.batches({ ...batches, start: { epoch, batch: 0 } })) {
        count++
        tokens += batch.positions
        for (const { feeds } of splitBatch(batch, 64, 3)) positions += feeds['input_ids']!.data.length
      }
      const cost = { batches, gradAccum: 4, capacity: 64, group: 1, subBatch: 64, minimum: 3 }
      expect(epochCost({ lengths, texts: undefined, tokens }, epoch, cost)).toEqual({
        ...{ batches: count, steps: Math.ceil(count / 4), tokens, positions, padding: 1 - tokens / positions },
      })
    }
  })
})

describe('lengths and contents', () => {
  it('percentiles are the nearest ranks, and every row is in a bin', () => {
    const summary = summarizeLengths(Uint32Array.from({ length: 100 }, (_, i) => 100 - i))!
    expect(summary.percentiles).toEqual({ 5: 5, 25: 25, 50: 50, 75: 75, 90: 90, 95: 95, 99: 99 })
    expect(summary.histogram.reduce((sum, bin) => sum + bin.rows, 0)).toBe(100)
    expect(summary.histogram[0]).toEqual({ from: 0, to: 9, rows: 9 })
  })

  it('a hash tells lists from their parts, orders and fractions', () => {
    const contents = [[[1, 2], [3]], [[1], [2, 3]], [[1, 2, 3]], [[3, 2, 1]], [[1.5, 2, 3]], [[-1]], [[]], [[], []]]
    expect(new Set(contents.map((lists) => hashOf(lists).join())).size).toBe(contents.length)
  })

  it('the first row of each of many contents is found again', () => {
    const first = new FirstRows()
    const hash = (i: number) => hashOf([[i % 5000, 7]])
    for (let i = 0; i < 12_000; i++) expect(first.add(hash(i), i)).toBe(i % 5000)
    expect(first.find(hash(4999))).toBe(4999)
    expect(first.find(hashOf([[5000, 7]]))).toBeUndefined()
  })
})
