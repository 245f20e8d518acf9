/**
 * @file Dropout from a seed: the share, mean and independence of its masks by counting, its gradient against finite
 * differences.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { differentiate } from '../autodiff/differentiate.js'
import { GraphBuilder } from './builder.js'
import { tensor } from './constants.js'
import { Graph } from './graph.js'
import { nodeRuntime } from '../runtime/ort-node.js'
import type { Session } from '../runtime/runtime.js'
import { Random } from '../util/rng.js'
import { dropout, mix32 } from './dropout.js'

const ROWS = 128
const FEATURES = 96
const P = 0.3
const runtime = nodeRuntime({ threads: 1 })

async function session(p: number, stream: number): Promise<Session> {
  const graph = new Graph()
  const x = graph.addInput('x', 'float32', ['rows', FEATURES])
  const seed = graph.addInput('seed', 'uint32', [1])
  graph.outputs = [dropout(new GraphBuilder(graph), x, p, seed, stream)]
  return runtime.createSession(graph)
}

/** Dropout of all ones. */
async function run(s: Session, seed: number, rows = ROWS): Promise<Float32Array> {
  const x = tensor('float32', [rows, FEATURES], new Float32Array(rows * FEATURES).fill(1))
  return Object.values(await s.run({ x, seed: tensor('uint32', [1], [seed]) }))[0]!.data as Float32Array
}

/** Share of elements that two masks have in common; independent masks agree on p² + (1 − p)². */
const agreement = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).filter((value, i) => (value === 0) === (b[i] === 0)).length / a.length

/** Four standard deviations of a share of n draws. */
const tolerance = (p: number, n: number): number => 4 * Math.sqrt((p * (1 - p)) / n)

const EXPECTED = P * P + (1 - P) * (1 - P)
const dropped = (mask: ArrayLike<number>): number => Array.from(mask).filter((value) => value === 0).length / mask.length

