/** @file Misspelt options: refused by every public function, with the name that was meant. */
import { describe, expect, it } from 'vitest'
import { differentiate } from '../src/autodiff/index.js'
import * as browser from '../src/browser.js'
import { openModel } from '../src/load-model.js'
import { float32, Graph, GraphBuilder } from '../src/graph/index.js'
import * as lowrank from '../src/index.js'
import { lower } from '../src/lower/index.js'
import * as metrics from '../src/metrics/index.js'
import { createServer } from '../src/serve/index.js'
import { decodeModel, encodeModel } from '../src/onnx/index.js'
import { gradcheck } from '../src/testing/gradcheck.js'
import { llamaConfig, testEnvironment, tinyModel } from './support/training.js'

const { nn } = lowrank
const environment = testEnvironment()
const model = tinyModel(llamaConfig, environment)
const adapter = await lowrank.addLora(model, { r: 2 })
const segments = [{ hypothesis: 'a', references: ['a'] }]
const emptyGraph = new Graph('empty')

/** Options of a name that nobody knows, of any type. */
const wrong = <T>(known: object = {}): T => ({ ...known, sseed: 1 }) as T
const drain = async (stream: AsyncIterable<unknown>): Promise<void> => {
  for await (const _ of stream);
}

/** Each public function that takes options, called with one too many. */
const calls: Readonly<Record<string, () => unknown>> = {
  loadModel: () => lowrank.loadModel('nowhere', wrong()),
  addLora: () => lowrank.addLora(model, wrong()),
  loadAdapter: () => lowrank.loadAdapter(model, 'nowhere', wrong()),
  randomWeights: () => lowrank.randomWeights({ ...llamaConfig }, 1, wrong()),
  weightShapes: () => lowrank.weightShapes({ ...llamaConfig }, wrong()),
  loadTokenizer: () => lowrank.loadTokenizer('nowhere', wrong()),
  inspect: () => lowrank.inspect('nowhere', wrong()),
  collectLabels: () => lowrank.collectLabels('nowhere', wrong()),
  inspectData: () => lowrank.inspectData('nowhere', 'nowhere', wrong()),
  'inspectData of an open model': () => lowrank.inspectData(model, 'nowhere', wrong()),
  convert: () => lowrank.convert('nowhere', 'out', wrong()),
  push: () => lowrank.push('nowhere', 'a/b', wrong()),
  nodeEnvironment: () => lowrank.nodeEnvironment(wrong()),
  openModel: () => openModel('nowhere', environment, wrong()),
  'Adapter.save': () => adapter.save('nowhere', wrong()),
  merge: () => lowrank.merge(adapter).save('nowhere', wrong()),
  exportOnnx: () => lowrank.exportOnnx(model, 'nowhere', wrong()),
  exportWithAdapterInputs: () => lowrank.exportWithAdapterInputs({ adapter }, 'nowhere', wrong()),
  train: () => drain(lowrank.train(adapter, wrong({ data: 'nowhere' }))),
  planTraining: () => lowrank.planTraining(adapter, wrong({ data: 'nowhere' })),
  measureRates: () => lowrank.measureRates(environment, [], wrong()),
  generate: () => lowrank.generate(model, wrong({ inputIds: [1] })),
  generateStream: () => drain(lowrank.generateStream(model, wrong({ inputIds: [1] }))),
  generateBatch: () => lowrank.generateBatch(model, [], wrong()),
  'generateBatch, a prompt': () => lowrank.generateBatch(model, [wrong({ inputIds: [1] })]),
  AdapterSet: () => new lowrank.AdapterSet(model, wrong()),
  ContinuousBatch: () => new lowrank.ContinuousBatch(model, wrong()),
  'ContinuousBatch.add': () => drain(new lowrank.ContinuousBatch(model).add(wrong({ inputIds: [1] }))),
  forward: () => lowrank.forward(model, {}, wrong()),
  logits: () => lowrank.logits(model, [[1]], wrong()),
  combineAdapters: () => lowrank.combineAdapters(model, [], wrong()),
  analyzeAdapter: () => lowrank.analyzeAdapter(adapter, wrong()),
  compareAdapters: () => lowrank.compareAdapters(adapter, adapter, wrong()),
  extractLora: () => lowrank.extractLora(model, model, wrong({ r: 1 })),
  initializeEva: () => lowrank.initializeEva(adapter, wrong({ data: 'nowhere' })),
  report: () => lowrank.report('nowhere', wrong()),
  evaluateTexts: () => lowrank.evaluateTexts(model, wrong({ data: 'nowhere', metrics: ['bleu'] })),
  evaluate: () => lowrank.evaluate(model, wrong({ data: 'nowhere' })),
  ...Object.fromEntries(['bleu', 'nist', 'rougeL', 'cider', 'multiBleu', 'nltkBleu', 'ter', 'chrf'].map((name) => [name, () => metrics[name as 'bleu'](segments, wrong())])), // prettier-ignore
  score: () => metrics.score(segments, ['bleu'], wrong()),
  predict: () => lowrank.predict(model, [], wrong()),
  createServer: () => createServer(model, wrong()),
  embed: () => lowrank.embed(model, [], wrong()),
  Linear: () => new nn.Linear(1, 1, wrong()),
  MergedLinear: () => new nn.MergedLinear(2, 2, wrong({ enableLora: [true, false], r: 1 })),
  Embedding: () => new nn.Embedding(1, 1, wrong()),
  Conv1d: () => new nn.Conv1d(1, 1, 1, wrong()),
  Conv2d: () => new nn.Conv2d(1, 1, 1, wrong()),
  Conv3d: () => new nn.Conv3d(1, 1, 1, wrong()),
  'nn.LayerNorm': () => new nn.LayerNorm(1, wrong()),
  'nn.RMSNorm': () => new nn.RMSNorm(1, wrong()),
  'nn.BatchNorm2d': () => new nn.BatchNorm2d(1, wrong()),
  'nn.MaxPool2d': () => new nn.MaxPool2d(2, wrong()),
  'nn.AvgPool2d': () => new nn.AvgPool2d(2, wrong()),
  'nn.initialize': () => nn.initialize(new nn.Linear(1, 1), wrong()),
  'nn.loadStateDict': () => nn.loadStateDict(new nn.Linear(1, 1), {}, wrong()),
  trainModule: () => drain(nn.trainModule(new nn.Linear(1, 1), wrong({ environment }))),
  'an optimizer of trainModule': () => {
    const data = { input: float32([1, 1], Float32Array.of(1)), labels: float32([1, 1], Float32Array.of(1)) }
    return drain(nn.trainModule(new nn.Linear(1, 1), { environment, data, loss: 'mse', optimizer: wrong({ name: 'sgd' }) }))
  },
  differentiate: () => {
    const graph = new Graph('f')
    const x = graph.addInput('x', 'float32', [])
    const y = new GraphBuilder(graph).tanh(x)
    return differentiate(graph, y, [x], wrong())
  },
  lower: () => lower(emptyGraph, wrong()),
  decodeModel: () => decodeModel(encodeModel(emptyGraph), wrong()),
  encodeModel: () => encodeModel(emptyGraph, undefined, wrong()),
  gradcheck: () => gradcheck(environment.runtime, { name: 'f', inputs: {}, build: () => [] }, wrong()),
  'in a browser, loadModel': () => browser.loadModel('nowhere', wrong()),
  'in a browser, collectLabels': () => browser.collectLabels('nowhere', wrong()),
  'in a browser, loadTokenizer': () => browser.loadTokenizer('nowhere', wrong()),
  'in a browser, loadAdapter': () => browser.loadAdapter(model, 'nowhere', wrong()),
  'in a browser, inspectData': () => browser.inspectData('nowhere', 'nowhere', wrong({ environment })),
  'in a browser, inspect': () => browser.inspect('nowhere', wrong({ environment })),
  'in a browser, convert': () => browser.convert('nowhere', 'out', wrong({ environment })),
  'in a browser, browserEnvironment': () => browser.browserEnvironment(wrong()),
}

