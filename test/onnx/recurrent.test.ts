/** @file Exported networks with LSTM, GRU and RNN, and one with a branch for each sampling rate, against PyTorch and PEFT. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loraDefaults } from '../../src/adapters/lora-fields.js'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { writeAdapterFolder } from '../../src/formats/peft.js'
import type { Graph } from '../../src/graph/graph.js'
import type { HostTensor } from '../../src/graph/types.js'
import {
  addLora,
  evaluate,
  inspect,
  loadAdapter,
  loadModel,
  merge,
  train,
  type Adapter,
  type InputConstants,
  type Model,
  type TaskOption,
} from '../../src/index.js'
import { nodeFiles } from '../../src/io/node-files.js'
import { crossEntropyLoss } from '../../src/losses/cross-entropy.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import { hostTensor, relativeError, rowsOf, tensorsOf } from '../models/golden.js'

const root = 'test/fixtures/onnx/recurrent'
const TOLERANCE = 1e-4

interface Case {
  readonly loss: number
  readonly r: number
  readonly alpha: number
  readonly targets: readonly string[]
  /** Modules that are trained whole. */
  readonly saved?: readonly string[] | null
  readonly rate: number
  readonly losses: readonly number[]
  readonly constants: InputConstants
}

const cases: readonly (readonly [string, TaskOption])[] = [
  ['cnn-lstm-torchscript', 'classification'],
  ['cnn-lstm-dynamo', 'classification'],
  ['bilstm-tagger-torchscript', 'token-classification'],
  ['gru-classifier-torchscript', 'classification'],
  ['gru-classifier-dynamo', 'classification'],
  ['rnn-classifier-torchscript', 'classification'],
  ['saved-lstm-torchscript', 'token-classification'],
  ['saved-gru-torchscript', 'classification'],
  ['saved-gru-dynamo', 'classification'],
  ['vad-torchscript', 'classification'],
  ['vad-dynamo', 'classification'],
]

const temporary = mkdtempSync(join(tmpdir(), 'lowrank-recurrent-'))
afterAll(() => rmSync(temporary, { recursive: true }))

interface Opened {
  readonly golden: Case
  readonly tensors: Awaited<ReturnType<typeof tensorsOf>>
  readonly model: Model
  readonly adapter: Adapter
  readonly folder: string
  readonly data: string
  readonly rows: number
}

async function open(name: string, task: TaskOption): Promise<Opened> {
  const golden = JSON.parse(readFileSync(`${root}/${name}/case.json`, 'utf8')) as Case
  const tensors = await tensorsOf(`${root}/${name}/tensors.safetensors`)
  const folder = join(temporary, name)
  const parameters = new Map<string, HostTensor>()
  const fields = new Map<string, unknown[]>()
  for (const key of tensors.keys()) {
    if (key.startsWith('param.')) parameters.set(`base_model.model.${key.slice('param.'.length).replace('.default', '')}`, await hostTensor(tensors, key)) // prettier-ignore
    if (key.startsWith('input.') || key === 'labels')
      fields.set(key.replace('input.', ''), rowsOf(await hostTensor(tensors, key)))
  }
  const config = {
    ...loraDefaults,
    r: golden.r,
    loraAlpha: golden.alpha,
    targetModules: golden.targets,
    modulesToSave: golden.saved ?? null,
  }
  await writeAdapterFolder(nodeFiles(), folder, { config, tensors: parameters })
  const rows = fields.get('labels')!.length
  const data = `${folder}.jsonl`
  writeFileSync(data, Array.from({ length: rows }, (_, i) => JSON.stringify(Object.fromEntries([...fields].map(([field, of]) => [field, of[i]])))).join('\n')) // prettier-ignore
  const model = await loadModel(`${root}/${name}/model.onnx`, { threads: 1, task, ...(Object.keys(golden.constants).length > 0 && { constants: golden.constants, output: 'output' }) }) // prettier-ignore
  return { golden, tensors, model, adapter: await loadAdapter(model, folder), folder, data, rows }
}

/** Every tensor of a case whose gradient is known, and what it is called in a graph: an input of the adapter, or a weight. */
function gradientNames(keys: Iterable<string>, { values }: Graph): Map<string, string> {
  const found = new Map<string, string>()
  for (const key of keys) {
    if (!key.startsWith('grad.')) continue
    const name = key.slice('grad.'.length).replace('.default', '')
    found.set(key, values.has(`base_model.model.${name}`) ? `base_model.model.${name}` : name)
  }
  return found
}

