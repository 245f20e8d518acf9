/** @file Adapters analyzed and compared, against NumPy on whole changes (test/oracle/write-analysis.py). */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  addLora,
  analyzeAdapter,
  compareAdapters,
  type AdapterAnalysis,
  type Adapter,
  type Amplification,
  type FolderModel,
  type LoraOptions,
} from '../../src/index.js'
import { FolderModel as Folder } from '../../src/model/folder-model.js'
import type { Json } from '../../src/models/config-reader.js'
import { configOf, formulaValues, formulaWeights } from '../models/cases.js'
import { gpt2Config, llamaConfig, testEnvironment } from '../support/training.js'

interface Reference extends Omit<AdapterAnalysis['layers'][number], 'module' | 'r' | 'rank' | 'amplification'> {
  readonly r: readonly [number, number]
  readonly amplification: Omit<Amplification, 'r' | 'inRandom'>
  readonly A: readonly (readonly number[])[]
  readonly B: readonly (readonly number[])[]
}

const cases = JSON.parse(readFileSync('test/fixtures/analysis.json', 'utf8')) as Readonly<Record<string, Reference>>
const environment = testEnvironment()
const modelOf = (json: Record<string, Json>): FolderModel =>
  Folder.fromWeights(environment, configOf(json), formulaWeights(configOf(json)))

const vitConfig: Record<string, Json> = {
  ...{
    model_type: 'vit',
    architectures: ['ViTForImageClassification'],
    hidden_size: 12,
    intermediate_size: 20,
    num_hidden_layers: 1,
  },
  ...{ num_attention_heads: 3, image_size: 8, patch_size: 4, num_channels: 3 },
}
const bases: Readonly<Record<string, FolderModel>> = {
  llama: modelOf(llamaConfig),
  gpt2: modelOf(gpt2Config),
  vit: modelOf(vitConfig),
}
/** The model that has a layer of the oracle. */
const baseOf = (name: string): FolderModel => Object.values(bases).find(({ modules }) => modules.has(name))!

/** An adapter on one layer, its matrices those of the oracle. */
async function adapterOn(name: string, second: boolean): Promise<Adapter> {
  const reference = cases[name]!
  const r = reference.r[second ? 1 : 0]!
  const adapter = await addLora(baseOf(name), { r, alpha: reference.scale * r, targetModules: [name] })
  for (const { name: key, shape } of adapter.parameters.specs)
    adapter.parameters.view(key).set(formulaValues(second ? `${key}.second` : key, shape))
  return adapter
}

const near = (ours: number, theirs: number, what: string): void =>
  expect(Math.abs(ours - theirs) / Math.max(1e-3, Math.abs(theirs)), `${what}: ${ours} and ${theirs}`).toBeLessThan(1e-5)

const nearAll = (ours: readonly (readonly number[])[], theirs: readonly (readonly number[])[], what: string): void => {
  expect(ours.map((row) => row.length)).toEqual(theirs.map((row) => row.length))
  ours.forEach((row, i) => row.forEach((value, j) => near(value, theirs[i]![j]!, `${what}(${i + 1}, ${j + 1})`)))
}

describe.each(Object.entries(cases))('%s', (name, reference) => {
  it('has the singular values, ranks, norms and amplification of the whole change', async () => {
    const { layers, left } = await analyzeAdapter(await adapterOn(name, false), { amplification: true })
    expect(layers).toHaveLength(1)
    expect(left).toEqual([])
    const [layer] = layers
    expect([layer!.r, layer!.rank, layer!.amplification!.r]).toEqual([reference.r[0], reference.r[0], reference.r[0]])
    nearAll([layer!.singularValues], [reference.singularValues], 'singular value')
    for (const key of ['scale', 'effectiveRank', 'stableRank', 'frobenius', 'spectral'] as const)
      near(layer![key], reference[key], key)
    for (const key of ['base', 'inChange', 'inBase', 'factor'] as const)
      near(layer!.amplification![key], reference.amplification[key], key)
    expect(layer!.amplification!.inRandom).toBeGreaterThan(0)
    expect(layer!.amplification!.inRandom).toBeLessThan(layer!.amplification!.inBase)
  })

  it('shares with another adapter what its singular vectors share', async () => {
    const { layers } = compareAdapters(await adapterOn(name, false), await adapterOn(name, true))
    expect(layers.map(({ r }) => r)).toEqual([reference.r])
    nearAll(layers[0]!.A.similarity, reference.A, 'A')
    nearAll(layers[0]!.B.similarity, reference.B, 'B')
  })
})

