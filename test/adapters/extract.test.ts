/** @file A LoRA extracted from two full models: the adapter that made the difference is found again, by rank and by energy. */
import { describe, expect, it } from 'vitest'
import { createAdapter, loadAdapter } from '../../src/adapter/adapter.js'
import { extractLora } from '../../src/adapter/extract.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { logits } from '../../src/adapter/forward.js'
import { merge } from '../../src/adapter/merge.js'
import { float32 } from '../../src/graph/constants.js'
import type { HostTensor } from '../../src/graph/types.js'
import { matrix, product, transposed } from '../../src/util/linear-algebra/matrix.js'
import { qr } from '../../src/util/linear-algebra/qr.js'
import { svd } from '../../src/util/linear-algebra/svd.js'
import { svdOfEnergy, svdOfProduct, truncatedSvd } from '../../src/util/linear-algebra/truncated-svd.js'
import { Random } from '../../src/util/rng.js'
import { relativeError } from '../models/golden.js'
import { gpt2Config, llamaConfig, temporaryFolder, testEnvironment, tinyModel, writeModel } from '../support/training.js'

const random = (rows: number, columns: number, seed: number, size = 1) => {
  const stream = new Random(seed)
  return matrix(rows, columns, Array.from({ length: rows * columns }, () => stream.normal(0, size))) // prettier-ignore
}

describe('the largest singular values', () => {
  it('of a matrix too large to be decomposed whole: known values are found again', () => {
    const [m, n] = [260, 200]
    const S = Float64Array.from({ length: n }, (_, i) => 10 * 0.97 ** i)
    const U = qr(random(m, n, 1)).Q
    const V = qr(random(n, n, 2)).Q
    const scaled = { ...U, data: U.data.map((x, i) => x * S[i % n]!) }
    const a = product(scaled, transposed(V))
    const found = truncatedSvd(a, 12)
    expect(found.S.length).toBe(12)
    found.S.forEach((s, i) => expect(Math.abs(s - S[i]!) / S[i]!).toBeLessThan(1e-6))
    const energy = svdOfEnergy(a, 0.5)
    const total = S.reduce((sum, s) => sum + s * s, 0)
    const held = (r: number): number => S.subarray(0, r).reduce((sum, s) => sum + s * s, 0) / total
    expect(held(energy.S.length)).toBeGreaterThanOrEqual(0.5)
    expect(held(energy.S.length - 1)).toBeLessThan(0.5)
  })

  it('of a product of thin matrices are those of the product', () => {
    const [left, right] = [random(40, 5, 3), random(5, 30, 4)]
    const whole = svd(product(left, right))
    const thin = svdOfProduct(left, right)
    thin.S.forEach((s, i) => expect(s).toBeCloseTo(whole.S[i]!, 10))
    const again = product({ ...thin.U, data: thin.U.data.map((x, i) => x * thin.S[i % 5]!) }, transposed(thin.V))
    expect(relativeError(again.data, product(left, right).data)).toBeLessThan(1e-12)
  })
})

describe.each([
  ['llama', llamaConfig, ['q_proj', 'down_proj', 'embed_tokens']],
  ['gpt2', gpt2Config, ['c_attn', 'wpe']],
] as const)('extraction from a merged %s', (_, config, targetModules) => {
  const open = async () => {
    const [folder, out, saved] = [temporaryFolder(), temporaryFolder(), temporaryFolder()]
    writeModel(folder, config)
    const base = await FolderModel.open(folder, testEnvironment())
    const adapter = createAdapter(base, { r: 2, targetModules: [...targetModules] })
    const stream = new Random(3)
    for (let i = 0; i < adapter.parameters.data.length; i++) adapter.parameters.data[i] = stream.normal(0, 0.5)
    await merge(adapter).save(out)
    return { base, adapter, tuned: await FolderModel.open(out, testEnvironment()), saved, out }
  }
  const rows = [
    [1, 2, 3, 4],
    [5, 6, 7],
  ]

  it('gives the adapter again, by rank and by energy, through a folder', async () => {
    const { base, adapter, tuned, saved } = await open()
    const expected = await logits(adapter, rows)
    for (const options of [{ r: 2 }, { energy: 0.999999 }]) {
      const { adapter: found, layers, left } = await extractLora(base, tuned, { ...options, targetModules: [...targetModules] })
      expect(left).toEqual([])
      expect(layers.map(({ r }) => r)).toEqual(adapter.targets.map(() => 2))
      for (const { energy } of layers) expect(energy).toBeGreaterThan(0.999999)
      await found.save(saved)
      const loaded = await logits(await loadAdapter(base, saved), rows)
      loaded.forEach(({ data }, i) => expect(relativeError(data as Float32Array, expected[i]!.data as Float32Array)).toBeLessThan(1e-5)) // prettier-ignore
    }
  })

  it('says what it leaves out, and how much of the change it holds', async () => {
    const { base, tuned } = await open()
    const { layers, left } = await extractLora(base, tuned, { r: 1, targetModules: [targetModules[0]] })
    expect(left.length).toBeGreaterThan(0)
    for (const { energy } of layers) {
      expect(energy).toBeGreaterThan(0.4)
      expect(energy).toBeLessThan(0.999)
    }
  })
})

describe('mistakes of extraction', () => {
  it('are named', async () => {
    const model = tinyModel(llamaConfig)
    const other = tinyModel(llamaConfig, testEnvironment(), 2)
    await expect(extractLora(model, other, {})).rejects.toThrow('give either r or energy; none of them was given')
    await expect(extractLora(model, other, { r: 1, energy: 1 })).rejects.toThrow('both of them was given')
    await expect(extractLora(model, other, { r: 0 })).rejects.toThrow('r must be a whole number')
    await expect(extractLora(model, other, { energy: 2 })).rejects.toThrow('energy must be above 0')
    await expect(extractLora(model, model, { r: 1 })).rejects.toThrow('do not differ in the 14 layers looked at')
    await expect(extractLora(model, tinyModel(gpt2Config), { r: 1 })).rejects.toThrow('both models must be of one architecture')
    const wide = tinyModel({ ...llamaConfig, intermediate_size: 16 }, testEnvironment(), 1)
    await expect(extractLora(model, wide, { r: 1, targetModules: ['up_proj'] })).rejects.toThrow('both must be of one size')
    const name = 'model.layers.0.self_attn.q_proj.weight'
    const broken = new Map(model.weights as ReadonlyMap<string, HostTensor>)
    broken.set(name, float32([8, 8], new Float32Array(64).fill(NaN)))
    const damaged = FolderModel.fromWeights(testEnvironment(), model.config, broken)
    await expect(extractLora(model, damaged, { r: 1 })).rejects.toThrow(`tensor "${name}", element 0`)
  })
})
