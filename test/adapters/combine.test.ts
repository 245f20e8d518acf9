/** @file Several adapters as one, against PEFT's add_weighted_adapter (test/oracle/write-combinations.py) and closed forms. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { combinationTypes, type CombinationType } from '../../src/adapters/combine/combine-layer.js'
import { disjointMean, mergeTensors } from '../../src/adapters/combine/merge-tensors.js'
import { keepLargest, keepSome } from '../../src/adapters/combine/prune.js'
import { LoraPart } from '../../src/adapters/lora.js'
import { createAdapter, addLora, loadAdapter, type Adapter, type LoraOptions } from '../../src/adapter/adapter.js'
import { combineAdapters, type CombineOptions } from '../../src/adapter/combine.js'
import { FolderModel } from '../../src/model/folder-model.js'
import type { Model } from '../../src/model/model.js'
import { Random } from '../../src/util/rng.js'
import { floats, relativeError, tensorsOf } from '../models/golden.js'
import { gpt2Config, llamaConfig, temporaryFolder, testEnvironment, tinyModel } from '../support/training.js'

/** scale·B·A of every layer, [out, in] */
function changes(adapter: Adapter): Map<string, Float64Array> {
  const parts = adapter.parts.filter((part) => part instanceof LoraPart)
  return new Map(
    parts.map((part) => {
      const A = adapter.tensors.get(part.A.name)!.data
      const B = adapter.tensors.get(part.B.name)!.data
      const { r, scale, module } = part.target
      const inputs = A.length / r
      const change = new Float64Array(module.outFeatures * inputs)
      for (let i = 0; i < module.outFeatures; i++)
        for (let k = 0; k < r; k++)
          for (let j = 0; j < inputs; j++) change[i * inputs + j]! += scale * Number(B[i * r + k]) * Number(A[k * inputs + j])
      return [part.module, change] as const
    }),
  )
}

/** Σ weight·change of every layer. */
function sumOf(adapters: readonly Adapter[], weights: readonly number[]): Map<string, Float64Array> {
  const sum = new Map<string, Float64Array>()
  adapters.forEach((adapter, i) => {
    for (const [module, change] of changes(adapter)) {
      const total = sum.get(module) ?? new Float64Array(change.length)
      sum.set(module, total.map((x, k) => x + weights[i]! * change[k]!)) // prettier-ignore
    }
  })
  return sum
}

function randomAdapter(model: Model, options: LoraOptions, seed: number): Adapter {
  const adapter = createAdapter(model, options)
  const random = new Random(seed)
  for (let i = 0; i < adapter.parameters.data.length; i++) adapter.parameters.data[i] = random.normal(0, 0.3)
  return adapter
}

/** Every number of A and B is the whole one's, or the bound that the quantile of both sets. */
function expectClamped(combined: Adapter, whole: Adapter, quantile: number): void {
  let changed = 0
  for (const part of whole.parts) {
    const both = part.tensors.map(({ name }) => [...(whole.tensors.get(name)!.data as Float32Array)])
    const sorted = both.flat().sort((a, b) => a - b)
    const place = quantile * (sorted.length - 1)
    const [low, high] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!]
    const limit = low + (high - low) * (place % 1)
    part.tensors.forEach(({ name }, t) => {
      const expected = both[t]!.map((x) => Math.min(limit, Math.max(-limit, x)))
      expect(relativeError(combined.tensors.get(name)!.data as Float32Array, expected), name).toBeLessThan(1e-6)
      changed += expected.filter((x, i) => x !== both[t]![i]).length
    })
  }
  expect(changed).toBeGreaterThan(10)
}

interface PeftCase {
  readonly type: CombinationType
  readonly adapters: readonly string[]
  readonly weights: readonly number[]
  readonly options: { density?: number; majority_sign_method?: 'total' | 'frequency'; svd_rank?: number; svd_clamp?: number }
}

describe.each(['llama', 'gpt2'])('as PEFT combines: %s', (name) => {
  const folder = `test/fixtures/combine/${name}`
  const { cases } = JSON.parse(readFileSync(`${folder}/cases.json`, 'utf8')) as { cases: PeftCase[] }
  it.each(cases.map((c, i) => [i, c.type, JSON.stringify(c.options), c] as const))('case %i: %s %s', async (i, type, _, peft) => {
    const model = await FolderModel.open(`test/fixtures/golden/peft/${name}/model`, testEnvironment())
    const adapters = await Promise.all(peft.adapters.map((key) => loadAdapter(model, `${folder}/${key}`)))
    const { density, majority_sign_method: majoritySignMethod, svd_rank: r, svd_clamp: svdClamp } = peft.options
    const options: CombineOptions = {
      type,
      ...(density !== undefined && { density }),
      ...(majoritySignMethod !== undefined && { majoritySignMethod }),
      ...(r !== undefined && { r }),
      ...(svdClamp !== undefined && { svdClamp }),
    }
    const weighted = adapters.map((adapter, k) => ({ adapter, weight: peft.weights[k]! }))
    const combined = combineAdapters(model, weighted, options)
    const expected = await tensorsOf(`${folder}/expected.safetensors`)
    const found = changes(combined)
    expect([...found.keys()].sort()).toEqual([...expected.keys()].flatMap((key) => (key.startsWith(`${i}.`) ? [key.slice(`${i}.`.length)] : [])).sort()) // prettier-ignore
    // Where numbers are cut off, the sign of a singular vector matters, which is nobody's choice.
    if (svdClamp !== undefined) {
      const { svdClamp: _, ...whole } = options
      expectClamped(combined, combineAdapters(model, weighted, whole), svdClamp)
      return
    }
    for (const [module, change] of found)
      expect(relativeError(change, await floats(expected, `${i}.${module}`)), module).toBeLessThan(2e-5)
    expect(combined.targets.every(({ scale }) => scale === 1)).toBe(true)
  })
})

