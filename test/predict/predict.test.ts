/** @file Predictions against transformers' pipelines and sentence-transformers' encode (test/oracle/write-predictions.py). */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FolderModel } from '../../src/model/folder-model.js'
import { ConfigReader } from '../../src/models/config-reader.js'
import { randomWeights } from '../../src/models/random.js'
import { testEnvironment } from '../support/training.js'
import {
  AdapterSet,
  addLora,
  embed,
  forward,
  loadAdapter,
  loadModel,
  predict,
  type AnswerPrediction,
  type AnswerSpan,
  type LabelPrediction,
  type LabelsPrediction,
  type LabelScore,
  type Model,
  type PredictInput,
  type TagsPrediction,
} from '../../src/index.js'

const root = new URL('../fixtures/predict', import.meta.url).pathname
const sentence = new URL('../fixtures/sentence', import.meta.url).pathname

interface TextCase {
  readonly text: string
  readonly text_pair?: string
  readonly scores: readonly [string, number][]
}
type Found = readonly [text: string, score: number, start: number, end: number]
interface TagCases {
  readonly texts: readonly { readonly text: string; readonly entities: readonly Found[] }[]
}
interface AnswerCases {
  readonly rows: readonly {
    readonly question: string
    readonly context: string
    readonly best: readonly Found[]
    readonly top: readonly Found[]
  }[]
}
interface Cases {
  readonly classes: { readonly texts: readonly TextCase[]; readonly pairs: readonly TextCase[] }
  readonly 'several-labels': Cases['classes']
  readonly number: Cases['classes']
  readonly tags: TagCases
  readonly 'tags-bytes': TagCases
  readonly answers: AnswerCases
  readonly 'answers-bytes': AnswerCases
  readonly embeddings: Readonly<Record<string, readonly [string, readonly number[]][]>>
}
const cases = JSON.parse(await readFile(join(root, 'cases.json'), 'utf8')) as Cases

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'predict-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const open = (name: string): Promise<Model> => loadModel(join(root, name))
const ofCase = ({ texts, pairs }: Cases['classes']): readonly TextCase[] => [...texts, ...pairs]
const inputOf = ({ text, text_pair }: TextCase): PredictInput => (text_pair === undefined ? text : { text, text_pair })

function expectScores(found: readonly LabelScore[], expected: readonly (readonly [string, number])[]): void {
  expect(found.map(({ label }) => label)).toEqual(expected.map(([label]) => label))
  found.forEach(({ score }, i) => {
    expect(score).toBeCloseTo(expected[i]![1], 5)
  })
}