describe('exported recurrent networks', () => {
  it.each(cases)('%s: loss, logits and every gradient', async (name, task) => {
    const { golden, tensors, model, adapter, data, rows } = await open(name, task)
    expect(Math.abs((await evaluate(adapter, { data, batchSize: rows })).loss / golden.loss - 1)).toBeLessThan(TOLERANCE)

    const { graph } = adapter.attach(model.build({ mode: 'full' }).graph)
    const logits = graph.outputs[0]!
    const { graph: withLoss, loss } = crossEntropyLoss(graph, logits)
    const names = gradientNames(tensors.keys(), withLoss)
    expect(names.size).toBeGreaterThan(3)
    const wrt = [...names.values()].map((parameter) => withLoss.value(parameter))
    const { graph: full, gradients } = differentiate(withLoss, loss, wrt)
    full.outputs = [logits, loss, ...gradients.values()]
    full.prune()
    const feeds: Record<string, HostTensor> = {}
    for (const { name: input } of full.inputs) feeds[input] = adapter.tensors.get(input) ?? (await hostTensor(tensors, tensors.has(`input.${input}`) ? `input.${input}` : input)) // prettier-ignore
    const session = await nodeRuntime({ threads: 1 }).createSession(full)
    const results = await session.run(feeds)
    await session.release()
    const of = (value: string): Float32Array => results[value]!.data as Float32Array
    const expected = async (key: string): Promise<Float32Array> => (await hostTensor(tensors, key)).data as Float32Array
    expect(relativeError(of(logits.name), await expected('logits')), 'logits').toBeLessThan(TOLERANCE)
    for (const [key, parameter] of names)
      expect(relativeError(of(gradients.get(parameter)!.name), await expected(key)), key).toBeLessThan(TOLERANCE)
  })

  it.each(cases)('%s: 20 steps of AdamW', async (name, task) => {
    const { golden, adapter, data, rows } = await open(name, task)
    const losses: number[] = []
    const options = { steps: golden.losses.length, learningRate: golden.rate, batchSize: rows, shuffle: false, schedule: 'constant', warmup: 0, weightDecay: 0, maxGradNorm: 0 } as const // prettier-ignore
    for await (const event of train(adapter, { data, ...options })) if (event.event === 'step') losses.push(event.loss)
    expect(losses).toHaveLength(golden.losses.length)
    losses.forEach((loss, i) => expect(Math.abs(loss / golden.losses[i]! - 1), `step ${i + 1}`).toBeLessThan(1e-3))
  })
})

describe('recurrent weights', () => {
  it.each([
    ['saved-lstm-torchscript', 'token-classification'],
    ['saved-gru-dynamo', 'classification'],
  ] as const)('%s: are stored as PEFT stores them, and merged into the file', async (name, task) => {
    const { model, adapter, folder, data, tensors } = await open(name, task)
    const out = `${folder}-again`
    await adapter.save(out)
    const stored = await tensorsOf(join(out, 'adapter_model.safetensors'))
    const given = [...tensors.keys()].flatMap((key) => (key.startsWith('param.') ? [`base_model.model.${key.slice(6).replace('.default', '')}`] : [])) // prettier-ignore
    expect([...stored.keys()].sort()).toEqual(given.sort())
    expect(given.filter((key) => key.includes('weight_hh_l0_reverse'))).toHaveLength(1)
    for await (const _ of train(adapter, { data, steps: 5, learningRate: 1e-2, batchSize: 3 })) continue
    const { loss } = await evaluate(adapter, { data })
    expect(loss).not.toBeCloseTo((await evaluate(model, { data })).loss, 3)
    const { out: merged } = await merge(adapter).save(join(temporary, `${name}-merged.onnx`))
    expect((await evaluate(await loadModel(merged, { threads: 1, task }), { data })).loss).toBeCloseTo(loss, 5)
  })

  it('are trained with every weight of the model', async () => {
    const { model, data } = await open('gru-classifier-torchscript', 'classification')
    expect([...model.weights.keys()].filter((name) => name.startsWith('gru.'))).toHaveLength(8)
    const whole = await addLora(model, { r: 1, targetModules: ['proj'], modulesToSave: ['gru', 'fc'] })
    const before = (await evaluate(whole, { data })).loss
    for await (const _ of train(whole, { data, steps: 10, learningRate: 3e-2, batchSize: 3 })) continue
    expect((await evaluate(whole, { data })).loss).toBeLessThan(before / 2)
  })
})

