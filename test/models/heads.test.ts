/**
 * @file Heads of tasks on plain bases: adapters that bring one against PEFT (test/oracle/write-heads.py), fresh ones against
 * how transformers begins them.
 */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  addLora,
  inspect,
  loadAdapter,
  loadModel,
  logits,
  merge,
  train,
  type FolderModel,
  type HeadOptions,
} from '../../src/index.js'

const root = new URL('../fixtures/heads', import.meta.url).pathname
const base = (name: string): string => join(root, name, 'model')

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heads-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const difference = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length)
  return Math.max(...Array.from(a, (v, i) => Math.abs(v - b[i]!)))
}

describe("PEFT's adapters with a head of their own, on plain bases (test/oracle/write-heads.py)", async () => {
  for (const name of (await readdir(root)).sort())
    it(name, async () => {
      const { ids, y } = JSON.parse(await readFile(join(root, name, 'expected.json'), 'utf8')) as { ids: number[][]; y: number[] }
      const adapter = await loadAdapter(await loadModel(base(name)), join(root, name, 'adapter'))
      const [ours] = await logits(adapter, ids)
      expect(difference(ours!.data as Float32Array, y)).toBeLessThan(1e-4)
      // What is merged is a model of that class, and answers alike.
      const out = join(folder, name)
      await merge(adapter).save(out)
      const merged = await loadModel(out)
      expect(merged.task.name).toBe(adapter.model.task.name)
      const [again] = await logits(merged, ids)
      expect(difference(again!.data as Float32Array, y)).toBeLessThan(1e-4)
    })

  it('share a model where they are for the same task and labels', async () => {
    const model = await loadModel(base('llama-seq'))
    const [one, two] = [
      await loadAdapter(model, join(root, 'llama-seq/adapter')),
      await loadAdapter(model, join(root, 'llama-seq/adapter')),
    ]
    expect(one.model).toBe(two.model)
    expect(one.model).not.toBe(model)
    expect(one.model.task).toMatchObject({ name: 'sequence-classification', numLabels: 2 })
  })

  it('tell how many labels there are, where the user says the task alone', async () => {
    const model = await loadModel(base('bert-seq'), { task: 'sequence-classification' })
    expect(model.task.numLabels).toBe(2)
    expect((await loadAdapter(model, join(root, 'bert-seq/adapter'))).model.task.numLabels).toBe(3)
    const three = await loadModel(base('bert-seq'), { task: 'sequence-classification', labels: ['a', 'b', 'c'] })
    expect((await loadAdapter(three, join(root, 'bert-seq/adapter'))).model).toBe(three)
    const four = await loadModel(base('bert-seq'), { task: 'sequence-classification', numLabels: 4 })
    await expect(loadAdapter(four, join(root, 'bert-seq/adapter'))).rejects.toThrow(/expected \[4, 16\], found \[3, 16\]/)
  })

  it('are refused where a layer between base and head was random and is lost', async () => {
    // BertForMaskedLM has no pooler; PEFT saves none with SEQ_CLS.
    const adapter = join(folder, 'lost')
    await cp(join(root, 'bert-seq/adapter'), adapter, { recursive: true })
    await expect(loadAdapter(await loadModel(base('bert-tok-of-mlm')), adapter)).rejects.toThrow(
      /holds "bert\.pooler\.dense\.weight", "bert\.pooler\.dense\.bias", which a model for sequence-classification needs.*pooler and classifier in modules_to_save/s,
    )
  })
})

