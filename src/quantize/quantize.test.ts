/**
 * @file Quantised bases: the arithmetic of packing, and products against float32 products with the weights that the codes
 * stand for.
 */
import { describe, expect, it } from 'vitest'
import { differentiate } from '../autodiff/differentiate.js'
import { GraphBuilder } from '../graph/builder.js'
import { float32 } from '../graph/constants.js'
import { Graph } from '../graph/graph.js'
import type { HostTensor, Initializer } from '../graph/types.js'
import { nodeRuntime } from '../runtime/ort-node.js'
import { Random } from '../util/rng.js'
import { dequantized, planQuantization, quantizeProducts, type BaseScheme } from './index.js'
import { INT4_BLOCK, Int4Packer, Int8Packer, packedWhole, unpackInt4 } from './pack.js'

const normal = (seed: number, count: number, deviation = 1): Float32Array => {
  const random = new Random(seed)
  return Float32Array.from({ length: count }, () => random.normal(0, deviation))
}

const relativeError = (a: Float32Array, b: Float32Array): number => {
  let difference = 0
  let size = 0
  a.forEach((value, i) => {
    difference += (value - b[i]!) ** 2
    size += b[i]! ** 2
  })
  return Math.sqrt(difference / size)
}

describe('packing', () => {
  it('8 bits: within half a step of each column of its own, as stored and transposed', () => {
    const [rows, columns] = [12, 5]
    const W = normal(1, 60)
    const { asStored, transposed } = packedWhole(new Int8Packer(rows, columns), W)
    const at = (r: number, c: number): number => W[r * columns + c]!
    const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
    for (const c of range(columns))
      expect(asStored.scales[c]).toBeCloseTo(Math.max(...range(rows).map((r) => Math.abs(at(r, c)))) / 127, 7)
    for (const r of range(rows))
      expect(transposed.scales[r]).toBeCloseTo(Math.max(...range(columns).map((c) => Math.abs(at(r, c)))) / 127, 7)
    for (const r of range(rows))
      for (const c of range(columns)) {
        const [there, back] = [asStored.codes[r * columns + c]!, transposed.codes[c * rows + r]!]
        expect(Math.abs(there * asStored.scales[c]! - at(r, c))).toBeLessThanOrEqual(asStored.scales[c]! * 0.5001)
        expect(Math.abs(back * transposed.scales[r]! - at(r, c))).toBeLessThanOrEqual(transposed.scales[r]! * 0.5001)
      }
  })

  it('4 bits: both layouts of a weight give the same codes, and what fits the codes is kept exactly', () => {
    const [inFeatures, outFeatures] = [2 * INT4_BLOCK, 3]
    const packInt4 = (W: Float32Array, outputsFirst: boolean): Int4Packer =>
      packedWhole(new Int4Packer(inFeatures, outFeatures, outputsFirst), W)
    // Values on the grid of a scale of 0.5, with the largest at −8: nothing is lost.
    const grid = Float32Array.from({ length: inFeatures * outFeatures }, (_, i) =>
      i % INT4_BLOCK === 0 ? -4 : ((i % 15) - 7) / 2,
    )
    expect(unpackInt4(packInt4(grid, true))).toEqual(grid)
    const W = normal(2, inFeatures * outFeatures)
    const turned = Float32Array.from(W, (_, k) => W[(k % outFeatures) * inFeatures + Math.floor(k / outFeatures)]!)
    expect(packInt4(turned, false).contents()).toEqual(packInt4(W, true).contents())
    expect(relativeError(unpackInt4(packInt4(W, true)), W)).toBeLessThan(0.12)
  })

  it.each([
    ['8 bits', () => new Int8Packer(96, 4), 4],
    ['4 bits, outputs first', () => new Int4Packer(32, 12, true), 32],
    ['4 bits, inputs first', () => new Int4Packer(96, 4, false), 4],
  ] as const)('in slices as in one piece: %s', (_, packer, columns) => {
    const W = normal(3, 384)
    const sliced = packer()
    const rows = 384 / columns / 3
    for (const pass of sliced.passes)
      for (let firstRow = 0; firstRow < 3 * rows; firstRow += rows)
        pass({ firstRow, values: W.subarray(firstRow * columns, (firstRow + rows) * columns) })
    expect(sliced.contents()).toEqual(packedWhole(packer(), W).contents())
  })

  it('channels and blocks of zeros stay zero', () => {
    const zeros = new Float32Array(INT4_BLOCK * 2)
    expect([...unpackInt4(packedWhole(new Int4Packer(INT4_BLOCK, 2, true), zeros))].every((v) => v === 0)).toBe(true)
    expect([...packedWhole(new Int8Packer(2, INT4_BLOCK), zeros).asStored.codes].every((c) => c === 0)).toBe(true)
  })
})

