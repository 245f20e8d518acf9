/** @file Encoders with every head and odd options against transformers; see test/oracle/write-encoders.py. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { attachLora } from '../../src/adapters/lora.js'
import { differentiate } from '../../src/autodiff/index.js'
import { GraphBuilder } from '../../src/graph/builder.js'
import { float32, tensor } from '../../src/graph/constants.js'
import { elementCount, type Initializer } from '../../src/graph/types.js'
import type { Json } from '../../src/models/config-reader.js'
import { buildModel } from '../../src/models/registry.js'
import { logBucket } from '../../src/models/relative-positions.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import { configOf, formulaWeights } from './cases.js'
import { relativeError } from './golden.js'

interface Numbers {
  readonly shape: readonly number[]
  readonly data: readonly number[]
}

interface EncoderCase {
  readonly config: Record<string, Json>
  /** PyTorch's parameters. */
  readonly weights: readonly string[]
  /** PyTorch's linear layers, embeddings and convolutions. */
  readonly modules: readonly string[]
  readonly feeds: Readonly<Record<string, Numbers>>
  readonly output: Numbers
  /** Of the sum of the squared outputs, by some weights. */
  readonly gradients: Readonly<Record<string, readonly number[]>>
}

interface EncoderCases {
  readonly buckets: readonly { buckets: number; maxDistance: number; rows: readonly number[] }[]
  readonly cases: Readonly<Record<string, EncoderCase>>
}

const { buckets, cases } = JSON.parse(readFileSync('test/fixtures/models/encoders.json', 'utf8')) as EncoderCases
const runtime = nodeRuntime({ threads: 1 })

const feedsOf = (reference: EncoderCase): Record<string, ReturnType<typeof tensor>> =>
  Object.fromEntries(
    Object.entries(reference.feeds).map(([name, { shape, data }]) => [
      name,
      tensor(name === 'pixel_values' ? 'float32' : 'int64', shape, data),
    ]),
  )

async function outputOf(reference: EncoderCase, weights: ReadonlyMap<string, Initializer>): Promise<ArrayLike<number>> {
  const { graph, output } = buildModel(configOf(reference.config), weights, { mode: 'full' }, 'weights')
  const session = await runtime.createSession(graph)
  const results = await session.run(feedsOf(reference))
  await session.release()
  return results[output.name]!.data as Float32Array
}

describe.each(Object.entries(cases))('transformers %s', (_, reference) => {
  const config = configOf(reference.config)
  const weights = formulaWeights(config)

  it('asks for exactly the parameters that PyTorch has, and names its modules so', () => {
    expect([...weights.keys()].sort()).toEqual([...reference.weights].sort())
    const { graph } = buildModel(config, weights, { mode: 'full' }, 'weights')
    expect([...graph.modules.keys()].sort()).toEqual([...reference.modules].sort())
    expect(graph.inputs.map((input) => input.name).sort()).toEqual(Object.keys(reference.feeds).sort())
  })

  it('gives the same output and gradients', async () => {
    const { graph, output } = buildModel(config, weights, { mode: 'full' }, 'weights')
    expect(output.name).toBe(
      /(Model)$/.test((reference.config['architectures'] as string[])[0]!) ? 'last_hidden_state' : 'logits',
    )
    const wanted = Object.keys(reference.gradients)
    const trained = wanted.map((weight) => graph.promoteToInput(weight))
    const b = new GraphBuilder(graph)
    const loss = b.sumAll(b.mul(output, output))
    const step = wanted.length === 0 ? { graph, gradients: new Map() } : differentiate(graph, loss, trained)
    step.graph.outputs = [output, ...step.gradients.values()]
    const session = await runtime.createSession(step.graph)
    const results = await session.run({ ...feedsOf(reference), ...Object.fromEntries(wanted.map((n) => [n, weights.get(n)!])) })
    await session.release()
    expect(results[output.name]!.shape).toEqual(reference.output.shape)
    expect(relativeError(results[output.name]!.data as Float32Array, reference.output.data)).toBeLessThan(2e-6)
    for (const [weight, gradient] of step.gradients)
      expect(relativeError(results[gradient.name]!.data as Float32Array, reference.gradients[weight]!), weight).toBeLessThan(1e-5)
  })
})

