/** @file Networks of modules: training, state, modes, merging. */
import { describe, expect, it } from 'vitest'
import { int64 } from '../graph/constants.js'
import type { HostTensor, Value } from '../graph/types.js'
import { nodeEnvironment } from '../node-environment.js'
import { Random } from '../util/rng.js'
import {
  floats,
  initialize,
  LayerNorm,
  Linear,
  loadStateDict,
  loraStateDict,
  markOnlyLoraAsTrainable,
  merge,
  Module,
  Predictor,
  ReLU,
  Sequential,
  stateDict,
  trainModule,
  type ForwardBuilder,
  type ModuleTrainEvent,
  type OptimizerChoice,
} from './index.js'

const environment = nodeEnvironment({ threads: 1 })

class Net extends Module {
  readonly norm = new LayerNorm(4)
  readonly blocks = [new Linear(4, 16, { r: 2, loraAlpha: 4, loraDropout: 0.1 }), new Linear(16, 3, { r: 2 })]

  override forward(b: ForwardBuilder, x: Value): Value {
    const hidden = b.relu(this.blocks[0]!.forward(b, this.norm.forward(b, x)))
    return this.blocks[1]!.forward(b, hidden)
  }
}

/** Rows whose class is the largest of their first three numbers. */
function rows(count: number): { input: HostTensor; labels: HostTensor } {
  const random = new Random(5)
  const x = Float32Array.from({ length: count * 4 }, () => random.normal())
  const labels = Array.from({ length: count }, (_, i) => {
    const row = [...x.subarray(4 * i, 4 * i + 3)]
    return row.indexOf(Math.max(...row))
  })
  return { input: floats([count, 4], x), labels: int64([count], labels) }
}

const bits = (module: Module): string =>
  JSON.stringify([...stateDict(module)].map(([path, { data }]) => [path, [...new Uint32Array(data.buffer)]]))

async function losses(
  model: Module,
  options: { optimizer?: OptimizerChoice; learningRate: number; seed?: number },
): Promise<number[]> {
  const seen: ModuleTrainEvent[] = []
  const data = rows(70)
  for await (const event of trainModule(model, { environment, data, loss: 'crossEntropy', epochs: 20, ...options }))
    seen.push(event)
  expect(seen[0]).toMatchObject({ event: 'start' })
  expect(seen.at(-1)).toMatchObject({ event: 'done', steps: 60 })
  return seen.flatMap((e) => (e.event === 'step' ? [e.loss] : []))
}

describe('trainModule', () => {
  it('trains LoRA alone; the base keeps its bits and the same seed gives the same run', async () => {
    const model = initialize(new Net(), { seed: 3 })
    markOnlyLoraAsTrainable(model)
    const twin = model.clone()
    const before = stateDict(model)
    const first = await losses(model, { learningRate: 0.03, seed: 1 })
    expect(first.at(-1)!).toBeLessThan(0.6 * first[0]!)
    for (const [path, { data }] of stateDict(model))
      if (path.includes('lora_')) expect(data).not.toEqual(before.get(path)!.data)
      else expect(data).toEqual(before.get(path)!.data)
    expect(await losses(twin, { learningRate: 0.03, seed: 1 })).toEqual(first)
    expect(bits(twin)).toBe(bits(model))
  })

  it('trains everything with SGD and momentum', async () => {
    const model = initialize(new Sequential(new Linear(4, 16), new ReLU(), new Linear(16, 3)), { seed: 1 })
    const seen = await losses(model, { optimizer: { name: 'sgd', momentum: 0.9 }, learningRate: 0.1 })
    expect(seen.at(-1)!).toBeLessThan(0.4 * seen[0]!)
  })

  it('refuses a model with nothing to train', async () => {
    const model = new Sequential(new Linear(4, 3))
    markOnlyLoraAsTrainable(model)
    await expect(losses(model, { learningRate: 0.1 })).rejects.toThrow(/nothing is trainable/)
  })
})