interface Case {
  readonly title: string
  /** y from x, with the weights `W1` [48, 64] and `W2` [64, 32]. */
  readonly body: (
    b: GraphBuilder,
    x: ReturnType<Graph['addInput']>,
    W1: string,
    W2: string,
    bias: string,
  ) => ReturnType<Graph['addInput']>
  readonly xShape: readonly number[]
}

const cases: readonly Case[] = [
  {
    title: 'Gemm of a Linear and of a Conv1D',
    xShape: [20, 64],
    body: (b, x, W1, W2, bias) => {
      const { graph } = b
      const y = b.gemm(x, graph.value(W1), { transB: true, c: graph.value(bias) })
      return b.concat([y, b.gemm(x, graph.value(W2), { alpha: 0.5 })], 1)
    },
  },
  {
    title: 'MatMul of rank 3',
    xShape: [4, 5, 64],
    body: (b, x, W1, W2) => {
      const { graph } = b
      const y = b.matmul(x, graph.value(W1), { transB: true, alpha: 2 })
      return b.concat([y, b.matmul(x, graph.value(W2))], 2)
    },
  },
]

/** Loss and the gradient of x, with the given weights. */
function graphOf({ body, xShape }: Case, W1: Float32Array, W2: Float32Array): Graph {
  const graph = new Graph('products')
  const b = new GraphBuilder(graph)
  const x = graph.addInput('x', 'float32', xShape)
  graph.addInitializer('W1', float32([48, 64], W1))
  graph.addInitializer('W2', float32([64, 32], W2))
  graph.addInitializer('bias', float32([48], normal(9, 48)))
  const y = body(b, x, 'W1', 'W2', 'bias')
  const loss = b.sumAll(b.mul(y, y))
  graph.outputs = [loss]
  const { graph: full, gradients } = differentiate(graph, loss, [x])
  full.outputs = [loss, gradients.get('x')!]
  full.prune()
  return full
}

async function run(graph: Graph, x: HostTensor): Promise<[number, Float32Array]> {
  const session = await nodeRuntime({ threads: 1 }).createSession(graph)
  const results = Object.values(await session.run({ x }))
  await session.release()
  return [results[0]!.data[0] as number, results[1]!.data as Float32Array]
}

function quantized(graph: Graph, scheme: Exclude<BaseScheme, 'fp32'>): Graph {
  const plan = planQuantization(graph, scheme, graph.outputs[0]!.name)
  expect(plan.map(({ matrix }) => matrix.name).sort()).toEqual(['W1', 'W2'])
  const stored = new Map<string, Initializer>()
  for (const { specs, packer, matrix } of plan) {
    const contents = packedWhole(packer(), (matrix.tensor as HostTensor).data as Float32Array).contents()
    specs.forEach(({ name, dtype, shape }, i) => stored.set(name, { dtype, shape, data: contents[i]! }))
  }
  return quantizeProducts(graph, scheme, plan, (name) => stored.get(name)!)
}

