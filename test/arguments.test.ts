/** @file Wrong arguments: refused by every public function at the call, with its name and with what it wants. */
import { describe, expect, it } from 'vitest'
import * as browser from '../src/browser.js'
import * as lowrank from '../src/index.js'
import { llamaConfig, testEnvironment, tinyModel } from './support/training.js'

const environment = testEnvironment()
const model = tinyModel(llamaConfig, environment)
const adapter = await lowrank.addLora(model, { r: 2 })
const drain = async (stream: AsyncIterable<unknown>): Promise<void> => {
  for await (const _ of stream);
}
const failure = (call: () => unknown): Promise<unknown> =>
  Promise.resolve()
    .then(call)
    .catch((error: unknown) => error)

/** Each public function, with something in the place of its first argument. */
const first: Readonly<Record<string, (x: never) => unknown>> = {
  loadModel: (x) => lowrank.loadModel(x),
  loadTokenizer: (x) => lowrank.loadTokenizer(x),
  inspect: (x) => lowrank.inspect(x),
  inspectData: (x) => lowrank.inspectData(x, 'rows.jsonl'),
  collectLabels: (x) => lowrank.collectLabels(x),
  convert: (x) => lowrank.convert(x, 'out'),
  push: (x) => lowrank.push(x, 'a/b'),
  report: (x) => lowrank.report(x),
  addLora: (x) => lowrank.addLora(x),
  loadAdapter: (x) => lowrank.loadAdapter(x, 'nowhere'),
  AdapterSet: (x) => new lowrank.AdapterSet(x),
  ContinuousBatch: (x) => new lowrank.ContinuousBatch(x),
  startFrom: (x) => lowrank.startFrom(x, 'nowhere'),
  combineAdapters: (x) => lowrank.combineAdapters(x, [{ adapter, weight: 1 }]),
  analyzeAdapter: (x) => lowrank.analyzeAdapter(x),
  compareAdapters: (x) => lowrank.compareAdapters(x, adapter),
  analysisPage: (x) => lowrank.analysisPage(x),
  similarityPicture: (x) => lowrank.similarityPicture(x),
  extractLora: (x) => lowrank.extractLora(x, model, { r: 1 }),
  fullTrainee: (x) => lowrank.fullTrainee(x),
  'adapter.save': (x) => adapter.save(x),
  merge: (x) => lowrank.merge(x),
  'merge(…).save': (x) => lowrank.merge(adapter).save(x),
  exportOnnx: (x) => lowrank.exportOnnx(x, 'out'),
  train: (x) => drain(lowrank.train(x, { data: 'nowhere.jsonl' })),
  planTraining: (x) => lowrank.planTraining(x, { data: 'nowhere.jsonl' }),
  initializeEva: (x) => lowrank.initializeEva(x, { data: 'nowhere.jsonl' }),
  evaluate: (x) => lowrank.evaluate(x, { data: 'nowhere.jsonl' }),
  evaluateTexts: (x) => lowrank.evaluateTexts(x, { data: 'nowhere.jsonl', metrics: ['bleu'] }),
  predict: (x) => lowrank.predict(x, ['a']),
  embed: (x) => lowrank.embed(x, ['a']),
  generate: (x) => lowrank.generate(x, { inputIds: [1] }),
  generateStream: (x) => drain(lowrank.generateStream(x, { inputIds: [1] })),
  generateBatch: (x) => lowrank.generateBatch(x, [{ inputIds: [1] }]),
  logits: (x) => lowrank.logits(x, [[1]]),
  forward: (x) => lowrank.forward(x, {}),
  jsonObjectConstraint: (x) => lowrank.jsonObjectConstraint(x),
  jsonSchemaConstraint: (x) => lowrank.jsonSchemaConstraint(x, { type: 'object' }),
  'ToolCalls.of': (x) => lowrank.ToolCalls.of(x),
  exportWithAdapterInputs: (x) => lowrank.exportWithAdapterInputs(x, 'out'),
}

/** Functions of environments, runtimes and numbers, and what is made by others; `presetOptions` says itself which names there are. */
const others = new Set([
  ...['Adapter', 'FolderModel', 'OnnxModel', 'nodeEnvironment', 'browserEnvironment', 'nodeMpi', 'measureRates', 'presetOptions'],
  ...[
    'loraStateDict',
    'markOnlyLoraAsTrainable',
    'handleFiles',
    'memoryFiles',
    'Random',
    'ToolCalls',
    'ToolCallReader',
    'randomWeights',
    'weightShapes',
  ],
])

