/** @file What a call is given is taken at the call: nothing of its options and lists is read after its first await. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as browser from '../src/browser.js'
import { openModel } from '../src/load-model.js'
import { InvalidAdapterError } from '../src/errors.js'
import { int64 } from '../src/graph/constants.js'
import * as lowrank from '../src/index.js'
import { llamaConfig, randomRows, temporaryFolder, testEnvironment, writeModel, writeRows } from './support/training.js'

const folder = temporaryFolder()
const place = (name: string): string => join(folder, name)
for (const [name, seed] of [['model', 1], ['tuned', 2]] as const) { mkdirSync(place(name)); writeModel(place(name), llamaConfig, seed) } // prettier-ignore
const data = writeRows(place('rows.jsonl'), randomRows(6, 23))
const labelled = writeRows(place('labelled.jsonl'), [{ text: 'a', label: 0 }, { text: 'b', label: 1 }]) // prettier-ignore
const model = await lowrank.loadModel(place('model'), { threads: 1 })
const tuned = await lowrank.loadModel(place('tuned'), { threads: 1 })
const adapter = await lowrank.addLora(model, { r: 2 })
await adapter.save(place('adapter'))
const set = new lowrank.AdapterSet(model)
await set.add('a', adapter)
const drain = async (stream: AsyncIterable<unknown>): Promise<void> => {
  for await (const _ of stream);
}

/** Tells of every reading of an object, and of the lists and plain objects in it. */
function watched<T extends object>(value: T, read: (path: string) => void, path = ''): T {
  return new Proxy(value, {
    get(target, key, receiver) {
      const entry: unknown = Reflect.get(target, key, receiver)
      if (typeof key === 'string') read(`${path}.${key}`)
      const isData =
        typeof entry === 'object' &&
        entry !== null &&
        (Array.isArray(entry) || Object.getPrototypeOf(entry) === Object.prototype) &&
        !Object.values(entry).some((each) => typeof each === 'function')
      return isData ? watched(entry, read, `${path}.${String(key)}`) : entry
    },
    ownKeys(target) {
      read(`${path}.*`)
      return Reflect.ownKeys(target)
    },
  })
}

type Watch = <T extends object>(value: T) => T

const calls: Readonly<Record<string, (w: Watch) => unknown>> = {
  loadModel: (w) => lowrank.loadModel(place('model'), w({ threads: 1, task: 'causal-lm' as const })),
  openModel: (w) => openModel(place('model'), testEnvironment(), w({ task: 'causal-lm' as const })),
  loadAdapter: (w) => lowrank.loadAdapter(model, place('adapter'), w({ onWarning: () => undefined })),
  addLora: (w) =>
    lowrank.addLora(model, w({ r: 2, targetModules: ['q_proj'], rankPattern: { q_proj: 3 }, initLoraWeights: 'pissa' as const })),
  'adapter.save': (w) => adapter.save(place('saved'), w({ saveEmbeddingLayers: false })),
  merge: (w) => lowrank.merge(w([adapter])).save(place('merged'), w({ format: 'safetensors' as const })),
  'merge to onnx': (w) => lowrank.merge(adapter).save(place('merged-onnx'), w({ format: 'onnx' as const })),
  exportOnnx: (w) => lowrank.exportOnnx(adapter, place('exported'), w({ maxPositions: 20, inlineUpTo: 100 })),
  'exportOnnx of a model': (w) => lowrank.exportOnnx(model, place('exported-model'), w({ inlineUpTo: 100 })),
  exportWithAdapterInputs: (w) => lowrank.exportWithAdapterInputs(w({ adapter }), place('inputs'), w({ inlineUpTo: 100 })),
  train: (w) => drain(lowrank.train(adapter, w({ data: [data], steps: 1, evalData: [data], out: place('run') }))),
  planTraining: (w) => lowrank.planTraining(adapter, w({ data: [data], steps: 1 })),
  generate: (w) => lowrank.generate(model, w({ inputIds: [1, 2], maxNewTokens: 2, eosTokenIds: [3] })),
  'generate with beams': (w) => lowrank.generate(model, w({ inputIds: [1, 2], maxNewTokens: 2, beams: 2 })),
  generateStream: (w) => drain(lowrank.generateStream(model, w({ inputIds: [1, 2], maxNewTokens: 2 }))),
  generateBatch: (w) => lowrank.generateBatch(set, w([{ inputIds: [1, 2], adapter: 'a' }]), w({ maxNewTokens: 2 })),
  'ContinuousBatch.add': (w) =>
    drain(new lowrank.ContinuousBatch(set).add(w({ inputIds: [1, 2], adapter: 'a', maxNewTokens: 2 }))),
  logits: (w) => lowrank.logits(set, w([[1, 2]]), w({ adapters: ['a'] })),
  evaluate: (w) => lowrank.evaluate(adapter, w({ data: [data], batchSize: 2 })),
  extractLora: (w) => lowrank.extractLora(model, tuned, w({ r: 1, targetModules: ['q_proj'] })),
  initializeEva: (w) => lowrank.initializeEva(adapter, w({ data: [data], rho: 1 })),
  inspect: (w) => lowrank.inspect(place('model'), w({ offline: true })),
  convert: (w) => lowrank.convert(place('adapter'), place('adapter.onnx_adapter'), w({ model })),
  inspectData: (w) => lowrank.inspectData(place('model'), w([data]), w({ batchSize: 2, evalData: [data] })),
  'inspectData of an open model': (w) => lowrank.inspectData(model, w([data]), w({ batchSize: 2, evalData: [data] })),
  collectLabels: (w) => lowrank.collectLabels(w([labelled]), w({ task: 'sequence-classification' as const })),
  'in a browser, loadModel': (w) => browser.loadModel(place('model'), w({ environment: testEnvironment() })),
  'in a browser, inspect': (w) => browser.inspect(place('model'), w({ environment: testEnvironment() })),
}

