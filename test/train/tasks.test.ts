/** @file Training and evaluation of every task, on tiny encoders with random weights. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAdapter } from '../../src/adapter/adapter.js'
import type { FolderModel } from '../../src/model/folder-model.js'
import type { Json } from '../../src/models/config-reader.js'
import { evaluate } from '../../src/train/evaluate.js'
import type { Evaluation } from '../../src/train/evaluation.js'
import type { LossFunction } from '../../src/train/objectives/custom.js'
import { train } from '../../src/train/trainer.js'
import { fullTrainee } from '../../src/train/trainee.js'
import type { TrainOptions } from '../../src/train/options.js'
import { Random } from '../../src/util/rng.js'
import { runTraining, temporaryFolder, testEnvironment, tinyModel, writeRows } from '../support/training.js'

const environment = testEnvironment()
const folder = temporaryFolder()

const names = (...labels: string[]): Record<string, Json> => ({
  id2label: Object.fromEntries(labels.map((label, i) => [String(i), label])),
})

const bert = (head: string, extra: Record<string, Json> = {}): FolderModel =>
  tinyModel(
    {
      ...{ model_type: 'bert', architectures: [`Bert${head}`], vocab_size: 23, hidden_size: 8, intermediate_size: 12 },
      ...{ num_hidden_layers: 2, num_attention_heads: 2, max_position_embeddings: 24, type_vocab_size: 2, pad_token_id: 0 },
      ...{ initializer_range: 0.3, ...extra },
    },
    environment,
  )

const vit = (): FolderModel =>
  tinyModel(
    {
      ...{ model_type: 'vit', architectures: ['ViTForImageClassification'], hidden_size: 8, intermediate_size: 12 },
      ...{ num_hidden_layers: 1, num_attention_heads: 2, image_size: 4, patch_size: 2, num_channels: 3 },
      ...{ initializer_range: 0.3, ...names('cat', 'dog', 'eel') },
    },
    environment,
  )

const random = new Random(11)
const ids = (): number[] => Array.from({ length: 3 + random.integer(9) }, () => 1 + random.integer(22))
const rows = <T>(count: number, make: (i: number, input_ids: number[]) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i, ids()))
const pixels = (): number[][][] =>
  Array.from({ length: 3 }, () => Array.from({ length: 4 }, () => Array.from({ length: 4 }, () => random.uniform() - 0.5)))

const single = bert('ForSequenceClassification', names('no', 'maybe', 'yes'))
const several = bert('ForSequenceClassification', names('a', 'b', 'c', 'd'))
const number = bert('ForSequenceClassification', { num_labels: 1, id2label: { '0': 'LABEL_0' } })
const tokens = bert('ForTokenClassification', names('O', 'B-PER', 'I-PER'))
const answers = bert('ForQuestionAnswering')

const tasks: readonly (readonly [string, FolderModel, readonly object[], readonly (keyof Evaluation)[]])[] = [
  [
    'one label, by number or name',
    single,
    rows(13, (i, input_ids) => ({
      input_ids,
      label: i % 2 === 0 ? i % 3 : ['no', 'maybe', 'yes'][i % 3],
      token_type_ids: input_ids.map((_, k) => Number(k > 2)),
    })),
    ['accuracy', 'macroF1', 'matthews'],
  ],
  [
    'several labels',
    several,
    rows(13, (i, input_ids) => ({ input_ids, labels: i % 2 === 0 ? [1, 0, i % 3 === 0 ? 1 : 0, 0] : ['b', 'd'] })),
    ['accuracy', 'f1', 'macroF1'],
  ],
  ['a number', number, rows(13, (i, input_ids) => ({ input_ids, label: i / 7 - 1 })), ['pearson', 'spearman']],
  [
    'labels of tokens',
    tokens,
    rows(13, (_, input_ids) => ({ input_ids, labels: input_ids.map((id, k) => (k === 0 ? -100 : id % 3)) })),
    ['accuracy', 'precision', 'recall', 'f1'],
  ],
  [
    'answers, some of them behind their row',
    answers,
    rows(13, (i, input_ids) => ({ input_ids, start_positions: i % 3, end_positions: i === 4 ? 99 : 2 })),
    ['exactMatch', 'f1'],
  ],
  [
    'images',
    vit(),
    Array.from({ length: 13 }, (_, i) => ({ pixel_values: pixels(), label: i % 3 })),
    ['accuracy', 'macroF1', 'matthews'],
  ],
]

describe.each(tasks)('%s', (name, model, list, metrics) => {
  const data = writeRows(join(folder, `${name}.jsonl`), list)
  const common: TrainOptions = { data, batchSize: 4, steps: 12, learningRate: 0.02, seed: 3 }

  it('the evaluation is the same whatever the batch', async () => {
    const whole = await evaluate(model, { data, batchSize: 13 })
    expect(Object.keys(whole).sort()).toEqual(['loss', 'examples', ...metrics].sort())
    expect(whole.examples).toBe(13)
    for (const batchSize of [1, 4]) {
      const other = await evaluate(model, { data, batchSize })
      for (const [key, value] of Object.entries(whole)) expect(other[key as 'loss'], key).toBeCloseTo(value as number, 5)
    }
  })

  it('accumulation of uneven batches is the large batch', async () => {
    const step = async (batchSize: number, gradAccum: number) => {
      const adapter = createAdapter(model, { r: 2 })
      return (await runTraining(adapter, { ...common, batchSize, gradAccum, steps: 1, shuffle: false })).steps[0]!
    }
    const [parts, whole] = [await step(5, 3), await step(13, 1)]
    expect(parts.loss).toBeCloseTo(whole.loss, 5)
    expect(parts.gradNorm).toBeCloseTo(whole.gradNorm, 4)
    expect(parts.tokens).toBe(whole.tokens)
  })

  it('learns, and goes on bit for bit', async () => {
    const before = await evaluate(model, { data })
    const whole = await fullTrainee(model)
    const { evals, done } = await runTraining(whole, { ...common, evalData: data })
    expect(evals.at(-1)!.loss).toBeLessThan(before.loss)
    for (const metric of metrics) expect(evals.at(-1)![metric]).toBeTypeOf('number')
    expect(done?.evalLoss).toBe(evals.at(-1)!.loss)

    const out = join(folder, `${name} out`)
    const stop = new AbortController()
    const first = await fullTrainee(model)
    for await (const event of train(first, { ...common, out, signal: stop.signal }))
      if (event.event === 'step' && event.step === 5) stop.abort()
    const second = await fullTrainee(model)
    await runTraining(second, { ...common, out, resume: true })
    expect(second.parameters.data).toEqual(whole.parameters.data)
  })
})

it('the first row tells the kind of label, as transformers infers it from the type', async () => {
  const row = { input_ids: [3, 4, 5] }
  const keys = async (model: FolderModel, label: unknown): Promise<string[]> =>
    Object.keys(await evaluate(model, { data: writeRows(join(folder, 'kind.jsonl'), [{ ...row, label }]) }))
  expect(await keys(several, 2)).toContain('matthews')
  expect(await keys(several, 'c')).toContain('matthews')
  expect(await keys(several, [0, 1, 0, 1])).not.toContain('matthews')
  expect(await keys(number, 0.3)).toContain('pearson')
  await expect(keys(several, 0.5)).rejects.toThrow('kind.jsonl, line 1: "label" is 0.5, but the model has 4 labels')
  const regression = {
    data: writeRows(join(folder, 'four.jsonl'), [{ ...row, label: [0.5, 2, -1, 3] }]),
    problemType: 'regression',
  } as const
  expect(Object.keys(await evaluate(several, regression))).toContain('pearson')
})

describe("losses of one's own", () => {
  const data = writeRows(
    join(folder, 'own.jsonl'),
    rows(7, (i, input_ids) => ({ input_ids, target: [i / 5], weight: 1 + (i % 2) })),
  )
  const weighted: LossFunction = (b, { logits }, inputs) => {
    const difference = b.sub(logits!, inputs('target', 'float32', ['batch', 1]))
    const weight = inputs('weight')
    return { loss: b.sumAll(b.mul(b.abs(difference), b.unsqueeze(weight, [1]))), count: b.sumAll(weight) }
  }

  it('are graphs that read fields of the rows, and count for themselves', async () => {
    const [one, all] = [
      await evaluate(number, { data, loss: weighted, batchSize: 1 }),
      await evaluate(number, { data, loss: weighted, batchSize: 7 }),
    ]
    expect(one.loss).toBeCloseTo(all.loss, 6)
    const { steps } = await runTraining(await fullTrainee(number), {
      data,
      loss: weighted,
      batchSize: 7,
      steps: 30,
      learningRate: 0.02,
    })
    expect(steps[0]!.loss).toBeCloseTo(all.loss, 6)
    expect(steps.at(-1)!.loss).toBeLessThan(0.7 * all.loss)
  })

  it('are told of in the card of an adapter', async () => {
    const out = join(folder, 'own-loss')
    const { done } = await runTraining(createAdapter(number, { r: 2 }), { data, loss: weighted, out, steps: 1 })
    expect(done!.reason).toBe('finished')
    expect(readFileSync(join(out, 'README.md'), 'utf8')).toContain("| loss | `a function of the caller's own` |")
  })

  it('may be an output of the model', async () => {
    // Logits of one number are no scalar: the only output of a folder's model is refused with what it has.
    await expect(evaluate(number, { data, loss: 'output:logits' })).rejects.toThrow('output "logits" [batch, 1] is no loss')
    await expect(evaluate(number, { data, loss: 'output:loss' })).rejects.toThrow(
      'the model has no output "loss"; it has "logits" [batch, 1]',
    )
  })

  it('must be sums', async () => {
    const wrong: LossFunction = (b, { logits }) => ({ loss: logits!, count: b.scalar(1) })
    await expect(evaluate(number, { data, loss: wrong })).rejects.toThrow('expected a scalar: sum it with b.sumAll')
  })
})

describe('rows that do not fit', () => {
  const refused = async (model: FolderModel, row: object): Promise<string> => {
    const data = join(folder, 'bad.jsonl')
    writeFileSync(data, `${JSON.stringify(row)}\n`)
    return evaluate(model, { data }).then(
      () => 'accepted',
      (error: Error) => error.message.slice(error.message.indexOf('bad.jsonl')),
    )
  }
  const input_ids = [3, 4, 5]

  it.each([
    [single, { input_ids }, 'found the fields "input_ids", but no label; expected "label" beside the text.'],
    [single, { input_ids, label: 3 }, '"label" is the number 3; the model has 3 labels: expected a whole number from 0 to 2.'],
    [
      single,
      { input_ids, label: 'perhaps' },
      '"label" is "perhaps"; the model has 3 labels: expected a whole number from 0 to 2, or one of "no", "maybe", "yes".',
    ],
    [
      single,
      { input_ids: [99], label: 1 },
      "token id 99 at position 0 is outside the model's vocabulary of 23 (0 to 22); the row belongs to another model.",
    ],
    [
      single,
      { input_ids, token_type_ids: [0], label: 1 },
      '"token_type_ids" holds 1 numbers and "input_ids" 3; they must be as many.',
    ],
    [single, { text: 'a', label: 1 }, "the row is text, but the model's folder has no tokenizer.json"],
    [single, { input_ids, label: -100 }, 'the row has no token to learn: all its labels are masked (-100, or outside the row)'],
    [
      several,
      { input_ids, label: [0, 1] },
      '"label" holds 2 numbers; expected a list of 4 numbers from 0 to 1, or of the names of the labels that apply.',
    ],
    [several, { input_ids, label: [0, 1, 2, 0] }, '"label"[2] is the number 2; expected a list of 4 numbers from 0 to 1'],
    [number, { input_ids, label: 'high' }, '"label" is "high"; expected a number.'],
    [tokens, { input_ids, labels: [0, 1] }, '"labels" holds 2 labels for 3 tokens; they must be as many.'],
    [tokens, { input_ids, labels: 1 }, '"labels" must be a list with a label for each token.'],
    [tokens, { input_ids, labels: [0, 1, 7] }, '"labels"[2] is the number 7; the model has 3 labels'],
    [answers, { input_ids, start_positions: 1 }, '"end_positions" must be a number, found nothing.'],
    [
      answers,
      { input_ids, answers: { text: ['good'], answer_start: [13] } },
      '"answers" gives the answer in characters of the context; expected {"question", "context", "answers": {"text": […], "answer_start": […]}}, as SQuAD has it, or "start_positions" and "end_positions"',
    ],
    [
      answers,
      { input_ids, start_positions: 1, end_positions: 1.5 },
      '"end_positions" is 1.5; expected the whole number of a token\'s position.',
    ],
    [vit(), { label: 1 }, 'the model\'s input "pixel_values" is missing; expected a list of numbers of shape [3, 4, 4].'],
    [
      vit(),
      { pixel_values: [[[1]]], label: 1 },
      '"pixel_values" has 1 entries, not 3; expected a list of numbers of shape [3, 4, 4].',
    ],
    [
      vit(),
      { pixel_values: pixels().map((c, i) => (i === 1 ? [...c.slice(1), [1, 2, 3, 'x']] : c)), label: 1 },
      '"pixel_values"[1][3][3] is "x", not a number',
    ],
  ])('%#', async (model, row, message) => {
    expect(await refused(model, row)).toContain(`bad.jsonl, line 1: ${message}`)
  })

  it('options of other tasks are refused', async () => {
    const data = writeRows(join(folder, 'options.jsonl'), [{ input_ids, label: 1 }])
    await expect(evaluate(single, { data, loss: 'cosine' })).rejects.toThrow('loss "cosine" is for embedding models')
    await expect(evaluate(tokens, { data, problemType: 'regression' })).rejects.toThrow('problemType is for sequence classifiers')
    await expect(runTraining(createAdapter(single, { r: 2 }), { data, packing: true })).rejects.toThrow(
      'packing is for language models',
    )
  })
})
