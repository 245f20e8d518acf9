/** @file Golden cases of PyTorch and PEFT, through the public API. Every folder of test/fixtures/golden/peft is a case. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { evaluate, loadAdapter, loadModel, merge, train, type Adapter, type Model, type StepEvent } from '../src/index.js'
import { openTaskDataset } from '../src/train/open-dataset.js'
import { GradientSession } from '../src/train/gradient-session.js'
import { lossOptions } from '../src/train/step-graph.js'
import { objectiveFor } from '../src/train/objectives/index.js'
import { adapterTrainee } from '../src/train/trainee.js'
import { goldenRows, readAll, readCase } from './cli/golden-rows.js'
import { golden } from './cli/run-cli.js'
import { hostTensor, positionIds, relativeError, tensorsOf } from './models/golden.js'
import { int64 } from '../src/graph/constants.js'
import type { HostTensor } from '../src/graph/types.js'
import { temporaryFolder } from './support/training.js'

const cases = readdirSync(golden, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

const relative = (found: number, expected: number): number => Math.abs(found - expected) / Math.abs(expected)

/** A bias of all keys moves every score of a query alike, which softmax does not see: its gradient is zero. */
const zeroGradient = 'self.key.bias'

/** PEFT's name of a parameter while it trains: with the adapter's name in it. */
function trainingName(name: string, { config }: Adapter): string {
  const saved = (config.modulesToSave ?? []).find((module) => name.includes(`.${module}.`))
  if (saved !== undefined) return name.replace(`.${saved}.`, `.${saved}.modules_to_save.default.`)
  return name
    .replace(/\.(lora_embedding_[AB])$/, '.$1.default')
    .replace(/\.lora_magnitude_vector$/, '.lora_magnitude_vector.default.weight')
    .replace(/\.(lora_[AB])\.(weight|bias)$/, '.$1.default.$2')
}

it('finds the golden cases', () => expect(cases.length).toBeGreaterThanOrEqual(23))

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
      if (model.task.name === 'causal-lm') expect(perplexity).toBe(Math.exp(loss))
    }
  })

  it('logits with the adapter', async () => {
    const tensors = await tensorsOf(join(folder, 'tensors.safetensors'))
    const session = await model.environment.runtime.createSession(adapter.attach(model.build({ mode: 'full' }).graph).graph)
    const feeds: Record<string, HostTensor> = Object.fromEntries(adapter.tensors)
    for (const { name: input } of model.inputs) {
      if (tensors.has(`input.${input}`)) feeds[input] = await hostTensor(tensors, `input.${input}`)
      else {
        const { shape, data } = await hostTensor(tensors, 'input.input_ids')
        // Of a single segment, or counted from 0.
        feeds[input] = input === 'position_ids' ? positionIds(shape[0]!, shape[1]!) : int64(shape, new Array(data.length).fill(0))
      }
    }
    const { logits } = await session.run(feeds)
    await session.release()
    const theirs = await hostTensor(tensors, 'logits')
    expect(logits!.shape).toEqual(theirs.shape)
    expect(relativeError(logits!.data as Float32Array, theirs.data as Float32Array)).toBeLessThan(1e-4)
  })

  it('every gradient', async () => {
    const tensors = await tensorsOf(join(folder, 'tensors.safetensors'))
    const trainee = adapterTrainee(adapter)
    const objective = objectiveFor(model, {}, undefined)
    const dataset = await openTaskDataset(model, objective, data)
    const session = await GradientSession.create(trainee, lossOptions(model, dataset.length, undefined))
    const all = dataset.batches({ batchSize: dataset.length })
    const { value: batch } = await all.next()
    await all.return(undefined)
    const { loss, gradient } = await session.run(batch!)
    await session.release()
    expect(relative(loss / batch!.tokens, expected.loss)).toBeLessThan(1e-5)
    const names = [...tensors.keys()].filter((key) => key.startsWith('grad.'))
    const ours = adapter.parameters.specs.map(({ name: own }) => `grad.${trainingName(own, adapter)}`)
    expect([...names].sort()).toEqual([...ours].sort())
    let offset = 0
    for (const [i, { shape }] of adapter.parameters.specs.entries()) {
      const length = shape.reduce((a, b) => a * b, 1)
      const mean = gradient.subarray(offset, offset + length).map((value) => value / batch!.tokens)
      const theirs = await hostTensor(tensors, ours[i]!)
      expect(theirs.shape).toEqual(shape)
      offset += length
      if (ours[i]!.endsWith(zeroGradient)) {
        // Rounding errors, theirs as ours.
        for (const values of [mean, theirs.data as Float32Array]) expect(Math.hypot(...values), ours[i]!).toBeLessThan(1e-6)
        continue
      }
      expect(relativeError(mean, theirs.data as Float32Array), ours[i]!).toBeLessThan(1e-4)
    }
    expect(offset).toBe(gradient.length)
  })

  it('20 AdamW steps, their gradient norms, and the adapter they lead to', async () => {
    const trained = await loadAdapter(model, join(folder, 'adapter'))
    const { lr, weight_decay, losses_before_each_step: losses, grad_norms } = expected.training
    const steps: StepEvent[] = []
    const rows = (await goldenRows(name)).trimEnd().split('\n').length
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
    // Adam makes steps of full size out of a gradient that is nothing but rounding errors.
    for (const [key, values] of ours)
      expect(relativeError(values, theirs.get(key)!), key).toBeLessThan(key.endsWith(zeroGradient) ? 1e-2 : 2e-3)
  })

  // PEFT merges no biases: there is nothing to compare with.
  it.skipIf(!existsSync(join(folder, 'merged')))('merged weights', async () => {
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