describe('combined adapters', () => {
  it('are exactly the weighted sum with cat, and with svd of enough rank: rsLoRA, patterns and single layers included', () => {
    const model = tinyModel(llamaConfig)
    const adapters = [
      randomAdapter(model, { r: 2, alpha: 8, useRslora: true, targetModules: ['q_proj', 'embed_tokens'] }, 1),
      randomAdapter(model, { r: 3, targetModules: ['q_proj', 'down_proj'], alphaPattern: { 'layers.0.self_attn.q_proj': 9 }, rankPattern: { down_proj: 1 } }, 2), // prettier-ignore
    ]
    const weights = [0.6, -1.3]
    const expected = sumOf(adapters, weights)
    const weighted = adapters.map((adapter, i) => ({ adapter, weight: weights[i]! }))
    for (const options of [{}, { type: 'cat' }, { type: 'svd', r: 5 }] as CombineOptions[]) {
      const combined = combineAdapters(model, weighted, options)
      const found = changes(combined)
      expect([...found.keys()].sort()).toEqual([...expected.keys()].sort())
      for (const [module, change] of expected) expect(relativeError(found.get(module)!, change), module).toBeLessThan(1e-6)
    }
  })

  it('survive being saved and loaded, ranks that differ included', async () => {
    const folder = temporaryFolder()
    const model = tinyModel(gpt2Config)
    const adapters = [
      randomAdapter(model, { r: 2, targetModules: ['c_attn', 'c_fc'] }, 1),
      randomAdapter(model, { r: 1, targetModules: ['c_attn'] }, 2),
    ]
    const combined = combineAdapters(model, adapters.map((adapter) => ({ adapter, weight: 0.5 }))) // prettier-ignore
    await combined.save(folder)
    const loaded = await loadAdapter(model, folder)
    expect(loaded.targets.map(({ r, scale }) => [r, scale])).toEqual([[3, 1], [2, 1], [3, 1], [2, 1]]) // prettier-ignore
    for (const [module, change] of changes(combined)) expect(changes(loaded).get(module)).toEqual(change)
  })

  it('of one adapter follow the type that is asked for', () => {
    const model = tinyModel(llamaConfig)
    const adapter = randomAdapter(model, { r: 4, targetModules: ['q_proj'] }, 1)
    const best = combineAdapters(model, [{ adapter, weight: 1 }], { type: 'svd', r: 2 })
    expect(best.targets.map(({ r }) => r)).toEqual([2, 2])
    for (const [module, change] of changes(best)) {
      const error = relativeError(change, changes(adapter).get(module)!)
      expect(error).toBeGreaterThan(0.05)
      expect(error).toBeLessThan(0.9)
    }
  })
})

describe('DARE', () => {
  it('drops a share of the numbers, keeps the mean, and repeats itself with the seed', () => {
    const model = tinyModel({ ...llamaConfig, hidden_size: 64, intermediate_size: 128 })
    const adapter = randomAdapter(model, { r: 8, targetModules: ['down_proj'] }, 1)
    const combine = (seed: number) => combineAdapters(model, [{ adapter, weight: 1 }, { adapter, weight: 0 }], { type: 'dare_linear', density: 0.3, seed }) // prettier-ignore
    const first = combine(1)
    let kept = 0
    let total = 0
    for (const [name, { data }] of first.tensors) {
      const given = adapter.tensors.get(name)!.data as Float32Array
      ;(data as Float32Array).forEach((x, i) => {
        total++
        if (x === 0) return
        kept++
        expect(x).toBeCloseTo(given[i]! / 0.3, 5)
      })
    }
    // Six standard deviations of a binomial.
    expect(Math.abs(kept / total - 0.3)).toBeLessThan(6 * Math.sqrt((0.3 * 0.7) / total))
    expect(combine(1).parameters.data).toEqual(first.parameters.data)
    expect(combine(2).parameters.data).not.toEqual(first.parameters.data)
  })

  it('is the formula with a given mask', () => {
    const values = Float32Array.of(1, -2, 3, 4)
    const mask = [true, false, true, false]
    const next = (): (() => boolean) => {
      let i = 0
      return () => mask[i++]!
    }
    expect([...keepSome(values, 0.25, next())]).toEqual([4, 0, 12, 0])
    const [one, two] = [next(), next()]
    const options = { density: 0.5, majoritySignMethod: 'total' as const, keep: (t: number) => (t === 0 ? one : two)() }
    const tensors = [values, Float32Array.of(-5, 1, 1, 1)]
    expect([...mergeTensors('dare_linear', tensors, [0.5, 2], options)]).toEqual([0.5 * 2 + 2 * -10, 0, 0.5 * 6 + 2 * 2, 0])
    const [three, four] = [next(), next()]
    const again = { ...options, keep: (t: number) => (t === 0 ? three : four)() }
    // 2 and −10: minus is elected; 6 and 2: plus.
    expect([...mergeTensors('dare_ties', tensors, [0.5, 2], again)]).toEqual([-20, 0, (3 + 4) / 2, 0])
  })
})

