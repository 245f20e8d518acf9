/** @file Training on quantised bases, with recomputation and with LoRA+: through the public API, on golden models. */
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  addLora,
  evaluate,
  generate,
  loadAdapter,
  loadModel,
  train,
  type LoadOptions,
  type StepEvent,
  type TrainOptions,
} from '../../src/index.js'
import { goldenRows } from '../cli/golden-rows.js'
import { golden } from '../cli/run-cli.js'
import { temporaryFolder } from '../support/training.js'

const scratch = temporaryFolder()
const data = join(scratch, 'rows.jsonl')
/** A copy, for its weights are changed. */
const model = join(scratch, 'model')
const demo = join(scratch, 'demo')
const cacheFolder = join(scratch, 'cache')
const cacheOf = (base: string): string => {
  const [name] = readdirSync(join(cacheFolder, 'bases')).filter((entry) => entry.startsWith('model-'))
  return join(cacheFolder, 'bases', name!, `${base}.safetensors`)
}

beforeAll(async () => {
  cpSync('demo/base', demo, { recursive: true })
  cpSync(join(golden, 'llama', 'model'), model, { recursive: true })
  writeFileSync(data, await goldenRows('llama'))
})

async function run(
  load: LoadOptions,
  options: Partial<TrainOptions> = {},
): Promise<{ losses: number[]; evaluation: number; values: Float32Array }> {
  const opened = await loadModel(model, { threads: 1, cacheFolder, ...load })
  const adapter = await loadAdapter(opened, join(golden, 'llama', 'adapter'))
  const losses: number[] = []
  for await (const event of train(adapter, { data, batchSize: 4, steps: 12, learningRate: 5e-3, shuffle: false, ...options }))
    if (event.event === 'step') losses.push((event as StepEvent).loss)
  return { losses, evaluation: (await evaluate(adapter, { data })).loss, values: adapter.parameters.data }
}

describe('a quantised base', () => {
  it.each([
    ['int8', 0.01],
    ['int4', 0.05],
  ] as const)('%s follows float32 and keeps its weights in the cache folder', async (base, tolerance) => {
    const exact = await run({})
    const before = readFileSync(join(model, 'model.safetensors'))
    const first = await run({ base })
    first.losses.forEach((loss, i) => expect(Math.abs(loss / exact.losses[i]! - 1), `step ${i + 1}`).toBeLessThan(tolerance))
    expect(first.losses.at(-1)!).toBeLessThan(first.losses[0]! * 0.95)
    // Quantised, not silently float32.
    expect(first.losses).not.toEqual(exact.losses)
    expect(existsSync(cacheOf(base))).toBe(true)
    expect(existsSync(join(model, '.lowrank'))).toBe(false)
    expect(readFileSync(join(model, 'model.safetensors'))).toEqual(before)
    expect((await run({ base })).losses).toEqual(first.losses)
  })

  it('is made again when the weights are others, or the cache is damaged', async () => {
    const good = await run({ base: 'int8' }, { steps: 2 })
    const cache = cacheOf('int8')
    const bytes = readFileSync(cache)
    writeFileSync(cache, bytes.subarray(0, bytes.length - 5))
    expect((await run({ base: 'int8' }, { steps: 2 })).losses).toEqual(good.losses)
    expect(readFileSync(cache)).toEqual(bytes)
    const weights = readFileSync(join(model, 'model.safetensors'))
    const changed = Buffer.from(weights)
    changed[changed.length - 1] = changed[changed.length - 1]! ^ 1
    writeFileSync(join(model, 'model.safetensors'), changed)
    const note = readFileSync(cache.replace('.safetensors', '.json'))
    await run({ base: 'int8' }, { steps: 1 })
    expect(readFileSync(cache.replace('.safetensors', '.json')).equals(note)).toBe(false)
    writeFileSync(join(model, 'model.safetensors'), weights)
  })

  it('serves generation', async () => {
    const tokens = async (base: 'fp32' | 'int8'): Promise<readonly number[]> => {
      const opened = await loadModel(demo, { threads: 1, base })
      return (await generate(opened, { prompt: 'The', maxNewTokens: 8 })).ids
    }
    expect(await tokens('int8')).toHaveLength((await tokens('fp32')).length)
  })
})

it('recomputation changes no loss and no parameter', async () => {
  const [plain, again] = [await run({}), await run({}, { recompute: true })]
  again.losses.forEach((loss, i) => expect(Math.abs(loss / plain.losses[i]! - 1)).toBeLessThan(1e-6))
  plain.values.forEach((value, i) => expect(Math.abs(value - again.values[i]!)).toBeLessThan(1e-4))
})

describe('LoRA+', () => {
  it('a ratio of 1 is plain LoRA, and the first step moves B by the ratio', async () => {
    const opened = await loadModel(model, { threads: 1 })
    const step = async (loraPlusLrRatio?: number): Promise<Map<string, Float32Array>> => {
      const adapter = await addLora(opened, { r: 4, initLoraWeights: false, seed: 3 })
      const before = new Map([...adapter.tensors].map(([name, t]) => [name, Float32Array.from(t.data as Float32Array)]))
      for await (const _ of train(adapter, {
        data,
        steps: 1,
        learningRate: 1e-3,
        maxGradNorm: 0,
        shuffle: false,
        ...(loraPlusLrRatio !== undefined && { loraPlusLrRatio }),
      }));
      return new Map(
        [...adapter.tensors].map(([name, t]) => [name, (t.data as Float32Array).map((v, i) => v - before.get(name)![i]!)]),
      )
    }
    const [plain, one, eight] = [await step(), await step(1), await step(8)]
    for (const [name, moved] of plain) {
      expect(one.get(name)).toEqual(moved)
      const factor = name.includes('lora_B') ? 8 : 1
      moved.forEach((delta, i) => expect(eight.get(name)![i]).toBeCloseTo(delta * factor, 5))
      expect(moved.some((delta) => Math.abs(delta) > 5e-4)).toBe(true)
    }
  })

  it('refuses a ratio below 1', async () => {
    await expect(run({}, { loraPlusLrRatio: 0.5 })).rejects.toThrow(
      'loraPlusLrRatio must be a finite number of at least 1, got 0.5',
    )
  })
})
