/** @file EVA against PEFT and an exact SVD (test/oracle/write-eva.py). */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAdapter, loadAdapter, type Adapter, type LoraOptions } from '../../src/adapter/adapter.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { evaluate } from '../../src/train/evaluate.js'
import { initializeEva, type EvaOptions } from '../../src/train/initialize-eva.js'
import { loraAName, loraBName } from '../../src/adapters/lora.js'
import { runTraining, temporaryFolder, testEnvironment, writeRows } from '../support/training.js'

interface Case {
  readonly rank_pattern: Readonly<Record<string, number>>
  readonly alpha_pattern: Readonly<Record<string, number>>
  readonly ranks: Readonly<Record<string, number>>
  readonly A: Readonly<Record<string, readonly number[]>>
}

const fixtures = join(import.meta.dirname, '../fixtures')
const { rows, cases, exact } = JSON.parse(readFileSync(join(fixtures, 'eva.json'), 'utf8')) as {
  rows: unknown[]
  cases: Readonly<Record<string, Case>>
  exact: Readonly<Record<string, { components: readonly number[] }>>
}
const folder = temporaryFolder()
const data = writeRows(join(folder, 'rows.jsonl'), rows)
const model = await FolderModel.open(join(fixtures, 'golden/peft/llama/model'), testEnvironment())
const targetModules = ['q_proj', 'v_proj', 'o_proj', 'up_proj', 'down_proj']
const eva = (options: Partial<EvaOptions> = {}, lora: LoraOptions = {}): Promise<Adapter> =>
  initializeEva(createAdapter(model, { r: 4, alpha: 8, targetModules, ...lora }), { data, ...options })
const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let [dot, x, y] = [0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!
    x += a[i]! ** 2
    y += b[i]! ** 2
  }
  return dot / Math.sqrt(x * y)
}
/** Rows of A beside others, one after the other. */
const cosines = (A: Float32Array, other: readonly number[], r: number): number[] => {
  const width = A.length / r
  return Array.from({ length: r }, (_, k) =>
    Math.abs(cosine(A.subarray(k * width, (k + 1) * width), other.slice(k * width, (k + 1) * width))),
  )
}

describe('EVA', () => {
  it.each(['1.0', '2.0'])('with rho %s has the ranks and alphas of PEFT, and the components of an exact SVD', async (rho) => {
    const adapter = await eva({ rho: Number(rho), batchSize: 5 })
    const expected = cases[rho]!
    expect(Object.fromEntries(adapter.targets.map(({ module, r }) => [module.name, r]))).toEqual(expected.ranks)
    expect(adapter.config.rankPattern).toEqual(expected.rank_pattern)
    expect(adapter.config.alphaPattern).toEqual(expected.alpha_pattern)
    for (const { module, r } of adapter.targets) {
      const A = adapter.parameters.view(loraAName(module.name))
      for (const value of cosines(A, exact[module.name]!.components, r)) expect(value, module.name).toBeGreaterThan(1 - 1e-5)
      for (let k = 0; k < r; k++) {
        const row = A.subarray((k * A.length) / r, ((k + 1) * A.length) / r)
        expect(Math.hypot(...row)).toBeCloseTo(1, 5)
      }
      expect(adapter.parameters.view(loraBName(module.name)).every((x) => x === 0)).toBe(true)
      // PEFT's incremental components, signs included.
      const theirs = expected.A[loraAName(module.name)]
      if (theirs !== undefined) expect(cosine(A.subarray(0, A.length / r), theirs.slice(0, A.length / r))).toBeGreaterThan(0.99)
    }
  })

  it('divides by the root of the singular value where it whitens', async () => {
    const [plain, white] = [await eva({ rho: 1 }), await eva({ rho: 1, whiten: true })]
    const name = loraAName('model.layers.0.mlp.up_proj')
    const lengths = Array.from({ length: 4 }, (_, k) => Math.hypot(...white.parameters.view(name).subarray(k * 32, (k + 1) * 32)))
    expect(cosine(plain.parameters.view(name).subarray(0, 32), white.parameters.view(name).subarray(0, 32))).toBeCloseTo(1, 5)
    // Smaller components are made longer.
    expect([...lengths].sort((a, b) => a - b)).toEqual(lengths)
  })

  it('starts at the base model, trains, is saved and read again', async () => {
    const adapter = await eva()
    const [base, start] = [await evaluate(model, { data }), await evaluate(adapter, { data })]
    expect(start.loss).toBeCloseTo(base.loss, 6)
    const { steps } = await runTraining(adapter, { data, steps: 5, learningRate: 1e-2 })
    expect(steps.at(-1)!.loss).toBeLessThan(steps[0]!.loss)
    await adapter.save(join(folder, 'saved'))
    const again = await loadAdapter(model, join(folder, 'saved'))
    expect(again.config).toMatchObject({ initLoraWeights: 'eva', rankPattern: adapter.config.rankPattern })
    expect((await evaluate(again, { data })).loss).toBeCloseTo((await evaluate(adapter, { data })).loss, 6)
  })

  it('leaves embeddings as they begin, and gives no rank to a layer that explains little', async () => {
    const lora = { r: 1, rankPattern: { down_proj: 4 }, targetModules: ['embed_tokens', 'q_proj', 'o_proj', 'down_proj'] }
    const given = createAdapter(model, { ...lora, alpha: 8 })
    const adapter = await initializeEva(given, { data, rho: 4 })
    const total = (of: Adapter): number => of.targets.reduce((sum, { r }) => sum + r, 0)
    expect(total(adapter)).toBe(total(given))
    expect(adapter.targets.length).toBeLessThan(given.targets.length)
    const name = 'base_model.model.model.embed_tokens.lora_embedding_B'
    expect(adapter.parameters.view(name)).toEqual(given.parameters.view(name))
  })

  it.each<[Partial<EvaOptions>, LoraOptions, string]>([
    [{ rho: 0.5 }, {}, 'rho must be a finite number of at least 1, got 0.5'],
    [{ batches: 0 }, {}, 'batches must be a whole number of at least 1, got 0'],
    [{ batchSize: 1, batches: 1 }, { r: 16 }, 'EVA needs more than 32 tokens to find 32 components'],
    [{}, { initLoraWeights: false }, 'EVA needs an adapter that begins silently (initLoraWeights true), not with false'],
    [{}, { targetModules: ['embed_tokens'] }, 'EVA needs an adapted linear layer'],
  ])('refuses %j %j', async (options, lora, message) => {
    await expect(eva(options, lora)).rejects.toThrow(message)
  })

  it('is named by its function where a new adapter asks for it', () => {
    expect(() => createAdapter(model, { initLoraWeights: 'eva' })).toThrow('call initializeEva(adapter, { data })')
  })
})