describe('of what a call is given nothing is read after the call', () => {
  it.each(Object.entries(calls))('%s', async (_, call) => {
    let returned = false
    const late = new Set<string>()
    const result = call((value) => watched(value, (path) => void (returned && late.add(path))))
    returned = true
    await result
    expect([...late]).toEqual([])
  })
})

describe('what is changed after the call', () => {
  const ids = (): ReturnType<typeof int64> => int64([1, 4], [3, 1, 4, 1])

  it('the inputs of a pass', async () => {
    const inputs = ids()
    const running = lowrank.forward(model, { input_ids: inputs })
    ;(inputs.data as BigInt64Array).fill(0n)
    const [got] = Object.values(await running)
    const [wanted] = Object.values(await lowrank.forward(model, { input_ids: ids() }))
    expect(got!.data).toEqual(wanted!.data)
  })

  it('an adapter that is being added to a set', async () => {
    const added = await lowrank.addLora(model, { r: 2, useDora: true })
    const many = new lowrank.AdapterSet(model)
    const adding = many.add('a', added)
    added.parameters.data.fill(3)
    await adding
    many.setAdapter('a')
    const [got] = await lowrank.logits(many, [[3, 1, 4]])
    const [wanted] = await lowrank.logits(model, [[3, 1, 4]])
    got!.data.forEach((x, i) => expect(x).toBeCloseTo(wanted!.data[i] as number, 4))
  })

  it('two adapters of other rows of one table, added at once: one of them', async () => {
    const [a, b] = [
      await lowrank.addLora(model, { r: 2, trainableTokenIndices: [1, 2] }),
      await lowrank.addLora(model, { r: 2, trainableTokenIndices: [3, 4] }),
    ]
    const both = new lowrank.AdapterSet(model)
    const outcomes = await Promise.allSettled([both.add('a', a), both.add('b', b)])
    const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
    expect(failures).toEqual([expect.any(InvalidAdapterError)])
    // Whichever was read first.
    expect(both.names).toEqual([outcomes[0].status === 'fulfilled' ? 'a' : 'b'])
  })

  it('a model that was made of another and disposed is made anew', async () => {
    const base = (await lowrank.loadModel(place('model'), { threads: 1 })) as lowrank.FolderModel
    const options = { task: 'sequence-classification', labels: ['x', 'y'] } as const
    const headed = base.withHead(options)
    await headed.dispose()
    expect(base.withHead(options).disposed).toBe(false)
    const replicated = base.replicated([[0, 2], [1, 2]]) // prettier-ignore
    await replicated.dispose()
    expect(base.replicated([[0, 2], [1, 2]]).disposed).toBe(false) // prettier-ignore
  })
})
