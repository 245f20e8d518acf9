/** @file The result of a run is what its best evaluation was of: by loss or a metric, after resumes and kills. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAdapter, loadAdapter, type Adapter } from '../../src/adapter/adapter.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { ConfigReader } from '../../src/models/config-reader.js'
import { randomWeights } from '../../src/models/random.js'
import type { EvalEvent, TrainEvent } from '../../src/train/events.js'
import { planTraining } from '../../src/plan/index.js'
import { parseEvents } from '../../src/train/log.js'
import type { TrainOptions } from '../../src/train/options.js'
import { train } from '../../src/train/trainer.js'
import { randomRows, runTraining, temporaryFolder, testEnvironment, tinyModel, writeRows } from '../support/training.js'

const folder = temporaryFolder()
const data = writeRows(join(folder, 'rows.jsonl'), randomRows(11))
const evalData = writeRows(join(folder, 'eval.jsonl'), randomRows(3, 9))
/** A rate that first helps and then ruins: the best lies in the middle. */
const options: TrainOptions = {
  data,
  evalData,
  batchSize: 2,
  steps: 12,
  evalEvery: 1,
  learningRate: 3e-1,
  seed: 7,
  keepBest: true,
}
let counter = 0
const newOut = (): string => join(folder, `out-${++counter}`)
const fresh = (): Adapter => createAdapter(tinyModel(), { r: 2, targetModules: 'all-linear', seed: 3 })
const lowest = (evals: readonly EvalEvent[]): EvalEvent => evals.reduce((low, each) => (each.loss < low.loss ? each : low))
const logOf = (out: string): TrainEvent[] => parseEvents(readFileSync(join(out, 'log.jsonl'), 'utf8'))

describe('keepBest', () => {
  it('begins anew where a resumed run evaluates other rows, whose losses are no measure for those', async () => {
    const out = newOut()
    const { done: before } = await runTraining(fresh(), { ...options, out, steps: 3, checkpointEvery: 1 })
    const other = writeRows(join(folder, 'other.jsonl'), randomRows(4, 31))
    const same = await runTraining(fresh(), { ...options, out, resume: true, steps: 3 })
    expect(same.done).toMatchObject({ bestStep: before!.bestStep, bestEvalLoss: before!.bestEvalLoss })
    const { done, evals } = await runTraining(fresh(), { ...options, out, resume: true, evalData: other, steps: 5 })
    expect(evals.map(({ step }) => step)).toEqual([4, 5])
    expect(done).toMatchObject({ bestStep: lowest(evals).step, bestEvalLoss: lowest(evals).loss })
  })

  it('leaves what the best evaluation was of, with its step in log, card and last event', async () => {
    const out = newOut()
    const adapter = fresh()
    const { evals, done, events } = await runTraining(adapter, { ...options, out })
    const best = lowest(evals)
    expect(best.step).toBeGreaterThan(1)
    expect(best.step).toBeLessThan(12)
    expect(done).toMatchObject({ reason: 'finished', steps: 12, bestStep: best.step, bestEvalLoss: best.loss })
    expect(done).not.toHaveProperty('bestMetric')
    const until = fresh()
    await runTraining(until, { ...options, keepBest: false, steps: best.step })
    expect(adapter.parameters.data).toEqual(until.parameters.data)
    expect((await loadAdapter(adapter.model, out)).parameters.data).toEqual(until.parameters.data)
    // A finished adapter, which a kill at any later instant leaves.
    const kept = await loadAdapter(adapter.model, join(out, `checkpoint-${best.step}`))
    expect(kept.parameters.data).toEqual(until.parameters.data)
    const written = events.filter(({ event }) => event === 'checkpoint').map((event) => (event as { step: number }).step)
    expect(written).toEqual(evals.filter((each) => each.best).map(({ step }) => step))
    const card = readFileSync(join(out, 'README.md'), 'utf8')
    expect(card).toContain(`| Adapter of step | ${best.step}, the best evaluation |`)
    expect(card).toContain(`| Evaluation loss, step ${best.step} | ${Number(best.loss.toPrecision(6))} |`)
    expect(card).toContain(`| Evaluation perplexity | ${Number(best.perplexity!.toPrecision(6))} |`)
  })

  it.each([-1, 2])('survives a run that is killed %i steps after the best, which goes on from its checkpoint', async (after) => {
    const whole = fresh()
    const { done, evals } = await runTraining(whole, options)
    const out = newOut()
    for await (const event of train(fresh(), { ...options, out }))
      if (event.event === 'step' && event.step === done!.bestStep! + after) break
    // A kill leaves no checkpoint of its own: only those of the best evaluations.
    rmSync(join(out, `checkpoint-${done!.bestStep! + after}`), { recursive: true })
    const { bestStep } = done!
    const newest = evals.filter(({ best, step }) => best && step < bestStep! + after).at(-1)!.step
    expect(existsSync(join(out, `checkpoint-${newest}`))).toBe(true)
    const adapter = fresh()
    const rest = await runTraining(adapter, { ...options, out, resume: true })
    expect(rest.steps[0]!.step).toBe(newest + 1)
    expect(rest.done).toMatchObject({ bestStep: done!.bestStep, bestEvalLoss: done!.bestEvalLoss })
    expect(adapter.parameters.data).toEqual(whole.parameters.data)
    expect((await loadAdapter(adapter.model, out)).parameters.data).toEqual(whole.parameters.data)
    const told = (list: readonly TrainEvent[]): unknown[] =>
      list.flatMap((event) => (event.event === 'eval' ? [[event.step, event.loss, event.best]] : []))
    expect(told(logOf(out))).toEqual(told(evals))
  })

  it('by another metric than before, it looks for the best anew', async () => {
    const out = newOut()
    for await (const event of train(fresh(), { ...options, out })) if (event.event === 'step' && event.step === 10) break
    const rest = await runTraining(fresh(), { ...options, out, resume: true, metricForBest: 'perplexity', greaterIsBetter: true })
    const greatest = rest.evals.reduce((high, each) => (each.perplexity! > high.perplexity! ? each : high))
    expect(rest.evals[0]!.best).toBe(true)
    expect(rest.done).toMatchObject({ bestStep: greatest.step, metricForBest: 'perplexity', bestMetric: greatest.perplexity })
  })

  it('evaluates where the run begins, which may be the best', async () => {
    const adapter = fresh()
    const begin = adapter.parameters.data.slice()
    const short = { ...options, steps: 3, learningRate: 3e-2, evalAtStart: true }
    const { evals, events, done } = await runTraining(adapter, short)
    expect(evals.map(({ step }) => step)).toEqual([0, 1, 2, 3])
    expect(events.findIndex(({ event }) => event === 'eval')).toBeLessThan(events.findIndex(({ event }) => event === 'step'))
    expect(done!.bestStep).toBe(0)
    expect(adapter.parameters.data).toEqual(begin)
  })
})

