/** @file One run is the same whatever its rows lie in; rows that are set aside stay so, resumed and over processes. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { createAdapter, type Adapter } from '../../src/adapter/adapter.js'
import type { RowData } from '../../src/data/row-data.js'
import { planTraining } from '../../src/plan/index.js'
import { evaluate } from '../../src/train/evaluate.js'
import type { TrainOptions } from '../../src/train/options.js'
import { train } from '../../src/train/trainer.js'
import { inProcesses } from '../support/processes.js'
import {
  llamaConfig,
  randomRows,
  runTraining,
  temporaryFolder,
  testEnvironment,
  tinyModel,
  writeRows,
} from '../support/training.js'

const folder = temporaryFolder()
const model = tinyModel(llamaConfig, testEnvironment())
const fresh = (): Adapter => createAdapter(model, { r: 2, seed: 3 })
const rows = randomRows(12)
const data = writeRows(join(folder, 'rows.jsonl'), rows)
const common = { steps: 4, batchSize: 2, learningRate: 1e-2, seed: 7 }
const lossesOf = async (options: Partial<TrainOptions> & { readonly data: RowData }): Promise<number[]> =>
  (await runTraining(fresh(), { ...common, ...options })).steps.map(({ loss }) => loss)

async function* stream() {
  for (const row of rows) yield await Promise.resolve(row)
}

describe('the same losses, whatever the rows lie in', () => {
  const text = rows.map((row) => JSON.stringify(row)).join('\n')
  const put = (name: string, content: string | Uint8Array): string => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  const mlx = join(folder, 'mlx')
  mkdirSync(mlx)
  writeRows(join(mlx, 'train.jsonl'), rows)
  writeRows(join(mlx, 'valid.jsonl'), rows.slice(0, 3))
  const renamed = rows.map(({ input_ids: ids, labels: targets }) => ({ ids, targets }))
  const given: [string, Partial<TrainOptions> & { readonly data: RowData }][] = [
    ['a list', { data: rows }],
    ['a stream that can be read once', { data: stream() }],
    ['a function', { data: () => stream() }],
    ['a File', { data: new File([text], 'rows.jsonl') }],
    ['a JSON array in gzip', { data: put('rows.json.gz', gzipSync(JSON.stringify(rows, null, 1))) }],
    ['a folder', { data: mlx }],
    ['two files', { data: [put('a.jsonl', text.split('\n').slice(0, 5).join('\n')), put('b.jsonl', text.split('\n').slice(5).join('\n'))] }], // prettier-ignore
    ['columns of other names', { data: renamed, columns: { input_ids: 'ids', labels: 'targets' } }],
  ]
  it.each(given)('%s', async (_, options) => {
    expect(await lossesOf(options)).toEqual(await lossesOf({ data }))
  })

  it('evaluated and planned as well', async () => {
    expect(await evaluate(model, { data: rows })).toEqual(await evaluate(model, { data }))
    expect(await evaluate(model, { data: mlx })).toEqual(await evaluate(model, { data: rows.slice(0, 3) }))
    const [a, b] = [await planTraining(fresh(), { ...common, data: rows }), await planTraining(fresh(), { ...common, data })]
    expect([a.tokensPerStep, a.nodes]).toEqual([b.tokensPerStep, b.nodes])
  })

  it('a folder brings its rows to evaluate on', async () => {
    const { evals } = await runTraining(fresh(), { ...common, data: mlx, evalEvery: 2 })
    expect(evals).toHaveLength(2)
    expect(evals.at(-1)!.tokens).toBe((await evaluate(model, { data: rows.slice(0, 3) })).tokens)
  })
})

describe('rows that are set aside', () => {
  const split = { ...common, data, valSplit: 0.25, evalEvery: 2 }

  it('are evaluated on and not trained on, over processes too', async () => {
    const trained = fresh()
    const alone = await runTraining(trained, split)
    const { tokens, loss } = alone.evals.at(-1)!
    // Whoever evaluates afterwards finds the same rows by the same words.
    expect(await evaluate(trained, { data, valSplit: 0.25, seed: common.seed })).toMatchObject({
      tokens,
      loss: expect.closeTo(loss, 5) as number,
    })
    expect((await evaluate(trained, { data, valSplit: 0.25, seed: common.seed + 1 })).loss).not.toBeCloseTo(loss, 5)
    await expect(evaluate(trained, { data, valSplitBy: 'x' })).rejects.toThrow('valSplitBy (--val-split-by) says how rows')
    // A quarter of the rows.
    expect(alone.evals.at(-1)!.tokens).toBeLessThan((await evaluate(model, { data })).tokens!)
    const [first] = await inProcesses(2, (communicator) => runTraining(fresh(), { ...split, batchSize: 1, communicator }))
    first!.evals.forEach(({ loss, tokens }, i) => {
      expect(tokens).toBe(alone.evals[i]!.tokens)
      expect(loss).toBeCloseTo(alone.evals[i]!.loss, 4)
    })
  })

  it('stay so in a run that is resumed, which refuses another split', async () => {
    const whole = await runTraining(fresh(), split)
    const out = join(folder, 'resumed')
    for await (const event of train(fresh(), { ...split, data: rows, out })) if (event.event === 'step' && event.step === 2) break
    const go = (changes: Partial<TrainOptions>) => runTraining(fresh(), { ...split, data: rows, out, resume: true, ...changes })
    await expect(go({ valSplit: 0.5 })).rejects.toThrow('(valSplit (--val-split): 0.25 before, 0.5 now)')
    await expect(go({ data: rows.map((row, i) => (i === 5 ? { ...row, id: 1 } : row)) })).rejects.toThrow(
      '(the rows of data (--data))',
    )
    const rest = await go({})
    expect(rest.steps.map(({ loss }) => loss)).toEqual(whole.steps.slice(2).map(({ loss }) => loss))
    expect(rest.evals.at(-1)!.loss).toBe(whole.evals.at(-1)!.loss)
  })

  it.each([
    [{ evalData: data }, 'valSplit (--val-split) and evalData (--eval-data) exclude each other'],
    [{ data: join(folder, 'mlx') }, 'sets rows aside to evaluate on, but there are some already'],
    [{ valSplit: 1 }, 'valSplit must be a share of the rows above 0 and below 1, got 1'],
    [{ valSplit: undefined, valSplitBy: 'x' }, 'valSplitBy (--val-split-by) says how rows are set aside'],
  ])('%#', async (changes, message) => {
    await expect(runTraining(fresh(), { ...split, ...changes } as TrainOptions)).rejects.toThrow(message)
  })
})

describe('bad rows are told before the first step', () => {
  it.each<[string, RowData, string]>([
    ['in memory', [...rows, { input_ids: 'x' }], 'data, row 13: "input_ids" must be a list of integers, found text'],
    ['in an array', new File(['[{"input_ids":[1,2]},\n{"input_ids":[1,"2"]}]'], 'a.json'), 'a.json, line 2: "input_ids"[1] must be an integer'], // prettier-ignore
  ])('%s', async (_, bad, message) => {
    await expect(runTraining(fresh(), { ...common, data: bad })).rejects.toThrow(message)
  })

  it('columns that no row has', async () => {
    await expect(runTraining(fresh(), { ...common, data, columns: { text: 'content' } })).rejects.toThrow(
      /rows\.jsonl: no row has the column "content".*there are "input_ids"/,
    )
  })
})
