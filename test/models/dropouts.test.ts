/** @file The dropouts that a model learns with: where transformers has them, in runs, and what is refused. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAdapter } from '../../src/adapter/adapter.js'
import { tensor } from '../../src/graph/constants.js'
import { DROPOUT_SEED } from '../../src/graph/dropout.js'
import type { Initializer, HostTensor } from '../../src/graph/types.js'
import { FolderModel } from '../../src/model/folder-model.js'
import type { ModelDropout } from '../../src/models/build-options.js'
import { ConfigReader, type Json } from '../../src/models/config-reader.js'
import { randomWeights } from '../../src/models/random.js'
import { randomRows, runTraining, temporaryFolder, testEnvironment, tinyModel, writeRows } from '../support/training.js'

interface Case {
  readonly name: string
  readonly task: string
  readonly config: Record<string, Json>
  /** Probability, and how many elements it saw. */
  readonly calls: readonly (readonly [number, number])[]
}

const fixture = resolve(import.meta.dirname, '../fixtures/dropouts.json')
const { cases } = JSON.parse(readFileSync(fixture, 'utf8')) as { cases: readonly Case[] }
const environment = testEnvironment()
const folder = temporaryFolder()

function modelOf(json: Record<string, Json>): FolderModel {
  const config = new ConfigReader({ initializer_range: 0.3, ...json }, 'tiny')
  return FolderModel.fromWeights(environment, config, randomWeights(config, 3))
}

const caseOf = (name: string, task = 'sequence-classification'): Case => cases.find((each) => each.name === name && each.task === task)! // prettier-ignore

/** The masks of a pass over two rows of five tokens: the probability of each, and how many elements it has. */
async function masksOf(model: FolderModel, dropout?: ModelDropout): Promise<[number, number][]> {
  const { graph } = model.build({ mode: 'full', positions: 5, ...(dropout && { dropout }) })
  const places = graph.nodes.filter(({ op }) => op === 'GreaterOrEqual')
  // What the task does not read (a pooler) is not run.
  graph.prune()
  const read = places.filter((node) => graph.nodes.includes(node))
  const threshold = (of: Initializer): number => Number((of as HostTensor).data[0]) / 2 ** 24
  const shares = read.map(({ inputs }) => threshold(graph.initializers.get(inputs[1]!)!))
  graph.outputs = read.map(({ outputs }) => graph.value(outputs[0]!))
  if (read.length === 0) return []
  graph.prune()
  const session = await environment.runtime.createSession(graph)
  const ids = (value: number): HostTensor =>
    tensor(
      'int64',
      [2, 5],
      Array.from({ length: 10 }, () => value),
    )
  const feeds = { input_ids: ids(7), attention_mask: ids(1), token_type_ids: ids(0), [DROPOUT_SEED]: tensor('uint32', [1], [3]) }
  const results = await session.run(Object.fromEntries(graph.inputs.map(({ name }) => [name, feeds[name as 'input_ids']])))
  await session.release()
  return graph.outputs.map(({ name }, i): [number, number] => [shares[i]!, results[name]!.data.length])
}

const sorted = (calls: readonly (readonly [number, number])[]): (readonly [number, number])[] =>
  [...calls].sort(([p, n], [q, m]) => p - q || n - m)

it.each(cases)('$name for $task drops what transformers drops', async ({ config, calls }) => {
  expect(sorted(await masksOf(modelOf(config), {}))).toEqual(sorted(calls))
})

it('drops nothing unless it is asked', async () => {
  for (const { config } of cases) expect(await masksOf(modelOf(config))).toEqual([])
})

it('the share of the head may be another', async () => {
  for (const name of ['bert', 'roberta', 'distilbert', 'deberta-v2']) {
    const { config, calls } = caseOf(name)
    const head = name === 'bert' ? 0.125 : 0.375
    // RoBERTa drops before both layers of its head; of BERT only the last place is of the head.
    const own = calls.filter(([p, n]) => p === head && n === 16).length
    const given = await masksOf(modelOf(config), { classifier: 0.75 })
    expect(given.filter(([p]) => p === 0.75)).toHaveLength(own)
    expect(given).toHaveLength(calls.length)
    const none = await masksOf(modelOf(config), { classifier: 0 })
    expect(none).toHaveLength(calls.length - own)
  }
})

describe('a run', () => {
  const { config } = caseOf('roberta')
  const labelled = randomRows(8).map(({ input_ids }, i) => ({ input_ids: input_ids.map((id) => id + 2), label: i % 2 }))
  const data = writeRows(join(folder, 'rows.jsonl'), labelled)
  const options = { data, steps: 2, batchSize: 4, shuffle: false, learningRate: 0 }
  const losses = async (given: object): Promise<number[]> => {
    const { steps } = await runTraining(createAdapter(modelOf(config)), { ...options, ...given })
    return steps.map(({ loss }) => loss)
  }

  it('drops values of the model, others in each step and with each seed, the same in the same run', async () => {
    const [plain, dropped, again, other] = [
      await losses({ steps: 4 }),
      await losses({ steps: 4, modelDropout: true }),
      await losses({ steps: 4, modelDropout: true }),
      await losses({ steps: 4, modelDropout: true, seed: 1 }),
    ]
    // Two batches an epoch, and nothing learned: without dropout the second epoch is the first.
    expect(plain.slice(2)).toEqual(plain.slice(0, 2))
    expect(dropped).toEqual(again)
    expect(new Set([...plain, ...dropped, ...other]).size).toBe(10)
  })

  it('beside the dropout of the adapter, with masks of its own', async () => {
    const adapter = createAdapter(modelOf(config), { dropout: 0.5, initLoraWeights: false })
    const { steps } = await runTraining(adapter, { ...options, modelDropout: true, recompute: true })
    expect(steps.every(({ loss, gradNorm }) => Number.isFinite(loss) && gradNorm > 0)).toBe(true)
  })

  it('evaluates without it', async () => {
    const evalData = data
    const { evals } = await runTraining(createAdapter(modelOf(config)), { ...options, steps: 1, evalData, modelDropout: true })
    const { evals: plain } = await runTraining(createAdapter(modelOf(config)), { ...options, steps: 1, evalData })
    expect(evals[0]!.loss).toBe(plain[0]!.loss)
  })

  it('refuses families that do not have it, shares that are none, and the share of a head alone', async () => {
    const rows = writeRows(join(folder, 'texts.jsonl'), randomRows(4))
    await expect(runTraining(createAdapter(tinyModel(), { r: 2 }), { data: rows, modelDropout: true })).rejects.toThrow(
      'the dropouts of a model of type "llama" are not built; models that have them: bert, roberta, xlm-roberta, camembert, distilbert, deberta-v2. Leave modelDropout (--model-dropout) out',
    )
    await expect(losses({ classifierDropout: 0.1 })).rejects.toThrow('classifierDropout needs modelDropout (--model-dropout)')
    expect(() => modelOf({ ...config, hidden_dropout_prob: 1 })).toThrow('"hidden_dropout_prob" must be a probability in [0, 1)')
  })
})