/** The weight that a scheme's codes stand for in the forward product, stored as W is. */
function dequantizedAsStored(
  W: Float32Array,
  inFeatures: number,
  outFeatures: number,
  outputsFirst: boolean,
  scheme: 'int8' | 'int4',
): Float32Array {
  const plain = dequantized(W, scheme, inFeatures, outFeatures, outputsFirst)!
  return outputsFirst ? plain : W.map((_, k) => plain[(k % outFeatures) * inFeatures + Math.floor(k / outFeatures)]!)
}

describe.each(['int8', 'int4'] as const)('%s products', (scheme) => {
  it.each(cases)('$title: loss and gradient are those of the weights that the codes stand for', async (spec) => {
    const [W1, W2] = [normal(3, 48 * 64, 0.1), normal(4, 64 * 32, 0.1)]
    const x = float32(
      spec.xShape,
      normal(
        5,
        spec.xShape.reduce((p, d) => p * d, 1),
      ),
    )
    // Rows of very different sizes: a scale for the whole batch would lose the small ones.
    x.data.forEach((value, i) => ((x.data as Float32Array)[i] = Number(value) * 10 ** (Math.floor(i / 64) % 4)))
    const graph = quantized(graphOf(spec, W1, W2), scheme)
    expect(graph.nodes.filter(({ op }) => op === 'Gemm' || op === 'FusedMatMul').length).toBeLessThanOrEqual(
      scheme === 'int8' ? 0 : 2,
    )
    const [loss, gradient] = await run(graph, x)
    const reference = graphOf(spec, dequantizedAsStored(W1, 64, 48, true, scheme), dequantizedAsStored(W2, 64, 32, false, scheme))
    const [expectedLoss, expectedGradient] = await run(reference, x)
    // Eight bits of an activation leave half a percent of a row.
    expect(Math.abs(loss / expectedLoss - 1)).toBeLessThan(0.01)
    const rows = gradient.length / 64
    for (let r = 0; r < rows; r++)
      expect(relativeError(gradient.subarray(r * 64, r * 64 + 64), expectedGradient.subarray(r * 64, r * 64 + 64))).toBeLessThan(
        0.03,
      )
  })
})

it('a matrix that is read both ways, or is not constant, or small, stays in float32', () => {
  const graph = new Graph('odd')
  const b = new GraphBuilder(graph)
  const x = graph.addInput('x', 'float32', [4, 64])
  const square = graph.addInitializer('square', float32([64, 64], normal(6, 4096)))
  const tiny = graph.addInitializer('tiny', float32([64, 2], normal(7, 128)))
  const fed = graph.addInput('fed', 'float32', [64, 64])
  const y = b.gemm(b.gemm(b.gemm(x, square), square, { transB: true }), fed)
  graph.outputs = [b.sumAll(b.gemm(y, tiny))]
  for (const scheme of ['int8', 'int4'] as const) expect(planQuantization(graph, scheme, graph.outputs[0]!.name)).toEqual([])
})

it('a row of zeros gives zeros, not NaN', async () => {
  const graph = graphOf(cases[1]!, normal(3, 48 * 64), normal(4, 64 * 32))
  for (const scheme of ['int8', 'int4'] as const) {
    const [loss, gradient] = await run(quantized(graph, scheme), float32([4, 5, 64], new Float32Array(20 * 64)))
    expect(loss).toBe(0)
    expect(gradient.every((value) => value === 0)).toBe(true)
  }
})

it('what is not finite stays so', async () => {
  const graph = quantized(graphOf(cases[1]!, normal(3, 48 * 64), normal(4, 64 * 32)), 'int8')
  for (const bad of [NaN, Infinity, -Infinity]) {
    const x = float32([4, 5, 64], normal(5, 20 * 64))
    ;(x.data as Float32Array)[70] = bad
    const [loss, gradient] = await run(graph, x)
    expect(Number.isFinite(loss)).toBe(false)
    // The row it is in, and no other.
    expect(gradient.subarray(64, 128).some((value) => !Number.isFinite(value))).toBe(true)
    expect(gradient.subarray(0, 64).every(Number.isFinite) && gradient.subarray(128).every(Number.isFinite)).toBe(true)
  }
})