describe('classes of texts and pairs', () => {
  it.each([1, 3, 8])('one class, as TextClassificationPipeline, in batches of %i', async (batchSize) => {
    await using model = await open('classes')
    const rows = ofCase(cases.classes)
    const found = (await predict(model, rows.map(inputOf), { batchSize })) as LabelPrediction[]
    expect(found).toHaveLength(rows.length)
    found.forEach((prediction, i) => {
      expectScores(prediction.scores, rows[i]!.scores)
      expect(prediction.label).toBe(rows[i]!.scores[0]![0])
      expect(prediction.score).toBe(prediction.scores[0]!.score)
    })
  })

  it('fields of columns of other names, in a list and in a stream', async () => {
    await using model = await open('classes')
    const { texts } = cases.classes
    const rows = texts.map(({ text }) => ({ review: text, text: 'of another' }))
    const columns = { text: 'review', label: 'mood' }
    const found = (await predict(model, rows, { columns })) as LabelPrediction[]
    found.forEach(({ scores }, i) => {
      expectScores(scores, texts[i]!.scores)
    })
    const later = async function* (): AsyncGenerator<PredictInput> {
      yield await Promise.resolve(rows[0]!)
    }
    const stream = predict(model, later(), { columns })
    expect((await stream.next()).value).toEqual(found[0])
    await stream.return(undefined)
    await expect(predict(model, ['a'], { columns })).rejects.toThrow('inputs, row 1: columns are of rows of fields, found a text')
    await expect(predict(model, [{ remark: 'a' }], { columns })).rejects.toThrow(
      'inputs, row 1: found the fields "remark"; expected {"text"}, {"text", "text_pair"}, {"sentence1", "sentence2"} or {"input_ids"}. A column of another name is told by columns (--columns text=…).',
    )
  })

  it('the likeliest alone', async () => {
    await using model = await open('classes')
    const rows = cases.classes.texts
    const found = (await predict(model, rows.map(inputOf), { topK: 1 })) as LabelPrediction[]
    found.forEach(({ scores }, i) => {
      expectScores(scores, rows[i]!.scores.slice(0, 1))
    })
  })

  it('several labels', async () => {
    await using model = await open('several-labels')
    const rows = ofCase(cases['several-labels'])
    const found = (await predict(model, rows.map(inputOf))) as LabelsPrediction[]
    found.forEach(({ labels, scores }, i) => {
      expectScores(scores, rows[i]!.scores)
      const likely = rows[i]!.scores.filter(([, score]) => score > 0.5).map(([label]) => label)
      expect([...labels].sort()).toEqual(likely.sort())
    })
  })

  it('a number', async () => {
    await using model = await open('number')
    const rows = ofCase(cases.number)
    const found = (await predict(model, rows.map(inputOf))) as { value: number }[]
    found.forEach(({ value }, i) => {
      expect(value).toBeCloseTo(rows[i]!.scores[0]![1], 4)
    })
  })

  it('of a stream each in its turn, before the stream ends', async () => {
    await using model = await open('classes')
    let given = 0
    async function* texts(): AsyncGenerator<string> {
      for (; given < 100; given++) yield await Promise.resolve(cases.classes.texts[given % 8]!.text)
    }
    let seen = 0
    for await (const prediction of predict(model, texts(), { batchSize: 2 })) {
      const [label] = cases.classes.texts[seen % 8]!.scores[0]!
      expect((prediction as LabelPrediction).label).toBe(label)
      // Sixteen batches of two are read together.
      expect(given - seen).toBeLessThanOrEqual(32)
      seen++
    }
    expect(seen).toBe(100)
  })
})

describe('who predicts', () => {
  it('an adapter as it is at the call, and the active ones of a set', async () => {
    await using model = await open('classes')
    const texts = cases.classes.texts.map(({ text }) => text)
    const base = await predict(model, texts)
    const adapter = await addLora(model, { r: 2, targetModules: ['query', 'value'] })
    expect(await predict(adapter, texts)).toEqual(base)
    for (const { name } of adapter.parameters.specs) adapter.parameters.view(name).fill(0.2)
    const promise = predict(adapter, texts)
    for (const { name } of adapter.parameters.specs) adapter.parameters.view(name).fill(0.1)
    const changed = await promise
    expect(changed).not.toEqual(base)
    for (const { name } of adapter.parameters.specs) adapter.parameters.view(name).fill(0.2)
    expect(await predict(adapter, texts)).toEqual(changed)
    const set = new AdapterSet(model)
    await set.add('one', adapter)
    expect(await predict(set, texts)).toEqual(base)
    set.setAdapter('one')
    expect(await predict(set, texts)).toEqual(changed)
    set.disableAdapter()
    expect(await predict(set, texts)).toEqual(base)
  })

  it('rows as they are at the call', async () => {
    await using model = await open('classes')
    const rows = [{ text: 'the soup' }]
    const promise = predict(model, rows)
    rows[0]!.text = 'Ada'
    expect(await promise).toEqual(await predict(model, ['the soup']))
  })

  it('a base in 8 bits, nearly the same', async () => {
    const task = 'feature-extraction'
    await using model = await loadModel('demo/base', { task })
    await using packed = await loadModel('demo/base', { task, base: 'int8' })
    const texts = ['NT 666 | Oakmere', 'the cat sat']
    const [exact, near] = [await embed(model, texts), await embed(packed, texts)]
    expect(near).not.toEqual(exact)
    exact.forEach((vector, i) => {
      const dot = vector.reduce((sum, value, k) => sum + value * near[i]![k]!, 0)
      expect(dot / (Math.hypot(...vector) * Math.hypot(...near[i]!))).toBeGreaterThan(0.99)
    })
  })

  it("PEFT's adapter with its head, on rows of tokens", async () => {
    const heads = new URL('../fixtures/heads/bert-seq', import.meta.url).pathname
    const { ids, y } = JSON.parse(await readFile(join(heads, 'expected.json'), 'utf8')) as { ids: number[][]; y: number[] }
    const adapter = await loadAdapter(await loadModel(join(heads, 'model')), join(heads, 'adapter'))
    const [found] = (await predict(adapter, [{ input_ids: ids[0] }])) as [LabelPrediction]
    const sum = y.reduce((all, logit) => all + Math.exp(logit), 0)
    const expected = y.map((logit, i) => [`LABEL_${i}`, Math.exp(logit) / sum] as const).sort((a, b) => b[1] - a[1])
    expectScores(found.scores, expected)
    await adapter.model.dispose()
  })
})