describe('fresh heads', () => {
  const cases: [base: string, options: HeadOptions, saved: string[]][] = [
    ['bert-tok-of-mlm', { task: 'sequence-classification', labels: ['ham', 'spam', 'eggs'] }, ['classifier', 'score', 'pooler']],
    ['roberta-qa-of-mlm', { task: 'sequence-classification', labels: ['ham', 'spam', 'eggs'] }, ['classifier', 'score']],
    ['distilbert-seq-of-mlm', { task: 'token-classification', labels: ['O', 'B'] }, ['classifier', 'score']],
    ['deberta-tok-of-mlm', { task: 'question-answering' }, ['qa_outputs']],
    ['llama-seq', { task: 'question-answering' }, ['qa_outputs']],
    ['gpt2-tok-of-body', { task: 'sequence-classification', labels: ['ham', 'spam', 'eggs'] }, ['classifier', 'score']],
    ['qwen2-seq', { task: 'sequence-classification', problemType: 'regression', numLabels: 1 }, ['classifier', 'score']],
  ]
  it.each(cases)('%s learns %j, and saves all of it', async (name, options, saved) => {
    const model = await loadModel(base(name), options)
    const adapter = await addLora(model, { r: 2 })
    expect(adapter.config.modulesToSave).toEqual(saved)
    const label = (i: number): object => {
      if (options.task === 'question-answering') return { start_positions: 1, end_positions: 2 }
      if (options.task === 'token-classification') return { labels: ['O', 'B', 'O', 'B'] }
      return { label: options.labels?.[i % 3] ?? i / 4 }
    }
    const data = join(folder, `${name}.jsonl`)
    const rows = Array.from({ length: 6 }, (_, i) => JSON.stringify({ input_ids: [3 + i, 5, 7 + i, 9], ...label(i) }))
    await writeFile(data, rows.join('\n'))
    const losses: number[] = []
    for await (const event of train(adapter, { data, steps: 12, learningRate: 3e-2 }))
      if (event.event === 'step') losses.push(event.loss)
    expect(losses.at(-1)!).toBeLessThan(losses[0]!)
    const [before] = await logits(adapter, [[4, 8, 15]])

    const out = join(folder, `${name}-trained`)
    await adapter.save(out)
    expect(await readdir(out)).not.toContain('config.json')
    const loaded = await loadAdapter(await loadModel(base(name)), out)
    expect(loaded.model.task).toEqual(model.task)
    expect(difference((await logits(loaded, [[4, 8, 15]]))[0]!.data as Float32Array, before!.data as Float32Array)).toBe(0)

    await merge(loaded).save(join(out, 'merged'))
    const merged = (await loadModel(join(out, 'merged'))) as FolderModel
    expect(merged.task).toEqual(model.task)
    expect(merged.config.json['architectures']).toEqual((loaded.model as FolderModel).config.json['architectures'])
    expect(difference((await logits(merged, [[4, 8, 15]]))[0]!.data as Float32Array, before!.data as Float32Array)).toBeLessThan(
      1e-4,
    )
  })

  it('begin as transformers begins them, by their seed', async () => {
    const fresh = async (seed: number, name = 'roberta-qa-of-mlm'): Promise<Map<string, Float32Array>> => {
      const model = (await loadModel(base(name), { task: 'sequence-classification', numLabels: 2, seed })) as FolderModel
      return new Map([...model.head!.fresh].map(([key, { data }]) => [key, data as Float32Array]))
    }
    const [one, same, other] = [await fresh(1), await fresh(1), await fresh(2)]
    expect([...one.keys()]).toEqual([
      'classifier.dense.weight',
      'classifier.dense.bias',
      'classifier.out_proj.weight',
      'classifier.out_proj.bias',
    ])
    expect(one).toEqual(same)
    expect(one.get('classifier.dense.weight')).not.toEqual(other.get('classifier.dense.weight'))
    const values = one.get('classifier.dense.weight')!
    // N(0, 0.02²) of initializer_range: 256 values have a mean within 4/16 and a deviation within 4/√512 of it.
    const mean = values.reduce((a, b) => a + b, 0) / values.length
    const deviation = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length)
    expect(Math.abs(mean)).toBeLessThan(0.02 / 4)
    expect(deviation).toBeGreaterThan(0.02 * 0.82)
    expect(deviation).toBeLessThan(0.02 * 1.18)
    expect(one.get('classifier.dense.bias')!.every((v) => v === 0)).toBe(true)
    expect(new Set((await fresh(0, 'llama-seq')).keys())).toEqual(new Set(['score.weight']))
  })

  it('stand in place of a head only if that is said', async () => {
    const adapter = await loadAdapter(await loadModel(base('bert-seq')), join(root, 'bert-seq/adapter'))
    const own = join(folder, 'own')
    await merge(adapter).save(own)
    await expect(loadModel(own, { labels: ['a', 'b'] })).rejects.toThrow(
      /has a head for 3 labels .* but 2 are asked for; .*--new-head/,
    )
    const named = await loadModel(own, { labels: ['a', 'b', 'c'] })
    expect(named.task.labels).toEqual(['a', 'b', 'c'])
    expect((named as FolderModel).head!.fresh.size).toBe(0)
    const fresh = (await loadModel(own, { labels: ['a', 'b'], newHead: true })) as FolderModel
    expect([...fresh.head!.fresh.keys()]).toEqual(['classifier.weight', 'classifier.bias'])
    // Another task's classifier of the same shape is no head of this one.
    const tokens = (await loadModel(own, { task: 'token-classification', numLabels: 3 })) as FolderModel
    expect([...tokens.head!.fresh.keys()]).toEqual(['classifier.weight', 'classifier.bias'])
  })

  const golden = 'test/fixtures/golden/peft/bert/model'
  it.each<[HeadOptions, HeadOptions | undefined]>([
    [{ newHead: true, labels: ['bad', 'good'] }, { task: 'sequence-classification' }],
    [{ newHead: true, labels: ['a', 'b', 'c', 'd'] }, undefined],
    [{ newHead: true, labels: ['a', 'b', 'c'], problemType: 'multi_label_classification' }, { newHead: true }],
    [{ newHead: true, numLabels: 3 }, undefined],
    [{ task: 'regression', newHead: true, labels: ['score'] }, undefined],
    [{ labels: ['a', 'b', 'c'] }, undefined],
    [{ task: 'token-classification', labels: ['O', 'B'] }, undefined],
    [{ task: 'question-answering' }, undefined],
  ])('%j in place of another comes along with its adapter, onto the bare base or one with %j', async (options, said) => {
    const model = await loadModel(golden, options)
    const adapter = await addLora(model, { r: 2 })
    adapter.parameters.data.forEach((value, i, data) => (data[i] = value + 0.05 * Math.sin(i)))
    const out = join(folder, `other-${JSON.stringify(options).length}`)
    await adapter.save(out)
    const [expected] = await logits(adapter, [[4, 8, 15]])
    for (const loaded of [
      await loadAdapter(await loadModel(golden, said), out),
      await loadAdapter(await loadModel(golden, options), out),
    ]) {
      // prettier-ignore
      expect(loaded.model.task).toEqual(model.task)
      expect((await logits(loaded, [[4, 8, 15]]))[0]!.data).toEqual(expected!.data)
      await merge(loaded).save(`${out}-merged`, { overwrite: true })
      const merged = await loadModel(`${out}-merged`)
      expect(merged.task).toEqual(model.task)
      expect(difference((await logits(merged, [[4, 8, 15]]))[0]!.data as Float32Array, expected!.data as Float32Array)).toBeLessThan(1e-4) // prettier-ignore
    }
    expect(await inspect(out)).toMatchObject({ head: { task: model.task.name, labels: model.task.labels } })
  })

  it('of other labels than the user says are refused', async () => {
    const out = join(folder, 'said')
    await (await addLora(await loadModel(golden, { newHead: true, labels: ['bad', 'good'] }), { r: 2 })).save(out)
    const other = await loadModel(golden, { newHead: true, labels: ['good', 'bad'] })
    await expect(loadAdapter(other, out)).rejects.toThrow(/label 0 of the adapter is "bad", but the model was opened with "good"/)
    const more = await loadModel(golden, { newHead: true, numLabels: 5 })
    await expect(loadAdapter(more, out)).rejects.toThrow(/expected \[5, 32\], found \[2, 32\]/)
  })

  it.each([
    [
      { task: 'image-classification' },
      /task "image-classification" is not supported for model type "bert"; supported are feature-extraction, .*question-answering, masked-lm, classification, regression$/,
    ],
    [{ task: 'text-classification' }, /"text-classification" is not supported .*Did you mean "sequence-classification"\?$/],
    [{ task: 'ner' }, /Did you mean "token-classification"\?$/],
    [{ task: 'text-generation' }, /regression$/],
    [{ task: 'sequence-classification', numLabels: '2' }, /numLabels must be a whole number of at least 1, got the text "2"/],
    [
      { labels: ['a', 'b'] },
      /labels is for classifiers, but .*config\.json is for feature-extraction; say which task with \{ task \}/,
    ],
    [{ task: 'question-answering', numLabels: 3 }, /numLabels is for classifiers/],
    [{ task: 'sequence-classification', labels: ['a', 'a'] }, /labels names "a" twice/],
    [{ task: 'sequence-classification', labels: [] }, /at least one/],
    [{ task: 'sequence-classification', labels: ['one'] }, /labels is one name, "one", .*at least two.*task "regression"/],
    [{ task: 'token-classification', labels: ['one'] }, /labels is one name, "one"/],
    [{ task: 'sequence-classification', labels: ['a', 'b'], numLabels: 3 }, /numLabels is 3, but labels names 2/],
    [{ task: 'sequence-classification', numLabels: 0 }, /whole number of at least 1/],
    [{ task: 'token-classification', problemType: 'regression' }, /problemType is for sequence-classification/],
    [{ task: 'sequence-classification', problemType: 'odd' }, /problemType must be regression, single_label/],
    [{ output: 'logits' }, /output is an option of \.onnx files/],
  ] as [HeadOptions, RegExp][])('%j is refused', async (options, message) => {
    await expect(loadModel(base('bert-seq'), options)).rejects.toThrow(message)
  })
})
