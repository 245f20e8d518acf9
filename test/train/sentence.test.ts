/** @file Embeddings of sentence-transformers folders against encode of that library, and what of a folder is carried along. */
import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addLora, evaluate, exportOnnx, loadModel, merge, train } from '../../src/index.js'

const root = new URL('../fixtures/sentence', import.meta.url).pathname
const data = join(root, 'pairs.jsonl')

interface Case {
  readonly base: string
  readonly files: Readonly<Record<string, unknown>>
  readonly loss: number
  readonly promptName?: [string, string]
}
const cases = JSON.parse(await readFile(join(root, 'cases.json'), 'utf8')) as Record<string, Case>

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sentence-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function make(name: string, { base, files } = cases[name]!): Promise<string> {
  const path = join(folder, name)
  await cp(join(root, base), path, { recursive: true })
  for (const [file, content] of Object.entries(files)) {
    await mkdir(dirname(join(path, file)), { recursive: true })
    const { base64 } = content as { base64?: string }
    await writeFile(join(path, file), base64 === undefined ? JSON.stringify(content) : Buffer.from(base64, 'base64'))
  }
  return path
}

describe("embeddings as sentence-transformers' encode makes them (test/oracle/write-sentence.py)", () => {
  it.each(Object.entries(cases))('%s', async (name, { loss, promptName }) => {
    const model = await loadModel(await make(name))
    expect(model.task.name).toBe('feature-extraction')
    const prompts = promptName === undefined ? {} : { promptName }
    for (const batchSize of [2, 5]) expect((await evaluate(model, { data, batchSize, ...prompts })).loss).toBeCloseTo(loss, 5)
    // What is learned is learned through the same layers.
    const adapter = await addLora(model, { r: 2 })
    const losses: number[] = []
    for await (const event of train(adapter, { data, batchSize: 5, steps: 8, learningRate: 2e-2, ...prompts }))
      if (event.event === 'step') losses.push(event.loss)
    expect(losses[0]).toBeCloseTo(loss, 5)
    expect(losses.at(-1)!).toBeLessThan(losses[0]!)
  })

  it('carries its files through merging and exporting', async () => {
    const source = await make('dense', cases['normalize-then-dense'])
    const model = await loadModel(source)
    const adapter = await addLora(model, { r: 2 })
    for await (const _ of train(adapter, { data, steps: 3, learningRate: 2e-2 }));
    const { loss } = await evaluate(adapter, { data })
    for (const [out, save] of [
      [join(folder, 'merged'), (out: string, options = {}) => merge(adapter).save(out, options)],
      [join(folder, 'exported'), (out: string, options = {}) => exportOnnx(adapter, out, options)],
    ] as const) {
      await save(out)
      const names = await readdir(out, { recursive: true })
      for (const file of Object.keys(cases['normalize-then-dense']!.files)) expect(names).toContain(file)
      for (const file of ['2_Normalize', 'modules.json']) expect(names).toContain(file)
      // What was written is known well enough to be replaced.
      await save(out, { overwrite: true })
    }
    expect((await evaluate(await loadModel(join(folder, 'merged')), { data })).loss).toBeCloseTo(loss, 5)
    expect((await evaluate(await loadModel(join(folder, 'exported/onnx/model.onnx')), { data })).loss).toBeCloseTo(loss, 5)
  })

  it('can be pooled otherwise if that is said', async () => {
    const model = await loadModel(await make('cls'))
    expect((await evaluate(model, { data, pooling: 'mean' })).loss).toBeCloseTo(cases['mean']!.loss, 5)
    expect((await evaluate(model, { data, pooling: ['cls', 'max'] })).loss).toBeCloseTo(cases['two-side-by-side']!.loss, 5)
    await expect(evaluate(model, { data, pooling: 'median' as 'mean' })).rejects.toThrow(
      /pooling must be "mean".*"lasttoken".* got "median"/,
    )
    await expect(evaluate(model, { data, promptName: 'passage' })).rejects.toThrow(
      /promptName is "passage", but .* has the prompts document, query; '' is none/,
    )
    const asked = await loadModel(await make('default-prompt'))
    await expect(evaluate(asked, { data, promptName: 'quer' })).rejects.toThrow(
      /has the prompts (query, document|document, query)/,
    )
    expect((await evaluate(asked, { data, promptName: '' })).loss).toBeCloseTo(cases['mean']!.loss, 5)
  })

  it('names a module that it does not have', async () => {
    const path = await make('strange', cases['mean'])
    const modules = JSON.parse(await readFile(join(path, 'modules.json'), 'utf8')) as object[]
    await writeFile(
      join(path, 'modules.json'),
      JSON.stringify([...modules, { idx: 2, name: '2', path: '2_LSTM', type: 'sentence_transformers.models.LSTM' }]),
    )
    const model = await loadModel(path)
    await expect(evaluate(model, { data })).rejects.toThrow(
      /modules\.json: module "LSTM" \(2_LSTM\) is not supported; .*--pooling/,
    )
    expect((await evaluate(model, { data, pooling: 'mean' })).loss).toBeCloseTo(cases['mean']!.loss, 5)
    await writeFile(join(path, 'modules.json'), JSON.stringify([{ idx: 0, path: '../other', type: 'x.Transformer' }]))
    await expect(loadModel(path)).rejects.toThrow(/module 0 needs a "type" and the "path" of a folder beside the file/)
    await writeFile(join(path, 'modules.json'), JSON.stringify(modules))
    await writeFile(join(path, '1_Pooling/config.json'), '{"pooling_mode": "median"}')
    await expect(loadModel(path)).rejects.toThrow(/1_Pooling\/config\.json: "pooling_mode" is "median"; supported are mean, cls/)
  })

  it('says what to do with the layout of older versions', async () => {
    const path = join(folder, 'older')
    await cp(join(root, 'bert'), join(path, '0_Transformer'), { recursive: true })
    await writeFile(
      join(path, 'modules.json'),
      JSON.stringify([{ idx: 0, path: '0_Transformer', type: 'sentence_transformers.models.Transformer' }]),
    )
    await expect(loadModel(path)).rejects.toThrow(/keeps its transformer in "0_Transformer".*save it anew/)
  })
})

