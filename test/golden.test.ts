/** Golden cases of PyTorch and PEFT, through the public API. Every folder of test/fixtures/golden/peft is a case. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { evaluate, loadAdapter, loadModel, merge, train, type Adapter, type Model, type StepEvent } from '../src/index.js'
import { openModelDataset } from '../src/train/evaluate.js'
import { GradientSession, lossOptions } from '../src/train/session.js'
import { adapterTrainee } from '../src/train/trainee.js'
import { goldenRows, readAll, readCase } from './cli/golden-rows.js'
import { golden } from './cli/run-cli.js'
import { hostTensor, positionIds, relativeError, tensorsOf } from './models/golden.js'
import { temporaryFolder } from './support/training.js'
import { writeFileSync } from 'node:fs'

const cases = readdirSync(golden, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

const relative = (found: number, expected: number): number => Math.abs(found - expected) / Math.abs(expected)

it('finds the golden cases', () => expect(cases.length).toBeGreaterThanOrEqual(9))

describe.each(cases)('golden case %s', (name) => {
  const folder = join(golden, name)
  const scratch = temporaryFolder()
  const data = join(scratch, 'rows.jsonl')
  const expected = readCase(name)
  let model: Model
  let adapter: Adapter
  beforeAll(async () => {
    writeFileSync(data, await goldenRows(name))
    model = await loadModel(join(folder, 'model'), { threads: 1 })
    adapter = await loadAdapter(model, join(folder, 'adapter'))
  })

  it('loss of the base and with the adapter', async () => {
    expect(relative((await evaluate(model, { data })).loss, expected.base_loss)).toBeLessThan(1e-5)
    for (const batchSize of [1, 8]) {
      const { loss, perplexity } = await evaluate(adapter, { data, batchSize })
      expect(relative(loss, expected.loss)).toBeLessThan(1e-5)
      expect(perplexity).toBe(Math.exp(loss))
    }
  })

  it('logits with the adapter', async () => {
    const tensors = await tensorsOf(join(folder, 'tensors.safetensors'))
    const ids = await hostTensor(tensors, 'input.input_ids')
    const session = await model.environment.runtime.createSession(adapter.attach(model.build({ mode: 'full' }).graph).graph)
    const { logits } = await session.run({
      input_ids: ids,
      attention_mask: await hostTensor(tensors, 'input.attention_mask'),
      position_ids: positionIds(ids.shape[0]!, ids.shape[1]!),
      ...Object.fromEntries(adapter.tensors),
    })
    await session.release()
    const theirs = await hostTensor(tensors, 'logits')
    expect(logits!.shape).toEqual(theirs.shape)
    expect(relativeError(logits!.data as Float32Array, theirs.data as Float32Array)).toBeLessThan(1e-4)
  })

  it('every gradient', async () => {
    const tensors = await tensorsOf(join(folder, 'tensors.safetensors'))
    const trainee = adapterTrainee(adapter)
    const dataset = await openModelDataset(model, data)
    const session = await GradientSession.create(trainee, lossOptions(model, dataset.length, undefined))
    const all = dataset.batches({ batchSize: dataset.length })
    const { value: batch } = await all.next()
    await all.return(undefined)
    const { loss, gradient } = await session.run(batch!)
    await session.release()
    expect(relative(loss / batch!.tokens, expected.loss)).toBeLessThan(1e-5)
    const names = [...tensors.keys()].filter((key) => key.startsWith('grad.'))
    const ours = adapter.parameters.specs.map((spec) => `grad.${spec.name.replace(/\.weight$/, '.default.weight')}`)
    expect([...names].sort()).toEqual([...ours].sort())
    let offset = 0
    for (const [i, { shape }] of adapter.parameters.specs.entries()) {
      const length = shape.reduce((a, b) => a * b, 1)
      const mean = gradient.subarray(offset, offset + length).map((value) => value / batch!.tokens)
      const theirs = await hostTensor(tensors, ours[i]!)
      expect(theirs.shape).toEqual(shape)
      expect(relativeError(mean, theirs.data as Float32Array), ours[i]!).toBeLessThan(1e-4)
      offset += length
    }
    expect(offset).toBe(gradient.length)
  })

  it('20 AdamW steps, their gradient norms, and the adapter they lead to', async () => {
    const trained = await loadAdapter(model, join(folder, 'adapter'))
    const { lr, weight_decay, losses_before_each_step: losses, grad_norms } = expected.training
    const steps: StepEvent[] = []
    const rows = (await openModelDataset(model, data)).length
    for await (const event of train(trained, {
      data,
      batchSize: rows,
      steps: losses.length,
      learningRate: lr,
      weightDecay: weight_decay,
      maxGradNorm: 1,
      shuffle: false,
    }))
      if (event.event === 'step') steps.push(event)
    expect(steps).toHaveLength(losses.length)
    for (const [i, { loss, gradNorm }] of steps.entries()) {
      expect(relative(loss, losses[i]!), `loss of step ${i + 1}`).toBeLessThan(1e-3)
      expect(relative(gradNorm, grad_norms[i]!), `gradient norm of step ${i + 1}`).toBeLessThan(1e-3)
    }
    const out = join(scratch, 'trained')
    await trained.save(out)
    const ours = await readAll(join(out, 'adapter_model.safetensors'))
    const theirs = await readAll(join(folder, 'adapter-trained', 'adapter_model.safetensors'))
    expect([...ours.keys()]).toEqual([...theirs.keys()])
    for (const [key, values] of ours) expect(relativeError(values, theirs.get(key)!), key).toBeLessThan(2e-3)
  })

  it('merged weights', async () => {
    const out = join(scratch, 'merged')
    await merge(await loadAdapter(model, join(folder, 'adapter-trained'))).save(out)
    const ours = await readAll(join(out, 'model.safetensors'))
    const theirs = await readAll(join(folder, 'merged', 'model.safetensors'))
    for (const [key, values] of ours) {
      const other = theirs.get(key) ?? theirs.get(`transformer.${key}`)
      expect(other, key).toBeDefined()
      const worst = values.reduce((max, value, i) => Math.max(max, Math.abs(value - other![i]!)), 0)
      expect(worst, key).toBeLessThan(1e-6)
    }
    const merged = await loadModel(out, { threads: 1 })
    const unmerged = await loadAdapter(model, join(folder, 'adapter-trained'))
    expect(relative((await evaluate(merged, { data })).loss, (await evaluate(unmerged, { data })).loss)).toBeLessThan(1e-5)
  })
})
