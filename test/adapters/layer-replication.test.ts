/** @file PEFT's `layer_replication` on the tiny Llama: numbers of test/oracle/write-replication.py. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { addLora, evaluate, generate, loadAdapter, loadModel, merge, type Adapter, type Model } from '../../src/index.js'
import { openTaskDataset } from '../../src/train/open-dataset.js'
import { objectiveFor } from '../../src/train/objectives/index.js'
import { GradientSession } from '../../src/train/gradient-session.js'
import { lossOptions } from '../../src/train/step-graph.js'
import { adapterTrainee } from '../../src/train/trainee.js'
import { readAll } from '../cli/golden-rows.js'
import { hostTensor, positionIds, relativeError, tensorsOf } from '../models/golden.js'
import { temporaryFolder } from '../support/training.js'

const golden = 'test/fixtures/golden'
const folder = join(golden, 'replication')
const expected = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as {
  readonly loss: number
  readonly base_loss: number
  readonly layers: number
  readonly prompt: number[]
  readonly greedy: number[]
}
const ranges = [
  [0, 2],
  [0, 2],
] as const

const logitsOf = async (model: Model, adapter?: Adapter): Promise<Float32Array> => {
  const { graph } = model.build({ mode: 'full' })
  const session = await model.environment.runtime.createSession(adapter?.attach(graph).graph ?? graph)
  const ids = await hostTensor(await tensorsOf(join(folder, 'tensors.safetensors')), 'input_ids')
  const mask = { ...ids, data: new BigInt64Array(ids.data.length).fill(1n) }
  const [rows, length] = ids.shape as [number, number]
  const feeds = { input_ids: ids, attention_mask: mask, position_ids: positionIds(rows, length) }
  const { logits } = await session.run({ ...feeds, ...(adapter && Object.fromEntries(adapter.tensors)) })
  await session.release()
  return logits!.data as Float32Array
}

const expectedLogits = async (name: string): Promise<Float32Array> =>
  (await hostTensor(await tensorsOf(join(folder, 'tensors.safetensors')), name)).data as Float32Array

describe('layer_replication', () => {
  const scratch = temporaryFolder()
  const data = join(scratch, 'rows.jsonl')
  let base: Model
  let adapter: Adapter
  beforeAll(async () => {
    base = await loadModel(join(golden, 'peft/llama/model'), { threads: 1 })
    adapter = await loadAdapter(base, join(folder, 'adapter'))
    const { data: ids, shape } = await hostTensor(await tensorsOf(join(folder, 'tensors.safetensors')), 'input_ids')
    const length = shape[1]!
    const row = (i: number): string =>
      JSON.stringify({ input_ids: [...(ids as BigInt64Array).subarray(i * length, (i + 1) * length)].map(Number) })
    writeFileSync(data, `${row(0)}\n${row(1)}\n`)
  })

  it('losses and logits, with the adapter and without', async () => {
    expect((await evaluate(adapter, { data })).loss).toBeCloseTo(expected.loss, 5)
    expect((await evaluate(adapter.model, { data })).loss).toBeCloseTo(expected.base_loss, 5)
    expect(relativeError(await logitsOf(adapter.model, adapter), await expectedLogits('logits'))).toBeLessThan(1e-4)
    expect(adapter.model.parameterCount).toBe(base.parameterCount)
  })

  it('gradients, each copy its own', async () => {
    const tensors = await tensorsOf(join(folder, 'tensors.safetensors'))
    const { model } = adapter
    const dataset = await openTaskDataset(model, objectiveFor(model, {}, undefined), data)
    const session = await GradientSession.create(adapterTrainee(adapter), lossOptions(model, dataset.length, undefined))
    const all = dataset.batches({ batchSize: dataset.length })
    const { value: batch } = await all.next()
    await all.return(undefined)
    const { gradient } = await session.run(batch!)
    await session.release()
    const { specs } = adapter.parameters
    expect([...tensors.keys()].filter((key) => key.startsWith('grad.')).sort()).toEqual(
      specs.map(({ name }) => `grad.${name}`).sort(),
    )
    let offset = 0
    for (const { name, shape } of specs) {
      const length = shape.reduce((a, b) => a * b, 1)
      const mean = gradient.subarray(offset, offset + length).map((value) => value / batch!.tokens)
      offset += length
      expect(relativeError(mean, await expectedLogits(`grad.${name}`)), name).toBeLessThan(1e-4)
    }
  })

  it('generates with a cache of its layers', async () => {
    const { ids } = await generate(adapter, { inputIds: expected.prompt, maxNewTokens: expected.greedy.length, temperature: 0 })
    expect(ids).toEqual(expected.greedy)
  })

  it('saves the names and values of PEFT, and the ranges', async () => {
    await adapter.save(join(scratch, 'saved'))
    const theirs = await readAll(join(folder, 'adapter/adapter_model.safetensors'))
    expect(await readAll(join(scratch, 'saved/adapter_model.safetensors'))).toEqual(theirs)
    const config = JSON.parse(readFileSync(join(scratch, 'saved/adapter_config.json'), 'utf8')) as { layer_replication: unknown }
    expect(config.layer_replication).toEqual(ranges)
  })

  // PEFT's own merge adds the branches of all copies to the weight that they share, so its model is another one.
  it('merges into a model with all its layers, which computes what the adapter did', async () => {
    await merge(adapter).save(join(scratch, 'merged'))
    const config = JSON.parse(readFileSync(join(scratch, 'merged/config.json'), 'utf8')) as { num_hidden_layers: number }
    expect(config.num_hidden_layers).toBe(expected.layers)
    const merged = await loadModel(join(scratch, 'merged'), { threads: 1 })
    expect(relativeError(await logitsOf(merged), await expectedLogits('logits'))).toBeLessThan(1e-4)
  })

  it('new adapters: their layers can be named by number, and those of the same ranges share a model', async () => {
    const fresh = await addLora(base, { layerReplication: ranges, layersToTransform: [3], targetModules: ['q_proj'], r: 2 })
    expect(fresh.targets.map(({ module }) => module.name)).toEqual(['model.layers.3.self_attn.q_proj'])
    expect(fresh.model).toBe(adapter.model)
  })

  it('refuses ranges outside the model, and models without such a list', async () => {
    for (const wrong of [[[0, 3]], [[1, 1]]] as const)
      await expect(addLora(base, { layerReplication: wrong, r: 2 })).rejects.toThrow(
        `"layerReplication" must be ranges [first, end) of the model's 2 layers, got [${String(wrong[0])}]`,
      )
    const gpt2 = await loadModel(join(golden, 'peft/gpt2/model'), { threads: 1 })
    await expect(addLora(gpt2, { layerReplication: [[0, 1]], r: 2 })).rejects.toThrow('a model of type "gpt2" has none')
  })
})