describe.each(['tags', 'tags-bytes'] as const)('tags of words and their entities: %s', (name) => {
  const { texts } = cases[name]

  it.each([1, 5])('as TokenClassificationPipeline aggregates them simply, in batches of %i', async (batchSize) => {
    await using model = await open(name)
    const found = (await predict(model, texts.map(({ text }) => text), { batchSize, maxLength: 48 })) as TagsPrediction[] // prettier-ignore
    found.forEach(({ entities }, i) => {
      const { text, entities: expected } = texts[i]!
      expect(entities.map(({ entity, start, end }) => [entity, start, end])).toEqual(expected.map(([entity, , start, end]) => [entity, start, end])) // prettier-ignore
      entities.forEach(({ score, text: said, start, end }, k) => {
        expect(score).toBeCloseTo(expected[k]![1], 5)
        expect(said).toBe(text.slice(start, end))
      })
    })
  })

  it('each word of a text has the tag of its first token, as the same words in a list', async () => {
    await using model = await open(name)
    const words = ['Ada', 'lives', 'in', 'London']
    const [text, list] = (await predict(model, [words.join(' '), { tokens: words }])) as TagsPrediction[]
    expect(text!.words.map(({ word, start, end }) => [word, start, end])).toEqual([
      ['Ada', 0, 3],
      ['lives', 4, 9],
      ['in', 10, 12],
      ['London', 13, 19],
    ])
    expect(list!.words.map(({ word, start, end }) => [word, start, end])).toEqual(text!.words.map(({ word, start, end }) => [word, start, end])) // prettier-ignore
    // A byte-level tokenizer takes the first word of a list with a space before it.
    if (name === 'tags') list!.words.forEach((word, i) => { expect(word.label).toBe(text!.words[i]!.label); expect(word.score).toBeCloseTo(text!.words[i]!.score, 5) }) // prettier-ignore
  })
})

describe.each(['answers', 'answers-bytes'] as const)('answers to questions: %s', (name) => {
  const { rows } = cases[name]
  const inputs = rows.map(({ question, context }) => ({ question, context, answers: { text: ['not read'] } }))

  it.each([1, 4])('as QuestionAnsweringPipeline finds them, long contexts in stretches, in batches of %i', async (batchSize) => {
    await using model = await open(name)
    const options = { batchSize, maxLength: 48 }
    const best = (await predict(model, inputs, options)) as AnswerPrediction[]
    const top = (await predict(model, inputs, { ...options, topK: 3 })) as AnswerPrediction[]
    rows.forEach((row, i) => {
      const { answers, ...first } = best[i]!
      expect(answers).toBeUndefined()
      expectAnswers([first], row.best)
      expectAnswers(top[i]!.answers!, row.top)
      expect(top[i]!.answer).toBe(top[i]!.answers![0]!.answer)
    })
  })

  function expectAnswers(found: readonly AnswerSpan[], expected: readonly Found[]): void {
    expect(found.map(({ answer, start, end }) => [answer, start, end])).toEqual(expected.map(([answer, , start, end]) => [answer, start, end])) // prettier-ignore
    found.forEach(({ score }, i) => {
      expect(score).toBeCloseTo(expected[i]![1], 6)
    })
  }

  it('no longer than is asked for', async () => {
    await using model = await open(name)
    const [one] = (await predict(model, inputs.slice(0, 1), { maxAnswerLength: 1 })) as AnswerPrediction[]
    expect(one!.answer).not.toContain(' ')
  })

  it('refuses a question that leaves no room, and rows without a context', async () => {
    await using model = await open(name)
    const row = { question: 'where '.repeat(40), context: 'Ada lives in a small house near the river. '.repeat(3) }
    await expect(predict(model, [row], { maxLength: 48 })).rejects.toThrow(
      /inputs, row 1: the question has \d+ tokens, which leaves room for 0 /,
    )
    await expect(predict(model, ['who?'])).rejects.toThrow(
      'inputs, row 1: found the fields "text"; expected {"question", "context"}.',
    )
    await expect(predict(model, [{ question: 'who?', context: ' ' }])).rejects.toThrow('"context" is empty')
  })
})