describe('what is copied beside a merged model', () => {
  it('is nothing of an adapter or of a run', async () => {
    const path = await make('used', cases['mean'])
    for (const name of [
      'adapter_config.json',
      'head_config.json',
      'training_state.json',
      'log.jsonl',
      'report.html',
      'run.json',
      'adapter_model.bin',
    ])
      await writeFile(join(path, name), '{}')
    await mkdir(join(path, 'checkpoint-3'))
    await writeFile(join(path, 'checkpoint-3/adapter_config.json'), '{}')
    await mkdir(join(path, '.lowrank'))
    const out = join(folder, 'clean')
    await merge(await addLora(await loadModel(path), { r: 2 })).save(out)
    expect((await readdir(out)).sort()).toEqual([
      ...['1_Pooling', 'config.json', 'config_sentence_transformers.json', 'lowrank_merge.json', 'model.safetensors'],
      ...['modules.json', 'sentence_bert_config.json', 'tokenizer.json', 'tokenizer_config.json'],
    ])
  })

  it('are chat templates with names, but nothing else in their folder', async () => {
    const path = await make('templates', cases['mean'])
    const templates = 'additional_chat_templates'
    await mkdir(join(path, templates))
    for (const name of ['tool_use.jinja', 'rag.jinja', 'notes.txt']) await writeFile(join(path, templates, name), name)
    const adapter = await addLora(await loadModel(path), { r: 2 })
    const outs = [join(folder, 'templates-merged'), join(folder, 'templates-exported')] as const
    await merge(adapter).save(outs[0])
    await exportOnnx(adapter, outs[1])
    for (const out of outs) {
      expect((await readdir(join(out, templates))).sort()).toEqual(['rag.jinja', 'tool_use.jinja'])
      expect(await readFile(join(out, templates, 'rag.jinja'), 'utf8')).toBe('rag.jinja')
    }
  })

  it.each(['tokenizer.model', '1_Pooling/notes.json', 'additional_chat_templates/tool_use.jinja'])(
    'is no link that leads out of the folder: %s',
    async (name) => {
      const path = await make(`linked-${name.length}`, cases['mean'])
      const secret = join(folder, 'secret')
      await writeFile(secret, 'secret')
      await mkdir(dirname(join(path, name)), { recursive: true })
      await symlink(secret, join(path, name))
      const adapter = await addLora(await loadModel(path), { r: 2 })
      const message = /is a link to ".*secret", outside the model's folder/
      const out = join(folder, `out-${name.length}`)
      await expect(merge(adapter).save(out)).rejects.toThrow(message)
      await expect(exportOnnx(adapter, out)).rejects.toThrow(message)
    },
  )

  it("is what the hub's cache links to", async () => {
    const made = await make('for-cache', cases['mean'])
    const repository = join(folder, 'models--a--b')
    const snapshot = join(repository, 'snapshots/1234')
    await mkdir(join(repository, 'blobs'), { recursive: true })
    let blob = 0
    for (const entry of await readdir(made, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const from = join(entry.parentPath, entry.name)
      const to = join(snapshot, from.slice(made.length))
      await mkdir(dirname(to), { recursive: true })
      const target = join(repository, 'blobs', String(blob++))
      await copyFile(from, target)
      await symlink(target, to)
    }
    const out = join(folder, 'from-cache')
    await merge(await addLora(await loadModel(snapshot), { r: 2 })).save(out)
    expect(await readdir(join(out, '1_Pooling'))).toEqual(['config.json'])
    expect(await readdir(out)).toContain('tokenizer.json')
  })
})