/** Public names of functions and classes that take no options. */
const without = new Set([
  ...[
    'Adapter',
    'startFrom',
    'FolderModel',
    'analysisPage',
    'similarityPicture',
    'OnnxModel',
    'fullTrainee',
    'loraStateDict',
    'markOnlyLoraAsTrainable',
    'nodeMpi',
    'presetOptions',
  ],
  ...['handleFiles', 'memoryFiles', 'Random', 'randomWeights', 'weightShapes'],
  // Schemas and choices are judged as what they are.
  ...['jsonObjectConstraint', 'jsonSchemaConstraint', 'ToolCalls', 'ToolCallReader'],
])

describe('an unknown option', () => {
  it.each(Object.entries(calls))('%s', async (_, call) => {
    const error = await Promise.resolve()
      .then(call)
      .catch((e: unknown) => e)
    expect(error).toBeInstanceOf(lowrank.InvalidOptionError)
    expect((error as Error).message).toMatch(/: unknown option "sseed"; (did you mean .*|known are .*)$/)
  })

  it('names what was meant', () => {
    expect(() => new nn.Linear(1, 1, { loraalpha: 2 } as object)).toThrow(
      'Linear: unknown option "loraalpha"; did you mean loraAlpha?',
    )
    expect(() => new nn.LayerNorm(1, { momentum: 2 } as object)).toThrow(
      'LayerNorm: unknown option "momentum"; known are epsilon, bias',
    )
  })

  it('counts as not given where its value is undefined', () => {
    expect(() => new nn.Linear(1, 1, { nothing: undefined } as object)).not.toThrow()
  })

  it('options are an object', async () => {
    const message = /^\w+: options must be an object of names and values, got (null|a list|number|string)$/
    for (const options of [null, 7, 'r=8', [8]] as never[]) {
      expect(() => new nn.Conv1d(1, 1, 1, options)).toThrow(message)
      await expect(lowrank.loadModel('nowhere', options)).rejects.toThrow(message)
      await expect(lowrank.addLora(model, options)).rejects.toThrow(message)
      await expect(drain(lowrank.train(adapter, options))).rejects.toThrow(message)
      await expect(lowrank.evaluate(model, options)).rejects.toThrow(message)
      await expect(lowrank.generate(model, options)).rejects.toThrow(message)
      await expect(lowrank.predict(model, [], options)).rejects.toThrow(message)
    }
  })

  it('no public function is left out here', () => {
    const isFunction = (value: unknown): boolean => typeof value === 'function'
    const isError = (value: unknown): boolean => isFunction(value) && (value as { prototype: unknown }).prototype instanceof Error
    const named = Object.entries({ ...browser, ...lowrank }).filter(([, value]) => isFunction(value) && !isError(value))
    const missing = named.map(([name]) => name).filter((name) => !without.has(name) && !(name in calls) && !(`in a browser, ${name}` in calls)) // prettier-ignore
    expect(missing).toEqual([])
  })
})
