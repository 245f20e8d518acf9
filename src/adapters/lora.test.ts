/**
 * @file LoRA branches in a graph: where the backward pass ends and what it holds by its shapes, and what rank 0 and fresh
 * adapters compute.
 */
import { describe, expect, it } from 'vitest'
import { batchOf, gpt2Config, llamaConfig, randomRows, testEnvironment, tinyModel } from '../../test/support/training.js'
import { createAdapter, type Adapter } from '../adapter/adapter.js'
import { Random } from '../util/rng.js'
import { float32 } from '../graph/constants.js'
import type { Graph } from '../graph/graph.js'
import { formatShape, type HostTensor, type Shape } from '../graph/types.js'
import { causalLmLoss } from '../losses/causal-lm.js'
import { gradientGraph } from '../train/gradient-graph.js'
import { adapterTrainee, fullTrainee, type Trainee } from '../train/trainee.js'
import { attachLora, loraAName, loraBName } from './lora.js'

const environment = testEnvironment()

/** The graph before and after differentiation. */
function graphs(trainee: Trainee): { forward: Graph; backward: Graph } {
  const built = trainee.build({ mode: 'full', training: true })
  const { graph, loss } = causalLmLoss(built.graph, { hidden: built.hidden, logits: built.graph.outputs[0]!, chunks: 2 })
  return { forward: graph, backward: gradientGraph(graph, loss, built.parameters) }
}

/** Shapes of the values that the backward pass adds. */
function backwardShapes(trainee: Trainee): Map<string, number> {
  const { forward, backward } = graphs(trainee)
  const before = new Set(forward.nodes.flatMap((node) => node.outputs))
  const counts = new Map<string, number>()
  // Constants are no gradients.
  for (const name of backward.nodes.flatMap((node) => (node.op === 'ConstantOfShape' ? [] : node.outputs))) {
    const value = backward.values.get(name)
    if (before.has(name) || value === undefined || value.dtype !== 'float32') continue
    const shape = formatShape(value.shape)
    counts.set(shape, (counts.get(shape) ?? 0) + 1)
  }
  return counts
}

const oriented = (shape: readonly number[]): string[] => [shape, [...shape].reverse()].map((s) => formatShape(s as Shape))