describe('pictures', () => {
  const config = new ConfigReader(
    {
      ...{ model_type: 'vit', architectures: ['ViTForImageClassification'], hidden_size: 8, intermediate_size: 12 },
      ...{ num_hidden_layers: 1, num_attention_heads: 2, image_size: 4, patch_size: 2, num_channels: 3, initializer_range: 0.5 },
      id2label: { '0': 'cat', '1': 'dog', '2': 'cow' },
    },
    'tiny',
  )
  const picture = (seed: number): number[][][] =>
    [0, 1, 2].map((c) => [0, 1, 2, 3].map((y) => [0, 1, 2, 3].map((x) => Math.sin(seed + 16 * c + 4 * y + x))))

  it('classes of pixel values, lists or typed arrays', async () => {
    await using model = FolderModel.fromWeights(testEnvironment(), config, randomWeights(config, 4))
    const pictures = [picture(1), picture(2), picture(3)]
    const data = Float32Array.from(pictures.flat(3))
    const { logits } = await forward(model, { pixel_values: { dtype: 'float32', shape: [3, 3, 4, 4], data } })
    const rows = [...pictures, pictures[0]!.map((channel) => channel.map((line) => Float32Array.from(line)))].map((pixel_values) => ({ pixel_values })) // prettier-ignore
    const found = (await predict(model, rows, { batchSize: 2 })) as LabelPrediction[]
    found.forEach(({ scores }, i) => {
      const row = Array.from(logits!.data as Float32Array).slice(3 * (i % 3), 3 * (i % 3) + 3)
      const sum = row.reduce((all, logit) => all + Math.exp(logit), 0)
      const expected = row.map((logit, k) => [['cat', 'dog', 'cow'][k]!, Math.exp(logit) / sum] as const)
      expectScores(
        scores,
        [...expected].sort((a, b) => b[1] - a[1]),
      )
    })
  })

  it('a file of a picture is refused, with what to do', async () => {
    await using model = FolderModel.fromWeights(testEnvironment(), config, randomWeights(config, 4))
    await expect(predict(model, [{ image: 'cat.png' }])).rejects.toThrow(
      /inputs, row 1: "image" names a picture, .* give "pixel_values"/,
    )
  })
})

describe('embeddings', () => {
  async function make(name: string): Promise<Model> {
    const all = JSON.parse(await readFile(join(sentence, 'cases.json'), 'utf8')) as Record<
      string,
      { base: string; files: Record<string, unknown> }
    >
    const { base, files } = all[name]!
    const path = join(folder, name)
    await cp(join(sentence, base), path, { recursive: true })
    for (const [file, content] of Object.entries(files)) {
      await mkdir(dirname(join(path, file)), { recursive: true })
      const { base64 } = content as { base64?: string }
      await writeFile(join(path, file), base64 === undefined ? JSON.stringify(content) : Buffer.from(base64, 'base64'))
    }
    return loadModel(path)
  }

  it.each(Object.entries(cases.embeddings))("as sentence-transformers' encode: %s", async (name, expected) => {
    await using model = await make(name)
    const texts = expected.map(([text]) => text)
    for (const batchSize of [1, 3]) {
      const vectors = await embed(model, texts, { batchSize })
      vectors.forEach((vector, i) => {
        const [, wanted] = expected[i]!
        expect(vector).toHaveLength(wanted.length)
        vector.forEach((value, k) => {
          expect(value).toBeCloseTo(wanted[k]!, 4)
        })
      })
    }
    const [vector] = await embed(model, texts)
    const [alone, pair] = (await predict(model, [{ text: texts[0]! }, { text: texts[0]!, text_pair: texts[0]! }])) as [
      { embedding: number[] },
      { similarity: number },
    ]
    alone.embedding.forEach((value, k) => {
      expect(value).toBeCloseTo(vector![k]!, 5)
    })
    expect(pair.similarity).toBeCloseTo(1, 5)
  })
})