const llama = bases['llama']!
const learned = (options: LoraOptions): Promise<Adapter> => addLora(llama, { initLoraWeights: false, ...options })

describe('similarity', () => {
  it('is 1 of an adapter with itself, wherever one subspace holds the other, and of what one rank adds nothing', async () => {
    const adapter = await learned({ r: 3, targetModules: ['q_proj', 'v_proj'] })
    const { layers } = compareAdapters(adapter, adapter)
    expect(layers).toHaveLength(4)
    for (const { A, B } of layers)
      for (const { similarity } of [A, B])
        similarity.forEach((row, i) => row.forEach((value, j) => expect(value, `${i}, ${j}`).toBeCloseTo(1, 10)))
  })

  it('of Gaussian matrices is what chance gives: max(i, j) / n on average', async () => {
    const pairs = await Promise.all(
      Array.from({ length: 6 }, async (_, seed) => {
        const [one, other] = await Promise.all(
          [0, 1].map((k) => learned({ r: 4, targetModules: ['down_proj'], seed: 2 * seed + k })),
        )
        return compareAdapters(one!, other!, { seed }).layers
      }),
    )
    const all = pairs.flat().map(({ A }) => A.random)
    const mean = (i: number, j: number): number => all.reduce((sum, grid) => sum + grid[i]![j]!, 0) / all.length
    // 12 pairs in 12 dimensions; the standard error of each mean is below 0.04.
    expect(Math.abs(mean(3, 3) - 4 / 12)).toBeLessThan(0.12)
    expect(Math.abs(mean(0, 3) - 4 / 12)).toBeLessThan(0.16)
    expect(new Set(all.map((grid) => grid[0]![0])).size).toBe(all.length)
  })

  it('the same seed gives the same random matrices', async () => {
    const [one, other] = [await learned({ r: 2 }), await learned({ r: 2, seed: 1 })]
    const random = (seed: number) => compareAdapters(one, other, { seed }).layers.map(({ A }) => A.random)
    expect(random(3)).toEqual(random(3))
    expect(random(3)).not.toEqual(random(4))
  })

  it('names layers that only one changes, and refuses two that share none', async () => {
    const [one, other] = [await learned({ r: 2, targetModules: ['q_proj', 'k_proj'] }), await learned({ r: 2, targetModules: ['q_proj', 'v_proj'] })] // prettier-ignore
    const { layers, onlyFirst, onlySecond } = compareAdapters(one, other)
    expect(layers.map(({ module }) => module)).toEqual(['model.layers.0.self_attn.q_proj', 'model.layers.1.self_attn.q_proj'])
    expect(onlyFirst).toEqual(['model.layers.0.self_attn.k_proj', 'model.layers.1.self_attn.k_proj'])
    expect(onlySecond).toEqual(['model.layers.0.self_attn.v_proj', 'model.layers.1.self_attn.v_proj'])
    const apart = await learned({ r: 2, targetModules: ['up_proj'] })
    expect(() => compareAdapters(one, apart)).toThrow(
      'the adapters change no layer both: the first changes model.layers.0.self_attn.q_proj, the second model.layers.0.mlp.up_proj; compare adapters with the same target modules',
    )
    const wide = modelOf({ ...llamaConfig, hidden_size: 16 })
    const larger = await addLora(wide, { r: 2, targetModules: ['q_proj'] })
    expect(() => compareAdapters(one, larger)).toThrow(
      'model.layers.0.self_attn.q_proj is [8, 8] in the first adapter and [16, 16] in the second; compare adapters of one base',
    )
  })
})