describe('attachLora', () => {
  it.each([
    ['llama', llamaConfig],
    ['gpt2', gpt2Config],
  ])('on %s: not a single gradient of a base weight is computed', async (_name, json) => {
    const model = tinyModel(json, environment)
    const weights = new Set([...model.weights.values()].flatMap(({ shape }) => oriented(shape as number[])))
    for (const dropout of [0, 0.1]) {
      const lora = backwardShapes(adapterTrainee(createAdapter(model, { r: 3, targetModules: 'all-linear', dropout })))
      expect([...lora.keys()].filter((shape) => weights.has(shape))).toEqual([])
    }
    // The same count finds every one of them where all weights are trained.
    const full = backwardShapes(await fullTrainee(model))
    for (const { shape } of model.weights.values())
      expect(
        oriented(shape as number[]).some((s) => full.has(s)),
        formatShape(shape),
      ).toBe(true)
  })

  it('the backward pass ends at the first adapted layer', () => {
    const model = tinyModel(llamaConfig, environment)
    const size = (targetModules: string[]): number => {
      const { forward, backward } = graphs(adapterTrainee(createAdapter(model, { r: 2, targetModules })))
      return backward.nodes.length - forward.nodes.length
    }
    const last = size(['layers.1.mlp.down_proj'])
    expect(last).toBeLessThan(size(['layers.1.self_attn.q_proj']))
    expect(size(['layers.1.self_attn.q_proj'])).toBeLessThan(size(['layers.0.self_attn.q_proj']))
    expect(last).toBeLessThan(80)
  })

  it('has dropout in the training graph alone', () => {
    const trainee = adapterTrainee(createAdapter(tinyModel(llamaConfig, environment), { r: 2, dropout: 0.2 }))
    const [training, evaluation] = [true, false].map((flag) => trainee.build({ mode: 'full', training: flag }).graph)
    const draws = (graph: Graph): number => graph.nodes.filter((node) => node.op === 'BitwiseXor').length
    expect(draws(training!)).toBeGreaterThan(0)
    expect(training!.inputs.map((i) => i.name)).toContain('dropout_seed')
    expect(draws(evaluation!)).toBe(0)
    expect(evaluation!.inputs.map((i) => i.name)).not.toContain('dropout_seed')
  })

  it('takes A and B of any rank; rank 0 is the base, rank padded with zeros changes nothing', async () => {
    const model = tinyModel(llamaConfig, environment)
    const adapter = createAdapter(model, { r: 2, targetModules: ['q_proj', 'down_proj'], initLoraWeights: false })
    const base = model.build({ mode: 'full' }).graph
    const batch = batchOf(randomRows(3))
    const inputs = {
      input_ids: batch.feeds.input_ids,
      attention_mask: batch.feeds.attention_mask,
      position_ids: batch.feeds.position_ids,
    }
    const baseSession = await environment.runtime.createSession(base)
    const session = await environment.runtime.createSession(adapter.attach(base).graph)
    const logits = async (r: number): Promise<Float32Array> =>
      (await session.run({ ...inputs, ...resized(adapter, r) }))['logits']!.data as Float32Array
    const expected = (await baseSession.run(inputs))['logits']!.data as Float32Array
    expect(await logits(0)).toEqual(expected)
    const own = await logits(2)
    expect(distance(own, expected)).toBeGreaterThan(1e-3)
    for (const r of [3, 7]) expect(distance(await logits(r), own)).toBeLessThan(1e-6)
    expect(distance(await logits(1), own)).toBeGreaterThan(1e-4)
    // With the scale in the tensors, one graph serves any alpha.
    const free = attachLora(base, adapter.targets, { scaling: 'tensors' })
    const scaled = Object.fromEntries(
      adapter.targets.flatMap(({ module: { name }, scale }) => {
        const [A, B] = [adapter.tensors.get(loraAName(name))!, adapter.tensors.get(loraBName(name))!]
        return [
          [loraAName(name), A],
          [
            loraBName(name),
            float32(
              B.shape,
              (B.data as Float32Array).map((x) => x * scale),
            ),
          ],
        ]
      }),
    )
    const freeSession = await environment.runtime.createSession(free.graph)
    expect(distance((await freeSession.run({ ...inputs, ...scaled }))['logits']!.data as Float32Array, own)).toBeLessThan(1e-6)
    await Promise.all([session, baseSession, freeSession].map((s) => s.release()))
  })

  it('a fresh adapter is the base exactly, whatever A holds', async () => {
    const model = tinyModel(gpt2Config, environment)
    for (const initLoraWeights of [true, 'gaussian'] as const) {
      const adapter = createAdapter(model, { initLoraWeights, targetModules: 'all-linear' })
      for (const [name, { data }] of adapter.tensors)
        expect(
          (data as Float32Array).every((x) => x === 0),
          name,
        ).toBe(name.includes('lora_B'))
    }
    const values = (seed: number): number[] => Array.from(createAdapter(model, { seed }).parameters.data)
    expect(values(3)).toEqual(values(3))
    expect(values(3)).not.toEqual(values(4))
  })
})

/** The adapter's matrices cut or padded with zeros to another rank. */
function resized(adapter: Adapter, r: number): Record<string, HostTensor> {
  const entries = adapter.targets.flatMap(({ module: { name, inFeatures, outFeatures }, r: rank }) => {
    const [A, B] = [adapter.parameters.view(loraAName(name)), adapter.parameters.view(loraBName(name))]
    const a = new Float32Array(r * inFeatures)
    a.set(A.subarray(0, Math.min(r, rank) * inFeatures))
    const b = new Float32Array(outFeatures * r)
    for (let o = 0; o < outFeatures; o++) for (let k = 0; k < Math.min(r, rank); k++) b[o * r + k] = B[o * rank + k]!
    // What the zeros of B meet in A does not matter.
    const random = new Random(1)
    for (let i = rank * inFeatures; i < a.length; i++) a[i] = random.normal()
    return [
      [loraAName(name), float32([r, inFeatures], a)],
      [loraBName(name), float32([outFeatures, r], b)],
    ] as const
  })
  return Object.fromEntries(entries)
}

const distance = (a: Float32Array, b: Float32Array): number => Math.hypot(...a.map((x, i) => x - b[i]!)) / Math.hypot(...b)
