/** @file Heads of masked language models against transformers, for given hidden tokens; see test/oracle/write-masked-lm.py. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { float32 } from '../../src/graph/constants.js'
import { FolderModel } from '../../src/model/folder-model.js'
import type { Json } from '../../src/models/config-reader.js'
import { randomWeights } from '../../src/models/random.js'
import { weightShapes } from '../../src/models/registry.js'
import { taskNamed } from '../../src/models/task.js'
import { evaluate } from '../../src/train/evaluate.js'
import { GradientSession } from '../../src/train/gradient-session.js'
import { LossSession } from '../../src/train/loss-session.js'
import { openTaskDataset } from '../../src/train/open-dataset.js'
import { objectiveFor } from '../../src/train/objectives/index.js'
import { lossOptions } from '../../src/train/step-graph.js'
import { fullTrainee } from '../../src/train/trainee.js'
import { logits } from '../../src/adapter/forward.js'
import { testEnvironment } from '../support/training.js'
import { configOf, formulaValues } from './cases.js'
import { relativeError } from './golden.js'

interface MaskedLmCase {
  readonly config: Record<string, Json>
  /** PyTorch's parameters, tied ones once, and its layers. */
  readonly weights: readonly string[]
  readonly modules: readonly string[]
  readonly input_ids: readonly (readonly number[])[]
  readonly attention_mask: readonly (readonly number[])[]
  readonly labels: readonly (readonly number[])[]
  /** Mean over the hidden tokens. */
  readonly loss: number
  /** At the hidden tokens, [3, vocabulary]. */
  readonly logits: readonly number[]
  readonly gradients: Readonly<Record<string, readonly number[]>>
}

const { cases } = JSON.parse(readFileSync('test/fixtures/masked-lm.json', 'utf8')) as {
  readonly cases: Readonly<Record<string, MaskedLmCase>>
}
const environment = testEnvironment()

/** The model as its folder would be opened for the task. */
function modelOf({ config: json }: MaskedLmCase): FolderModel {
  const config = configOf(json)
  const shapes = weightShapes(config, taskNamed(config, 'masked-lm'))
  const weights = new Map([...shapes].map(([name, shape]) => [name, float32(shape, formulaValues(name, shape))]))
  return FolderModel.fromWeights(environment, config, weights, { task: 'masked-lm' })
}

const rowsOf = ({ input_ids, attention_mask, labels }: MaskedLmCase): Record<string, readonly number[]>[] =>
  input_ids.map((ids, i) => ({ input_ids: ids, attention_mask: attention_mask[i]!, labels: labels[i]! }))

describe.each(Object.entries(cases))('transformers, %s', (_, reference) => {
  const model = modelOf(reference)

  it('asks for the parameters that PyTorch reads, and names its modules so', () => {
    expect([...model.weights.keys()].sort()).toEqual([...reference.weights].sort())
    expect([...model.modules.keys()].sort()).toEqual([...reference.modules].sort())
  })

  it('gives the same scores, loss and gradients', async () => {
    const rows = rowsOf(reference)
    const [scores] = await logits(model, [reference.input_ids[0]!])
    const vocabulary = model.vocabularySize
    for (const [at, place] of [2, 4].entries())
      expect(
        relativeError(
          (scores!.data as Float32Array).slice(place * vocabulary, (place + 1) * vocabulary),
          reference.logits.slice(at * vocabulary, (at + 1) * vocabulary),
        ),
      ).toBeLessThan(2e-6)

    const { loss, perplexity, tokens } = await evaluate(model, { data: rows })
    expect(loss).toBeCloseTo(reference.loss, 5)
    expect(perplexity).toBeCloseTo(Math.exp(reference.loss), 3)
    expect(tokens).toBe(3)

    const objective = objectiveFor(model, {}, undefined)
    const trainee = await fullTrainee(model)
    const session = await GradientSession.create(trainee, lossOptions(model, 2, undefined, false, objective))
    const batches = (await openTaskDataset(model, objective, rows)).batches({ batchSize: 2 })
    const { value: batch } = await batches.next()
    await batches.return(undefined)
    const found = await session.run(batch!)
    await session.release()
    expect(found.count).toBe(3)
    let offset = 0
    for (const { name, shape } of trainee.parameters.specs) {
      const size = shape.reduce((a, b) => a * b, 1)
      const ours = found.gradient.slice(offset, offset + size).map((value) => value / found.count)
      offset += size
      const theirs = reference.gradients[name]
      if (theirs !== undefined) expect(relativeError(ours, theirs), name).toBeLessThan(2e-5)
    }
  })
})

it('in chunks of one row the loss is the same', async () => {
  const reference = cases['bert']!
  const model = modelOf(reference)
  const objective = objectiveFor(model, {}, undefined)
  const batches = (await openTaskDataset(model, objective, rowsOf(reference))).batches({ batchSize: 2 })
  const { value: batch } = await batches.next()
  await batches.return(undefined)
  const trainee = await fullTrainee(model)
  const attach: typeof objective.attach = (context) => objective.attach({ ...context, positions: 10, chunkBytes: 4 * 24 })
  const session = await LossSession.create(trainee, lossOptions(model, 2, undefined, false, { ...objective, attach }))
  const { loss, count } = await session.run(batch!)
  await session.release()
  expect(loss / count).toBeCloseTo(reference.loss, 5)
})

it('a folder of the class is an encoder unless the task is asked for, and random weights are those of the task', () => {
  const config = configOf(cases['bert']!.config)
  expect([...randomWeights(config, 1).keys()].some((name) => name.startsWith('cls.'))).toBe(false)
  const weights = randomWeights(config, 1, taskNamed(config, 'masked-lm'))
  expect([...weights.keys()].sort()).toEqual([...cases['bert']!.weights].sort())
  const encoder = FolderModel.fromWeights(environment, config, weights)
  expect(encoder.task.name).toBe('feature-extraction')
  expect(encoder.withHead({ task: 'masked-lm' }).modules.has('cls.predictions.decoder')).toBe(true)
  expect(() => encoder.withHead({ task: 'masked-lm', newHead: true })).toThrow(
    'newHead is for models with a head for a task, but config.json is for masked-lm',
  )
})

it('a checkpoint without the head is refused by what it lacks', () => {
  const config = configOf({ ...cases['bert']!.config, architectures: ['BertModel'] })
  const encoder = FolderModel.fromWeights(environment, config, randomWeights(config, 1))
  expect(() => encoder.withHead({ task: 'masked-lm' })).toThrow(
    'tensor "cls.predictions.transform.dense.weight" [12, 12] is missing',
  )
})
