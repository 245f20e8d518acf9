/** @file Every loss against PyTorch's value and gradient, and against its own finite differences. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { testEnvironment } from '../../test/support/environment.js'
import { differentiate } from '../autodiff/differentiate.js'
import { ShapeError } from '../errors.js'
import { tensor } from '../graph/constants.js'
import { Graph } from '../graph/graph.js'
import type { HostTensor, Value } from '../graph/types.js'
import type { SummedLoss } from './attach.js'
import { summedCrossEntropy } from './cross-entropy.js'
import { binaryCrossEntropy, squaredError } from './element-wise.js'
import type { Pooling } from './embedding.js'
import { rDropLoss } from './r-drop.js'
import { contrastiveLoss, cosineScoreLoss } from './similarity.js'
import { spanLoss } from './span.js'

interface Case {
  readonly shape: readonly number[]
  readonly x: readonly number[]
  readonly mean: number
  readonly count: number
  readonly gradient: readonly number[]
  readonly pooling?: Pooling
  readonly weight?: number
  readonly labels: Record<string, { shape: readonly number[]; values: readonly number[]; integer: boolean }>
}

const fixture = resolve(import.meta.dirname, '../../test/fixtures/losses.json')
const { cases } = JSON.parse(readFileSync(fixture, 'utf8')) as { cases: Record<string, Case> }
const { runtime } = testEnvironment()

function build(name: string, { shape, pooling, weight }: Case): { loss: SummedLoss; x: Value } {
  const graph = new Graph(name)
  const rest = shape.slice(1)
  const symbolic = name.startsWith('question') || name.startsWith('token') || pooling !== undefined
  const x = graph.addInput('x', 'float32', symbolic ? ['batch', 'sequence', rest[1]!] : ['batch', ...rest])
  graph.outputs = [x]
  switch (name.split(' ')[0]) {
    case 'cross-entropy':
    case 'token-classification':
      return { loss: summedCrossEntropy(graph, x), x }
    case 'binary-cross-entropy':
      return { loss: binaryCrossEntropy(graph, x), x }
    case 'regression':
      return { loss: squaredError(graph, x), x }
    case 'r-drop':
      return { loss: rDropLoss(graph, x, weight!), x }
    case 'question-answering':
      return { loss: spanLoss(graph, x), x }
    default: {
      const attentionMask = graph.addInput('attention_mask', 'int64', ['batch', 'sequence'])
      const output = { states: x, attentionMask, pooling: pooling! }
      return { loss: name.startsWith('cosine') ? cosineScoreLoss(graph, output) : contrastiveLoss(graph, output), x }
    }
  }
}

async function run(name: string, given: Case, xs: readonly (readonly number[])[]) {
  const { loss, x } = build(name, given)
  const { graph, gradients } = differentiate(loss.graph, loss.loss, [x])
  graph.outputs = [loss.loss, gradients.get('x')!]
  graph.prune()
  const inputs = new Set(graph.inputs.map((input) => input.name))
  const labels = Object.entries(given.labels)
    .filter(([key]) => inputs.has(key))
    .map(([key, { shape, values, integer }]): [string, HostTensor] => [key, tensor(integer ? 'int64' : 'float32', shape, values)])
  const session = await runtime.createSession(graph)
  const results: { loss: number; gradient: Float32Array }[] = []
  for (const values of xs) {
    const result = await session.run({ x: tensor('float32', given.shape, values), ...Object.fromEntries(labels) })
    const [sum, gradient] = graph.outputs.map((output) => result[output.name]!)
    results.push({ loss: sum!.data[0] as number, gradient: gradient!.data as Float32Array })
  }
  await session.release()
  return results
}

describe.each(Object.keys(cases))('%s', (name) => {
  const given = cases[name]!

  it('is what PyTorch computes, value and gradient', async () => {
    const [result] = await run(name, given, [given.x])
    expect(Math.abs(result!.loss / given.count - given.mean)).toBeLessThan(1e-5 * Math.max(1, given.mean))
    const scale = Math.hypot(...given.gradient)
    const distance = Math.hypot(...given.gradient.map((g, i) => g - result!.gradient[i]! / given.count))
    expect(distance).toBeLessThan(1e-5 * scale + 1e-7)
  })

  it('has the gradient of its finite differences', async () => {
    const step = 2 ** -7
    // Along a few directions: every element enters each of them.
    const directions = [0, 1, 2].map((d) => given.x.map((_, i) => Math.sin(1 + i * (d + 1) * 1.7)))
    const moved = directions.flatMap((u) => [step, -step].map((h) => given.x.map((x, i) => x + h * u[i]!)))
    const [here, ...there] = await run(name, given, [given.x, ...moved])
    directions.forEach((u, d) => {
      const slope = (there[2 * d]!.loss - there[2 * d + 1]!.loss) / (2 * step)
      const expected = u.reduce((sum, v, i) => sum + v * here!.gradient[i]!, 0)
      expect(Math.abs(slope - expected)).toBeLessThan(2e-3 * Math.max(1, Math.hypot(...here!.gradient)))
    })
  })
})

describe('padding', () => {
  it('behind a row changes no loss of answers', async () => {
    const given = cases['question-answering']!
    const [rows, width] = given.shape as [number, number]
    const wide = Array.from({ length: rows * (width + 3) * 2 }, (_, i) => {
      const [row, place] = [Math.floor(i / ((width + 3) * 2)), i % ((width + 3) * 2)]
      return place < width * 2 ? given.x[row * width * 2 + place]! : 7
    })
    const [narrow] = await run('question-answering', given, [given.x])
    const [padded] = await run('question-answering', { ...given, shape: [rows, width + 3, 2] }, [wide])
    expect(padded!.loss).toBeCloseTo(narrow!.loss, 5)
  })

  it('embeddings without length have a finite gradient', async () => {
    const given = cases['contrastive mean']!
    const [result] = await run('contrastive mean', given, [given.x.map(() => 0)])
    expect(result!.gradient.every(Number.isFinite)).toBe(true)
  })
})

it('refuses outputs of another rank', () => {
  const graph = new Graph('rank')
  const x = graph.addInput('x', 'float32', ['batch'])
  expect(() => squaredError(graph, x)).toThrow(ShapeError)
  expect(() => spanLoss(graph, x)).toThrow('the logits "x" must be [batch, sequence, 2], they are [batch]')
  const mask = graph.addInput('mask', 'int64', ['batch', 'sequence'])
  expect(() => contrastiveLoss(graph, { states: x, attentionMask: mask, pooling: 'mean' })).toThrow(
    'the embeddings "x" must be [batch, sequence, hidden], they are [batch]',
  )
})