describe('names of other versions', () => {
  const renamed = (reference: EncoderCase, rename: (name: string) => string): Map<string, Initializer> =>
    new Map([...formulaWeights(configOf(reference.config))].map(([name, weight]) => [rename(name), weight]))

  it.each<[string, (name: string) => string]>([
    [
      'bert-regression',
      (name) => name.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta'),
    ],
    ['bert-pooled', (name) => `bert.${name}`],
    ['distilbert-bare', (name) => `distilbert.${name}`],
    ['deberta-bare', (name) => `deberta.${name}`],
    ['roberta-tokens', (name) => name.replace('roberta.', '')],
    ['vit-pooled', (name) => `vit.${name}`],
    [
      'vit-oblong',
      (name) =>
        name
          .replace('layers.', 'encoder.layer.')
          .replace(/attention\.q_proj/, 'attention.attention.query')
          .replace(/attention\.k_proj/, 'attention.attention.key')
          .replace(/attention\.v_proj/, 'attention.attention.value')
          .replace('attention.o_proj', 'attention.output.dense')
          .replace('mlp.fc1', 'intermediate.dense')
          .replace('mlp.fc2', 'output.dense'),
    ],
  ])('%s', async (name, rename) => {
    const reference = cases[name]!
    const weights = renamed(reference, rename)
    expect([...weights.keys()].sort()).not.toEqual([...reference.weights].sort())
    expect(relativeError(await outputOf(reference, weights), reference.output.data)).toBeLessThan(2e-6)
  })
})

describe('adapters on layers that run twice and on convolutions', () => {
  it.each<[string, RegExp]>([
    ['deberta-xlarge', /(query|key)_proj$|conv\.conv$|embed_proj$/],
    ['deberta-apart', /pos_(query|key)_proj$/],
    ['vit-oblong', /projection$|o_proj$/],
  ])('%s: the same beside the weight and in it', async (name, pattern) => {
    const reference = cases[name]!
    const config = configOf(reference.config)
    const weights = formulaWeights(config)
    const { graph, output } = buildModel(config, weights, { mode: 'full' }, 'weights')
    const targets = [...graph.modules.values()]
      .filter((module) => pattern.test(module.name))
      .map((module) => ({ module, r: 2, alpha: 3, scale: 1.5 }))
    expect(targets.length).toBeGreaterThan(2)
    const attached = attachLora(graph, targets, { scaling: 'graph' })
    const parameters = attached.parameters.map((value, k) => {
      const shape = value.shape!.map((dim) => (typeof dim === 'number' ? dim : 2))
      return tensor(
        'float32',
        shape,
        Array.from({ length: elementCount(shape) }, (_, i) => 0.3 * Math.sin(k + 1.3 * i)),
      )
    })
    const session = await runtime.createSession(attached.graph)
    const fed = Object.fromEntries(attached.parameters.map((value, k) => [value.name, parameters[k]!]))
    const beside = (await session.run({ ...feedsOf(reference), ...fed }))[output.name]!.data as Float32Array
    await session.release()

    const merged = new Map<string, Initializer>(weights)
    targets.forEach(({ module, scale }, t) => {
      const { shape, data } = weights.get(module.weight)!
      const [A, B] = [parameters[2 * t]!.data, parameters[2 * t + 1]!.data]
      const columns = data.length / shape[0]!
      const product = (i: number): number =>
        [0, 1].reduce((sum, r) => sum + Number(B[2 * Math.floor(i / columns) + r]) * Number(A[r * columns + (i % columns)]), 0)
      merged.set(
        module.weight,
        float32(
          shape,
          Float32Array.from(data as Float32Array, (w, i) => w + scale * product(i)),
        ),
      )
    })
    const inside = await outputOf(reference, merged)
    expect(relativeError(beside, inside)).toBeLessThan(2e-6)
    expect(relativeError(beside, reference.output.data)).toBeGreaterThan(1e-3)
  })
})

it('an image of another size is refused, naming both sizes', async () => {
  const reference = cases['vit-rest']!
  const config = configOf(reference.config)
  const { graph } = buildModel(config, formulaWeights(config), { mode: 'full' }, 'weights')
  const session = await runtime.createSession(graph)
  const attempt = session.run({ pixel_values: float32([1, 3, 8, 9], new Float32Array(216)) })
  await expect(attempt).rejects.toThrow(/pixel_values[\s\S]*Got: 8 Expected: 9/)
  await session.release()
})

describe('log buckets of DeBERTa', () => {
  it.each(buckets)('$buckets buckets up to $maxDistance', ({ rows, ...config }) => {
    const ours = rows.map((_, i) => logBucket(4 * i, { ...config, span: config.buckets }))
    expect(ours).toEqual(rows)
    expect(rows.map((_, i) => logBucket(-4 * i, { ...config, span: config.buckets }) + 0)).toEqual(rows.map((row) => -row + 0))
  })
})