describe('metricForBest', () => {
  const config = new ConfigReader(
    {
      ...{ model_type: 'bert', architectures: ['BertForSequenceClassification'], num_labels: 2, vocab_size: 17, hidden_size: 8 },
      ...{ intermediate_size: 12, num_hidden_layers: 1, num_attention_heads: 2, max_position_embeddings: 24 },
      ...{ type_vocab_size: 2, initializer_range: 0.3 },
    },
    'tiny',
  )
  const classifier = (): Adapter =>
    createAdapter(FolderModel.fromWeights(testEnvironment(), config, randomWeights(config, 4)), {
      r: 2,
      targetModules: 'all-linear',
    })
  const labelled = (count: number, seed: number) =>
    randomRows(count, seed).map(({ input_ids }) => ({ input_ids, labels: Number(input_ids[0]! > 8) }))
  const rows = {
    data: writeRows(join(folder, 'classes.jsonl'), labelled(20, 5)),
    evalData: writeRows(join(folder, 'classes-eval.jsonl'), labelled(9, 6)),
  }
  const course: TrainOptions = { ...rows, batchSize: 4, steps: 12, evalEvery: 2, learningRate: 3e-2, seed: 7, keepBest: true }

  it('of a classifier: the greatest accuracy, the first of several', async () => {
    const { evals, done } = await runTraining(classifier(), { ...course, metricForBest: 'accuracy' })
    const top = Math.max(...evals.map(({ accuracy }) => accuracy!))
    const first = evals.find(({ accuracy }) => accuracy === top)!
    expect(new Set(evals.map(({ accuracy }) => accuracy)).size).toBeGreaterThan(1)
    expect(done).toMatchObject({ bestStep: first.step, metricForBest: 'accuracy', bestMetric: top, bestEvalLoss: first.loss })
  })

  it('that the task does not have is refused before the first step, with those that it has', async () => {
    await expect(runTraining(fresh(), { ...options, metricForBest: 'accuracy' })).rejects.toThrow(
      'metricForBest is "accuracy", which evaluations of this task do not have; choose one of loss, perplexity',
    )
    await expect(runTraining(classifier(), { ...course, metricForBest: 'pearson' })).rejects.toThrow(
      'choose one of loss, accuracy, f1, macroF1, matthews',
    )
  })

  it('is refused by a plan as by a run, and so are prompts and trackers', async () => {
    const wrong: readonly [TrainOptions, string][] = [
      [{ ...course, metricForBest: 'pearson' }, 'choose one of loss, accuracy, f1, macroF1, matthews'],
      [{ ...course, samplePrompts: join(folder, 'none.txt') }, 'none.txt'],
      [{ ...course, loggingDir: 'runs' }, 'loggingDir is for the event files of TensorBoard'],
    ]
    for (const [each, message] of wrong) {
      await expect(planTraining(classifier(), each)).rejects.toThrow(message)
      await expect(runTraining(classifier(), each)).rejects.toThrow(message)
    }
    expect((await planTraining(classifier(), { ...course, metricForBest: 'macroF1' })).steps).toBe(12)
  })

  it.each([
    [{ keepBest: true }, 'keepBest needs evalData'],
    [{ evalAtStart: true }, 'evalAtStart needs evalData'],
    [{ metricForBest: 'perplexity' }, 'metricForBest needs evalData'],
    [{ greaterIsBetter: true }, 'greaterIsBetter needs evalData'],
    [{ evalEvery: 2 }, 'evalEvery needs evalData (--eval-data) or valSplit (--val-split)'],
    [{ evalBatchSize: 3 }, 'evalBatchSize needs evalData'],
    [{ sampleTokens: 3 }, 'sampleTokens needs samplePrompts'],
    [{ loraPlusLrEmbedding: 1e-5 }, 'loraPlusLrEmbedding needs loraPlusLrRatio'],
    [{ license: 'mit' }, 'license needs a model card'],
    [{ saveTotalLimit: 5 }, 'saveTotalLimit needs an output folder (out)'],
    [{ evalData, earlyStopping: 1, keepBest: false }, 'earlyStopping keeps the best evaluation'],
    [{ evalData, metricForBest: 'bleu' as 'loss' }, 'metricForBest must be one of loss, perplexity'],
  ] as const)('%o is refused', async (wrong, message) => {
    await expect(runTraining(fresh(), { data, ...wrong })).rejects.toThrow(message)
    await expect(planTraining(fresh(), { data, ...wrong })).rejects.toThrow(message)
  })
})