describe('dropout', () => {
  let first: Session
  let second: Session
  beforeAll(async () => {
    first = await session(P, 0)
    second = await session(P, 1)
  })

  it('zeroes with probability p and scales the rest, so that the mean stays', async () => {
    for (const p of [0.05, P, 0.5, 0.9]) {
      const values = await run(await session(p, 4), 7)
      expect(new Set(values)).toEqual(new Set([0, Math.fround(1 / (1 - p))]))
      expect(Math.abs(dropped(values) - p)).toBeLessThan(tolerance(p, values.length))
      const mean = values.reduce((a, b) => a + b, 0) / values.length
      expect(Math.abs(mean - 1)).toBeLessThan(tolerance(p, values.length) / (1 - p))
    }
  })

  it('is a function of the seed, whatever the number of rows', async () => {
    const mask = await run(first, 42)
    expect(await run(first, 42)).toEqual(mask)
    expect(await run(first, 42, 5)).toEqual(mask.subarray(0, 5 * FEATURES))
  })

  it.each([
    ['neighbouring seeds', async () => [await run(first, 1), await run(first, 2)]],
    ['seeds that differ in the highest bit', async () => [await run(first, 1), await run(first, 2 ** 31 + 1)]],
    ['layers', async () => [await run(first, 1), await run(second, 1)]],
    ['layers with swapped seeds', async () => [await run(first, 2), await run(second, 1)]],
  ] as const)('masks of %s are independent', async (_name, masks) => {
    const [a, b] = await masks()
    expect(Math.abs(agreement(a!, b!) - EXPECTED)).toBeLessThan(tolerance(EXPECTED, a!.length))
  })

  it('rows and columns are independent of each other, near and far', async () => {
    const mask = await run(first, 9)
    const row = (r: number): Float32Array => mask.subarray(r * FEATURES, (r + 1) * FEATURES)
    const column = (c: number): number[] => Array.from({ length: ROWS }, (_, r) => mask[r * FEATURES + c]!)
    for (const distance of [1, 2, 3, 8, 32, 64]) {
      let rows = 0
      let columns = 0
      for (let r = 0; r + distance < ROWS; r++) rows += agreement(row(r), row(r + distance)) / (ROWS - distance)
      for (let c = 0; c + distance < FEATURES; c++) columns += agreement(column(c), column(c + distance)) / (FEATURES - distance)
      expect(Math.abs(rows - EXPECTED), `rows ${distance}`).toBeLessThan(tolerance(EXPECTED, (ROWS - distance) * FEATURES))
      expect(Math.abs(columns - EXPECTED), `columns ${distance}`).toBeLessThan(tolerance(EXPECTED, (FEATURES - distance) * ROWS))
    }
    const worst = (shares: number[], n: number): void =>
      shares.forEach((share) => expect(Math.abs(share - P)).toBeLessThan(1.3 * tolerance(P, n)))
    worst(Array.from({ length: ROWS }, (_, r) => dropped(row(r))), FEATURES) // prettier-ignore
    worst(Array.from({ length: FEATURES }, (_, c) => dropped(column(c))), ROWS) // prettier-ignore
  })

  it('lets the gradient through where it lets the value through: finite differences with the same seed', async () => {
    const graph = new Graph()
    const shape = [4, 6]
    const x = graph.addInput('x', 'float32', ['rows', 6])
    const seed = graph.addInput('seed', 'uint32', [1])
    const b = new GraphBuilder(graph)
    const y = dropout(b, x, 0.4, seed, 2)
    const loss = b.sumAll(b.mul(y, b.sin(y)))
    const { graph: backward, gradients } = differentiate(graph, loss, [x])
    backward.outputs = [loss, gradients.get('x')!]
    const s = await runtime.createSession(backward)
    const random = new Random(1)
    const values = Array.from({ length: 24 }, () => random.normal())
    const at = async (numbers: readonly number[]): Promise<number[][]> =>
      Object.values(await s.run({ x: tensor('float32', shape, numbers), seed: tensor('uint32', [1], [11]) })).map((t) =>
        Array.from(t.data as Float32Array),
      )
    const gradient = (await at(values))[1]!
    for (const [i] of values.entries()) {
      const moved = async (by: number): Promise<number> => (await at(values.map((v, j) => (i === j ? v + by : v))))[0]![0]!
      const numeric = ((await moved(1e-2)) - (await moved(-1e-2))) / 2e-2
      expect(Math.abs(gradient[i]! - numeric)).toBeLessThan(2e-3)
    }
    expect(gradient.filter((g) => g === 0).length).toBeGreaterThan(3)
  })

  it('mix32 is a bijection on what it is shown: no two of 100,000 neighbours collide', () => {
    expect(new Set(Array.from({ length: 100_000 }, (_, i) => mix32(i))).size).toBe(100_000)
  })

  it('masks the rows of further axes, and columns whose number is not known, as those of a matrix', async () => {
    const [batch, heads, queries] = [2, 4, 16]
    const graph = new Graph()
    const x = graph.addInput('x', 'float32', ['batch', heads, 'queries', 'keys'])
    const seed = graph.addInput('seed', 'uint32', [1])
    graph.outputs = [dropout(new GraphBuilder(graph), x, P, seed, 0)]
    const s = await runtime.createSession(graph)
    const ones = tensor('float32', [batch, heads, queries, FEATURES], new Float32Array(ROWS * FEATURES).fill(1))
    const { data } = Object.values(await s.run({ x: ones, seed: tensor('uint32', [1], [42]) }))[0]!
    expect(data).toEqual(await run(first, 42))
  })

  it('refuses what has no axis of features, or of unknown rank', () => {
    const graph = new Graph()
    const b = new GraphBuilder(graph)
    const seed = graph.addInput('seed', 'uint32', [1])
    expect(() => dropout(b, graph.addInput('x', 'float32', ['rows']), 0.1, seed, 0)).toThrow(
      'dropout needs an array [.., features] of known rank, got "x" [rows]',
    )
    expect(() => dropout(b, graph.declare('y', 'float32', undefined), 0.1, seed, 0)).toThrow('got "y"')
  })
})