describe('what is no plain branch', () => {
  it('an adapter that was not trained changes nothing', async () => {
    const fresh = await addLora(llama, { r: 2, targetModules: ['q_proj'] })
    const [layer] = (await analyzeAdapter(fresh, { amplification: true })).layers
    expect(layer).toMatchObject({ rank: 0, effectiveRank: 0, stableRank: 0, frobenius: 0, spectral: 0, amplification: null })
    const [compared] = compareAdapters(fresh, await learned({ r: 2, targetModules: ['q_proj'] })).layers
    expect(compared!.B.similarity).toEqual([])
    expect(compared!.A.similarity).toHaveLength(2)
  })

  it('rsLoRA, patterns and PiSSA: the scale and rank of each layer, of what the file would hold', async () => {
    const adapter = await learned({
      r: 4,
      alpha: 8,
      useRslora: true,
      rankPattern: { k_proj: 1 },
      targetModules: ['q_proj', 'k_proj'],
    })
    const { layers } = await analyzeAdapter(adapter)
    expect(layers.map(({ r, rank, scale }) => [r, rank, scale])).toEqual([[4, 4, 4], [1, 1, 8], [4, 4, 4], [1, 1, 8]]) // prettier-ignore
    expect(layers[0]).not.toHaveProperty('amplification')
    const pissa = await addLora(llama, { r: 2, initLoraWeights: 'pissa', targetModules: ['q_proj'] })
    const [layer] = (await analyzeAdapter(pissa)).layers
    expect([layer!.r, layer!.rank]).toEqual([4, 0])
  })

  it('a rank that is not used', async () => {
    const adapter = await learned({ r: 3, targetModules: ['q_proj'] })
    const A = adapter.parameters.view('base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight')
    A.set(
      A.slice(0, 8).map((x) => 2 * x),
      8,
    )
    const [layer] = (await analyzeAdapter(adapter, { amplification: true })).layers
    expect([layer!.r, layer!.rank, layer!.singularValues.length, layer!.amplification!.r]).toEqual([3, 2, 3, 2])
  })

  it('DoRA and saved modules are named; where nothing else is there, they are refused', async () => {
    const { left } = await analyzeAdapter(
      await learned({ r: 2, targetModules: ['q_proj'], modulesToSave: ['model.norm'], loraBias: true }),
    )
    expect(left).toEqual([
      { module: 'model.norm', reason: 'a tensor that is trained whole' },
      { module: 'model.layers.0.self_attn.q_proj', reason: 'the bias of its branch (lora_bias)' },
      { module: 'model.layers.1.self_attn.q_proj', reason: 'the bias of its branch (lora_bias)' },
    ])
    const head = await addLora(bases['vit']!, { r: 2, targetModules: ['q_proj'], modulesToSave: ['classifier'] })
    head.parameters.specs.forEach(({ name }) => head.parameters.view(name).fill(0.1))
    // A weight and a bias, of one layer.
    expect((await analyzeAdapter(head)).left).toEqual([{ module: 'classifier', reason: 'a tensor that is trained whole' }])
    await expect(analyzeAdapter(await learned({ r: 2, useDora: true, targetModules: ['q_proj'] }))).rejects.toThrow(
      'the adapter has no low-rank change of a weight to analyze: model.layers.0.self_attn.q_proj is DoRA: the magnitude rescales the whole weight, so its change is of full rank',
    )
  })
})

it('tells of its progress, and refuses what is no option', async () => {
  const adapter = await learned({ r: 2, targetModules: ['q_proj'] })
  const told: [number, number][] = []
  await analyzeAdapter(adapter, { onLayer: ({ layers, of }) => told.push([layers, of]) })
  expect(told).toEqual([[1, 2], [2, 2]]) // prettier-ignore
  await expect(analyzeAdapter(adapter, { amplification: 1 as never })).rejects.toThrow(
    'amplification must be true or false, got 1',
  )
  await expect(analyzeAdapter(adapter, { seed: 0.5 })).rejects.toThrow('The seed must be an integer')
  await expect(analyzeAdapter('out' as never)).rejects.toThrow('open it with loadAdapter first')
})