describe('parts of the rules', () => {
  it('keeps the largest, the first of equals', () => {
    expect([...keepLargest(Float32Array.of(1, -3, 2, -2, 0.5), 0.6)]).toEqual([0, -3, 2, -2, 0])
    expect([...keepLargest(Float32Array.of(2, -2, 2, 2), 0.5)]).toEqual([2, -2, 0, 0])
    expect([...keepLargest(Float32Array.of(2, 1), 0.1)]).toEqual([0, 0])
    expect([...keepLargest(Float32Array.of(0, 0, 7), 1)]).toEqual([0, 0, 7])
  })

  it('elects signs before weights count; a tie elects plus', () => {
    const tensors = [Float32Array.of(1, 3, 1), Float32Array.of(-1, -1, 1), Float32Array.of(0, -1, 0)]
    expect([...disjointMean(tensors, [1, 100, 1], 'total')]).toEqual([1, 3, (1 + 100) / 2])
    expect([...disjointMean(tensors, [1, 100, 1], 'frequency')]).toEqual([1, (-100 - 1) / 2, (1 + 100) / 2])
  })
})

describe('mistakes', () => {
  const model = tinyModel(llamaConfig)
  const adapter = randomAdapter(model, { r: 2, targetModules: ['q_proj'] }, 1)
  const other = randomAdapter(model, { r: 3, targetModules: ['q_proj'] }, 2)
  const both = [
    { adapter, weight: 1 },
    { adapter: other, weight: 1 },
  ]
  it.each<[CombineOptions, string]>([
    [
      { type: 'linear' },
      'ranks, but at model.layers.0.self_attn.q_proj they are 2 ("adapter 0") and 3 ("adapter 1"); use "cat" or "svd"',
    ],
    [{ type: 'ties', density: 0.5 }, 'use "cat" or "ties_svd"'],
    [{ type: 'ties' }, '"ties" needs density'],
    [{ type: 'dare_linear', density: 0 }, 'above 0 and at most 1; got 0'],
    [{ type: 'cat', density: 0.5 }, 'drops nothing'],
    [{ type: 'cat', r: 4 }, 'no rank to choose'],
    [{ type: 'svd', r: 0 }, 'r must be a whole number'],
    [{ type: 'svd', svdClamp: 2 }, 'svdClamp'],
    [{ type: 'sum' as CombinationType }, `combination type "sum" is unknown; known: ${combinationTypes.join(', ')}`],
    [{ majoritySignMethod: 'loudest' as 'total' }, 'majoritySignMethod must be'],
  ])('%j', (options, message) => expect(() => combineAdapters(model, both, options)).toThrow(message))

  it('of adapters', async () => {
    expect(() => combineAdapters(model, [])).toThrow('nothing to combine')
    expect(() => combineAdapters(model, [{ adapter, weight: NaN }])).toThrow('the weight of adapter 0')
    expect(() => combineAdapters(tinyModel(llamaConfig), both)).toThrow('adapter 0 belongs to another model')
    const dora = await addLora(model, { r: 2, useDora: true, targetModules: ['q_proj'] })
    expect(() => combineAdapters(model, [{ adapter: dora, weight: 1 }])).toThrow('adapter 0 is DoRA')
    const biased = await addLora(model, { r: 2, loraBias: true, targetModules: ['q_proj'] })
    expect(() => combineAdapters(model, [{ adapter, weight: 1 }, { adapter: biased, weight: 1 }])).toThrow('adapter 1 has a bias') // prettier-ignore
    const saved = await addLora(model, { r: 2, modulesToSave: ['lm_head'], targetModules: ['q_proj'] })
    expect(() => combineAdapters(model, [{ adapter: saved, weight: 1 }])).toThrow('replaces tensors of the base')
  })
})