describe('a first argument of another kind', () => {
  const wrong: readonly unknown[] = [undefined, null, 3, {}, Promise.resolve(model)]
  it.each(Object.entries(first))('%s', async (name, call) => {
    for (const given of wrong) {
      // An object without an entry is none of adapters by name, which is said in other words.
      if (name === 'exportWithAdapterInputs' && String(given) === '[object Object]') continue
      const error = await failure(() => call(given as never))
      expect(error).toBeInstanceOf(lowrank.InvalidOptionError)
      expect((error as Error).message).toMatch(
        /: the first argument must be .*, got (nothing|null|3|an object|a promise; await it)(;|$)/,
      )
      expect((error as Error).message.startsWith(`${name}: `)).toBe(true)
    }
  })

  it('no public function is left out here', () => {
    const isFunction = (value: unknown): boolean => typeof value === 'function'
    const isError = (value: unknown): boolean => isFunction(value) && (value as { prototype: unknown }).prototype instanceof Error
    const named = Object.entries({ ...browser, ...lowrank }).filter(([, value]) => isFunction(value) && !isError(value))
    expect(named.map(([name]) => name).filter((name) => !others.has(name) && !(name in first))).toEqual([])
  })
})

describe('what is often given in the place of something else', () => {
  const cases: readonly (readonly [call: () => unknown, message: string])[] = [
    [
      () => lowrank.predict('demo/base' as never, ['a']),
      'predict: the first argument must be a model, an adapter or a set of adapters, got the text "demo/base"; open it with loadModel first',
    ],
    [
      () => drain(lowrank.train(model as never, { data: 'x.jsonl' })),
      'train: the first argument must be an adapter, or what fullTrainee makes of a model, got an object of the class FolderModel; addLora puts a new adapter on a model, loadAdapter one that is there; fullTrainee trains all of its weights',
    ],
    [() => lowrank.merge('out' as never), 'merge: the first argument must be an adapter or a list of them, got the text "out"; open it with loadAdapter first'],
    [() => lowrank.addLora(adapter as never), 'addLora: the first argument must be a model, got an object of the class Adapter; its model is its property "model"'],
    [() => lowrank.loadAdapter(model, undefined as never), 'loadAdapter: the second argument must be a path, got nothing'],
    [() => lowrank.inspectData(model, 3 as never), 'inspectData: the second argument must be rows: paths of files, blobs, or a list or iterable of at least one row, got 3'],
    [() => lowrank.inspectData(model, []), 'inspectData: the second argument must be rows: paths of files, blobs, or a list or iterable of at least one row, got an empty list'],
    [() => lowrank.logits(model, 'ab' as never), 'logits: the rows must be a list, got the text "ab"'],
    [() => lowrank.generateBatch(model, 'ab' as never), 'generateBatch: the prompts must be a list, got the text "ab"'],
    [() => lowrank.combineAdapters(model, [adapter] as never), 'combineAdapters: the adapter of adapter 0 must be an adapter, got nothing'],
    [() => lowrank.exportWithAdapterInputs({ a: model } as never, 'out'), 'exportWithAdapterInputs: "a" must be an adapter, got an object of the class FolderModel; addLora puts'],
    [() => new lowrank.AdapterSet(model).add('a', './a' as never), 'AdapterSet.add: the second argument must be an adapter, got the text "./a"; open it with loadAdapter first'],
    [() => drain(lowrank.train(adapter, { data: 'x.jsonl', onEvent: 3 as never })), 'onEvent must be a function, got 3'],
    [() => drain(lowrank.train(adapter, { data: 'x.jsonl', signal: new AbortController() as never })), 'signal must be an AbortSignal, got an object of the class AbortController'],
    [() => lowrank.evaluate(model, { data: 'x.jsonl', onWarning: 'log' as never }), 'onWarning must be a function, got "log"'],
    [() => lowrank.loadAdapter(model, 'a', { onWarning: {} as never }), 'onWarning must be a function, got an object'],
    [() => drain(lowrank.train(adapter, { data: [] })), 'data must be rows: paths of files, blobs, or a list or iterable of at least one row, got an empty list'],
  ] // prettier-ignore
  it.each(cases.map(([call, message]) => [message, call] as const))('%s', async (message, call) => {
    const error = await failure(call)
    expect(error).toBeInstanceOf(lowrank.InvalidOptionError)
    expect((error as Error).message).toContain(message)
  })
})
