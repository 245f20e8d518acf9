/**
 * @file LoftQ begins as the best approximation of what 4 bits lose, by its squares, and brings a quantised base near the
 * model's own loss.
 */
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readBaseWeights } from '../../src/model/base-weights.js'
import { addLora, evaluate, loadAdapter, loadModel, type Model } from '../../src/index.js'
import { Int4Packer, packedWhole, unpackInt4 } from '../../src/quantize/pack.js'
import { goldenRows } from '../cli/golden-rows.js'
import { golden, temporaryFolder } from '../cli/run-cli.js'

const folder = temporaryFolder()
// A copy, for a quantised base is kept beside the model.
const path = join(folder, 'model')
cpSync(join(golden, 'llama', 'model'), path, { recursive: true })
const name = 'model.layers.1.self_attn.q_proj'

const lossOf = async (subject: Parameters<typeof evaluate>[0]): Promise<number> => {
  const data = join(folder, 'rows.jsonl')
  writeFileSync(data, await goldenRows('llama'))
  return (await evaluate(subject, { data })).loss
}

/** Squares of R = W − Q(W), of the branch s·B·A that begins, and of what it leaves. */
async function squares(model: Model, r: number): Promise<{ left: number; residual: number; branch: number }> {
  const adapter = await addLora(model, { r, alpha: 3, targetModules: ['q_proj'], initLoraWeights: 'loftq' })
  const W = (await readBaseWeights(model, [`${name}.weight`]))(`${name}.weight`)!
  const Q = unpackInt4(packedWhole(new Int4Packer(32, 32, true), W))
  const tensor = (which: string) => adapter.tensors.get(`base_model.model.${name}.lora_${which}.weight`)!.data as Float32Array
  const [A, B] = [tensor('A'), tensor('B')]
  const result = { left: 0, residual: 0, branch: 0 }
  for (let o = 0; o < 32; o++)
    for (let i = 0; i < 32; i++) {
      let branch = 0
      for (let k = 0; k < r; k++) branch += (3 / r) * B[o * r + k]! * A[k * 32 + i]!
      const residual = W[o * 32 + i]! - Q[o * 32 + i]!
      result.left += (residual - branch) ** 2
      result.residual += residual ** 2
      result.branch += branch ** 2
    }
  return result
}

it('begins as the best approximation of what 4 bits lose, whatever the scale', async () => {
  const model = await loadModel(path, { base: 'int4' })
  const found = await Promise.all([1, 4, 16, 32].map((r) => squares(model, r)))
  // The best approximation is a projection: what it holds and what it leaves are orthogonal.
  for (const { left, residual, branch } of found) expect((left + branch) / residual).toBeCloseTo(1, 4)
  const shares = found.map(({ left, residual }) => left / residual)
  expect(shares[0]).toBeLessThan(0.95)
  expect(shares[1]).toBeLessThan(shares[0]!)
  expect(shares[2]).toBeLessThan(0.25)
  expect(shares[3]).toBeLessThan(1e-9)
})

it.each(['int4', 'int8'] as const)('brings %s near the loss of the model itself, and saves a plain adapter', async (base) => {
  const exact = await lossOf(await loadModel(path))
  const model = await loadModel(path, { base })
  const adapter = await addLora(model, { r: 16, alpha: 16, targetModules: 'all-linear', initLoraWeights: 'loftq' })
  const restored = await lossOf(adapter)
  // With the head as it is held, and 8-bit activations: only the layers' own loss is made up for.
  if (base === 'int4') expect(Math.abs(restored - exact)).toBeLessThan(Math.abs((await lossOf(model)) - exact))
  await adapter.save(join(folder, base))
  const again = await loadAdapter(model, join(folder, base))
  expect(again.config.initLoraWeights).toBe(true)
  expect(await lossOf(again)).toBeCloseTo(restored, 9)
})

it('is refused where it has no meaning', async () => {
  const loftq = { initLoraWeights: 'loftq' } as const
  await expect(addLora(await loadModel(path), loftq)).rejects.toThrow('the base is held in fp32; load the model with base "int4"')
  const model = await loadModel(path, { base: 'int4' })
  await expect(addLora(model, { ...loftq, useDora: true })).rejects.toThrow('"loftq" cannot be combined with DoRA')
})