describe('what is refused', () => {
  it('a language model, naming generate', async () => {
    await using model = await loadModel(join(sentence, 'llama'), { task: 'causal-lm' })
    await expect(predict(model, ['a'])).rejects.toThrow(/is a language model, which continues texts: use generate/)
    await expect(embed(model, ['a'])).rejects.toThrow(/embed is for embedding models, but .* is for causal-lm/)
  })

  it('a fresh head alone, which knows nothing yet', async () => {
    await using model = await loadModel(join(sentence, 'bert'), { task: 'sequence-classification' })
    await expect(predict(model, ['a'])).rejects.toThrow(
      /has no head for sequence-classification of its own, .* predict with an adapter/,
    )
    expect(await predict(await addLora(model), ['a'])).toHaveLength(1)
  })

  it('options that the task has no use for, and unknown ones', async () => {
    await using model = await open('classes')
    await expect(predict(model, ['a'], { pooling: 'mean' })).rejects.toThrow('pooling is for embedding models')
    await expect(predict(model, ['a'], { topk: 1 } as object)).rejects.toThrow(
      'predict: unknown option "topk"; did you mean topK?',
    )
    await expect(predict(model, ['a'], { topK: 0 })).rejects.toThrow('topK must be a whole number of at least 1, got 0')
    await using number = await open('number')
    await expect(predict(number, ['a'], { topK: 1 })).rejects.toThrow('topK (--top-k) is for labels and answers')
    await using tags = await open('tags')
    await expect(predict(tags, ['a'], { topK: 1 })).rejects.toThrow('topK (--top-k) is for labels and answers')
    await expect(predict(tags, ['a'], { maxAnswerLength: 1 })).rejects.toThrow('maxAnswerLength is for question answering')
    await expect(predict(tags, [{ input_ids: [1] }])).rejects.toThrow('"input_ids" does not tell where tokens stand')
  })

  it('what is no text and no row, by its number', async () => {
    await using model = await open('classes')
    await expect(predict(model, ['a', 3 as never])).rejects.toThrow(
      'inputs, row 2: expected a text or a row of fields, found the number 3',
    )
    await expect(predict(model, [{ label: 'x' }])).rejects.toThrow('inputs, row 1: found the fields "label"; expected {"text"}')
    expect(() => predict(model, 'a text' as never)).toThrow('predict: the inputs must be a list or an async iterable')
  })

  it('a run that is called off', async () => {
    await using model = await open('classes')
    const reason = new Error('enough')
    await expect(predict(model, ['a'], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const controller = new AbortController()
    async function* texts(): AsyncGenerator<string> {
      for (let i = 0; i < 1000; i++) {
        if (i === 40) controller.abort(reason)
        yield await Promise.resolve('a')
      }
    }
    const seen: unknown[] = []
    await expect(async () => {
      for await (const prediction of predict(model, texts(), { batchSize: 1, signal: controller.signal })) seen.push(prediction)
    }).rejects.toBe(reason)
    expect(seen).toHaveLength(32)
  })

  it('tells of rows that are cut', async () => {
    await using model = await open('classes')
    const warnings: string[] = []
    await predict(model, ['ada '.repeat(60), 'ada'], { onWarning: (message) => warnings.push(message) })
    expect(warnings).toEqual(["1 row is longer than the model's 48 positions and was cut: inputs, row 1"])
  })
})