describe('a branch for each sampling rate', () => {
  const path = `${root}/vad-torchscript/model.onnx`

  it('is refused with the input that decides it, and the option', async () => {
    await expect(loadModel(path, { task: 'classification' })).rejects.toThrow(
      /If .*"[^"]*If": its condition depends on input "sr" \(int64 \[\]\); fix it with \{ constants: \{ sr: … \} \}, --constants sr=…/,
    )
    const found = await inspect(path)
    expect(found).toMatchObject({ unsupported: [expect.stringContaining('--constants sr=…')] })
  })

  it('is taken by the constant, and everything made of the model says so', async () => {
    const { model, adapter, folder, data } = await open('vad-torchscript', 'classification')
    expect(model.inputs.map(({ name }) => name)).toEqual(['x'])
    expect([...model.modules.keys()].every((name) => name.startsWith('wide.') || !name.includes('.'))).toBe(true)
    const out = join(temporary, 'saved')
    await adapter.save(out)
    expect(JSON.parse(readFileSync(join(out, 'adapter_config.json'), 'utf8'))).toMatchObject({ onnx_constants: { sr: 16000, state: 0 } }) // prettier-ignore
    const { loss } = await evaluate(adapter, { data })
    expect((await evaluate(await loadAdapter(model, out), { data })).loss).toBe(loss)
    const narrow = await loadModel(path, {
      threads: 1,
      task: 'classification',
      output: 'output',
      constants: { sr: 8000, state: 0 },
    })
    await expect(loadAdapter(narrow, out)).rejects.toThrow(/trained with sr=16000, state=0.*loaded with sr=8000, state=0/)
    // An adapter that says nothing, such as one of PEFT, is put on what fits it.
    await expect(loadAdapter(narrow, folder)).rejects.toThrow(/wide/)

    const merged = join(temporary, 'merged.onnx')
    await merge(adapter).save(merged)
    const again = await loadModel(merged, {
      threads: 1,
      task: 'classification',
      output: 'output',
      constants: { sr: 16000, state: 0 },
    })
    expect((await evaluate(again, { data })).loss).toBeCloseTo(loss, 5)
    // The graph is as it was: the other branch is there, and computes what it did.
    const other = await loadModel(merged, {
      threads: 1,
      task: 'classification',
      output: 'output',
      constants: { sr: 8000, state: 0 },
    })
    expect((await evaluate(other, { data })).loss).toBe((await evaluate(narrow, { data })).loss)
    expect(await inspect(path, { constants: { sr: 16000 } })).toMatchObject({ metadata: { constants: 'sr=16000' } })
  })

  it('belongs to a run: it is not resumed with another', async () => {
    const { model, data } = await open('vad-torchscript', 'classification')
    const out = join(temporary, 'run')
    const options = { data, out, batchSize: 3, steps: 2, checkpointEvery: 1 }
    const wide = await addLora(model, { r: 1, targetModules: ['conv', 'wide.encoder'].slice(1) })
    for await (const _ of train(wide, options)) continue
    expect(readFileSync(join(out, 'README.md'), 'utf8')).toContain('{ constants: {"sr":16000,"state":0} }')
    const state = await loadModel(path, {
      threads: 1,
      task: 'classification',
      output: 'output',
      constants: { sr: 16000, state: 1 },
    })
    const other = await addLora(state, { r: 1, targetModules: ['wide.encoder'] })
    const resume = async (): Promise<void> => {
      for await (const _ of train(other, { ...options, steps: 3, resume: true })) continue
    }
    await expect(resume()).rejects.toThrow(/constants/)
  })

  it.each<[InputConstants, RegExp]>([
    [{ ar: 16000 }, /no input "ar"; did you mean sr or x\? its inputs are x, state, sr/],
    [{ sr: 1.5 }, /"sr" \(int64 \[\]\) takes a whole number that int64 holds, got 1.5/],
    [{ sr: Number.NaN }, /takes a whole number/],
    [{ sr: [16000, 8000] }, /"sr" \(int64 \[\]\) cannot be filled with 2 numbers/],
    [{ sr: 16000, state: [1, 2, 3] }, /"state" \(float32 \[2, batch, 5\]\) cannot be filled with 3 numbers/],
    [{ sr: 16000, x: 0 }, /the length "samples" of input "x".* is not known/],
  ])('refuses the constants %j', async (constants, message) => {
    await expect(loadModel(path, { task: 'classification', constants })).rejects.toThrow(message)
  })
})