describe('state', () => {
  it('has the paths of the properties, and loads strictly', () => {
    const model = initialize(new Net(), { seed: 1 })
    const lora = loraStateDict(model)
    expect([...lora.keys()]).toEqual(['blocks.0.lora_A', 'blocks.0.lora_B', 'blocks.1.lora_A', 'blocks.1.lora_B'])
    expect([...loraStateDict(model, 'lora_only').keys()]).toContain('blocks.1.bias')
    expect([...loraStateDict(model, 'lora_only').keys()]).not.toContain('norm.bias')
    expect([...loraStateDict(model, 'all').keys()]).toContain('norm.bias')
    expect(() => loadStateDict(new Net(), lora)).toThrow(/missing \(6\):\n {2}norm.weight[\s\S]*pass \{ strict: false \}/)
    const other = new Net()
    expect(loadStateDict(other, lora, { strict: false }).missingKeys).toHaveLength(6)
    expect(loraStateDict(other)).toEqual(lora)
    const wrong = new Map([...stateDict(model), ['blocks.0.weight', floats([4, 16], new Float32Array(64))]])
    expect(() => loadStateDict(other, wrong)).toThrow(/blocks.0.weight: float32 \[4, 16\], expected float32 \[16, 4\]/)
  })

  it('marks biases, and a second call undoes the first', () => {
    const model = new Net()
    const trainable = (): string[] => model.namedParameters().flatMap(([path, p]) => (p.requiresGrad ? [path] : []))
    markOnlyLoraAsTrainable(model, 'all')
    expect(trainable()).toContain('norm.bias')
    markOnlyLoraAsTrainable(model, 'lora_only')
    expect(trainable().filter((path) => path.includes('bias'))).toEqual(['blocks.0.bias', 'blocks.1.bias'])
    markOnlyLoraAsTrainable(model)
    expect(trainable().every((path) => path.includes('lora_'))).toBe(true)
  })

  it('keeps the bits of the base through 1,000 merges and switches, and the merged model agrees', async () => {
    const model = initialize(new Net(), { seed: 2 })
    const random = new Random(1)
    for (const [path, p] of model.namedParameters()) if (path.endsWith('lora_B')) p.data = p.data.map(() => random.normal())
    const before = bits(model)
    let merged = merge(model)
    const mergedBits = bits(merged)
    for (let i = 0; i < 1000; i++) {
      model.eval()
      merged = merge(model)
      model.train()
    }
    expect(bits(model)).toBe(before)
    expect(bits(merged)).toBe(mergedBits)
    expect(mergedBits).not.toBe(before)
    const { input } = rows(7)
    const [a, b] = await Promise.all([model, merged].map((m) => new Predictor(m, environment.runtime).run(input)))
    a!.data.forEach((value: number | bigint, i: number) => expect(Number(value)).toBeCloseTo(Number(b!.data[i]), 5))
  })
})

describe('a loss that is not finite', () => {
  it('ends the run with the parameters of the step before, be its gradient finite or not', async () => {
    const model = initialize(new Net(), { seed: 2 })
    const before = bits(model)
    const { input } = rows(2)
    const data = { input, labels: floats([2, 3], new Float32Array(6).fill(1e20)) }
    const run = async (): Promise<void> => {
      for await (const event of trainModule(model, { environment, data, loss: 'mse', steps: 1 }))
        expect(event.event).toBe('start')
    }
    await expect(run()).rejects.toThrow(/^step 1: the loss is Infinity/)
    expect(bits(model)).toBe(before)
  })
})

describe('two runs on one network', () => {
  it('at once are refused, one after the other are fine', async () => {
    const model = initialize(new Net(), { seed: 2 })
    const options = { environment, data: rows(7), loss: 'crossEntropy', steps: 2 } as const
    const refused = 'this model is being trained already; wait until that run ends, or leave its loop'
    for await (const event of trainModule(model, options)) {
      if (event.event !== 'step') continue
      await expect(trainModule(model, options).next()).rejects.toThrow(refused)
      break
    }
    expect((await trainModule(model, options).next()).value).toMatchObject({ event: 'start' })
  })
})
