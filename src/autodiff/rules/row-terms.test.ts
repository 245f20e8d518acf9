/** @file The gradient of a cross-entropy as terms: where it is taken apart, and what that is worth in 8 bits. */
import { describe, expect, it } from 'vitest'
import { testEnvironment } from '../../../test/support/environment.js'
import { GraphBuilder } from '../../graph/builder.js'
import { float32, int64 } from '../../graph/constants.js'
import { Graph } from '../../graph/graph.js'
import { int, isFileTensor, type HostTensor, type Initializer, type Value } from '../../graph/types.js'
import { lowerLogSumExp } from '../../lower/log-sum-exp.js'
import { planQuantization, quantizeProducts } from '../../quantize/index.js'
import { packedWhole } from '../../quantize/pack.js'
import { Random } from '../../util/rng.js'
import { differentiate } from '../differentiate.js'

const { runtime } = testEnvironment()
const [ROWS, WIDTH, CLASSES] = [6, 32, 1000]

type Loss = (b: GraphBuilder, logits: Value, at: Value) => Value

const pick = (b: GraphBuilder, x: Value, at: Value): Value => b.emit('GatherElements', [x, at], { axis: int(1) })
const normalizer = (b: GraphBuilder, x: Value): Value => b.emit('ReduceLogSumExp', [x, b.int64s([-1])])

const byNormalizer: Loss = (b, logits, at) => b.sub(pick(b, logits, at), normalizer(b, logits))
const byLogSoftmax: Loss = (b, logits, at) => pick(b, b.emit('LogSoftmax', [logits], { axis: int(-1) }), at)
const smoothed: Loss = (b, logits, at) =>
  b.sub(b.add(b.mul(pick(b, logits, at), 0.9), b.mul(b.emit('ReduceMean', [logits, b.int64s([-1])]), 0.1)), normalizer(b, logits))
const softCapped: Loss = (b, logits, at) => {
  const capped = b.mul(b.tanh(b.div(logits, 30)), 30)
  return b.sub(pick(b, capped, at), normalizer(b, capped))
}

/** Loss and gradient of x, [rows, 32], under a head of 1000 classes. */
function graphOf(loss: Loss, { trained = false, transB = true }: { trained?: boolean; transB?: boolean } = {}): Graph {
  const graph = new Graph('head')
  const b = new GraphBuilder(graph)
  const x = graph.addInput('x', 'float32', ['rows', WIDTH])
  const at = graph.addInput('at', 'int64', ['rows', 1])
  const random = new Random(3)
  const data = Float32Array.from({ length: CLASSES * WIDTH }, () => random.normal(0, 0.3))
  const shape = transB ? [CLASSES, WIDTH] : [WIDTH, CLASSES]
  const W = trained ? graph.addInput('W', 'float32', shape) : graph.addInitializer('W', float32(shape, data))
  const value = b.neg(b.sumAll(loss(b, b.gemm(x, W, { transB }), at)))
  const { graph: full, gradients } = differentiate(graph, value, trained ? [x, W] : [x])
  full.outputs = [value, ...gradients.values()]
  full.prune()
  return full
}

const looksUp = (graph: Graph): boolean => graph.nodes.some(({ op, inputs }) => op === 'Gather' && inputs[0] === 'W')

describe('the label is a row of the matrix', () => {
  it.each([
    ['a normaliser', byNormalizer],
    ['LogSoftmax', byLogSoftmax],
    ['a smoothed label', smoothed],
    ['a soft cap', softCapped],
  ] as const)('behind %s', (_, loss) => {
    for (const transB of [true, false]) expect(looksUp(graphOf(loss, { transB }))).toBe(true)
  })

  it('but not where the matrix is trained, and needs the gradient whole', () => {
    expect(looksUp(graphOf(byNormalizer, { trained: true }))).toBe(false)
  })

  it('nor where numbers are picked from some rows alone', () => {
    const some: Loss = (b, logits, at) => pick(b, logits, b.slice(at, 0, 0, 2))
    expect(looksUp(graphOf(some))).toBe(false)
  })
})

function quantized(graph: Graph): Graph {
  const plan = planQuantization(graph, 'int8', graph.outputs[0]!.name)
  const stored = new Map<string, Initializer>()
  for (const { specs, packer, matrix } of plan) {
    if (isFileTensor(matrix.tensor)) throw new Error('the weights of this test are in memory')
    const contents = packedWhole(packer(), matrix.tensor.data as Float32Array).contents()
    specs.forEach(({ name, dtype, shape }, i) => stored.set(name, { dtype, shape, data: contents[i]! }))
  }
  return quantizeProducts(graph, 'int8', plan, (name) => stored.get(name)!)
}

async function gradientOf(graph: Graph, feeds: Readonly<Record<string, HostTensor>>): Promise<Float32Array> {
  const session = await runtime.createSession(lowerLogSumExp(graph))
  const results = await session.run(feeds)
  await session.release()
  return results[graph.outputs[1]!.name]!.data as Float32Array
}

it.each([
  ['a normaliser', byNormalizer],
  ['LogSoftmax', byLogSoftmax],
  ['a smoothed label', smoothed],
  ['a soft cap', softCapped],
] as const)('8 bits hold the gradient of each row, of labels that are certain and that are not: %s', async (_, loss) => {
  const random = new Random(5)
  const weights = new Random(3)
  const W = Float32Array.from({ length: CLASSES * WIDTH }, () => weights.normal(0, 0.3))
  const labels = Array.from({ length: ROWS }, (_row, i) => 37 * (i + 1))
  // The first rows point at their label's row of W more and more: probabilities from 1/1000 to nearly 1.
  const x = Float32Array.from({ length: ROWS * WIDTH }, (_x, k) => {
    const row = Math.floor(k / WIDTH)
    return random.normal(0, 0.5) + row * 0.8 * W[labels[row]! * WIDTH + (k % WIDTH)]!
  })
  const feeds = { x: float32([ROWS, WIDTH], x), at: int64([ROWS, 1], labels) }
  const graph = graphOf(loss)
  const exact = await gradientOf(graph, feeds)
  const rounded = await gradientOf(quantized(graph), feeds)
  for (let row = 0; row < ROWS; row++) {
    const range = [row * WIDTH, (row + 1) * WIDTH] as const
    const [a, b] = [exact.subarray(...range), rounded.subarray(...range)]
    const error = Math.hypot(...a.map((value, i) => value - b[i]!)) / Math.hypot(...a)
    expect(error, `row ${row}`).toBeLessThan(0.06)
  }
})
