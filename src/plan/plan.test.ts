/** @file Weights, work and seconds that a plan counts, by hand on small graphs. */
import { describe, expect, it } from 'vitest'
import { BoundDims } from './bind-dims.js'
import { GraphBuilder } from '../graph/builder.js'
import { float32 } from '../graph/constants.js'
import { Graph } from '../graph/graph.js'
import type { Value } from '../graph/types.js'
import { secondsOf } from './rates.js'
import { weightMemory } from './weights.js'
import { noOperations, workOf } from './work.js'

/** Two products with W [8, 6], one as it is and one transposed, and an addition; x [n, 8]. */
function twoProducts(lookUp = false): Graph {
  const graph = new Graph()
  const b = new GraphBuilder(graph)
  const x = graph.addInput('x', 'float32', ['n', 8])
  const W = b.constant(float32([8, 6], new Float32Array(48)), 'W')
  const y = b.gemm(x, W)
  const back = b.gemm(y, W, { transB: true })
  graph.outputs = [b.add(back, x)]
  if (lookUp) graph.outputs.push(b.gather(W, graph.addInput('ids', 'int64', ['k'])))
  return graph
}

describe('weightMemory', () => {
  it('counts a packed copy for each direction, and the stored matrix only if something else reads it', () => {
    expect(weightMemory(twoProducts())).toEqual({ plainBytes: 0, packedBytes: 2 * 48 * 4 })
    expect(weightMemory(twoProducts(true))).toEqual({ plainBytes: 48 * 4, packedBytes: 2 * 48 * 4 })
  })

  it('counts a table of which rows are looked up', () => {
    const graph = new Graph()
    const b = new GraphBuilder(graph)
    const table = b.constant(float32([1000, 4], new Float32Array(4000)), 'table')
    graph.outputs = [b.gather(table, graph.addInput('ids', 'int64', ['n']))]
    expect(weightMemory(graph)).toEqual({ plainBytes: 16000, packedBytes: 0 })
  })
})

describe('workOf', () => {
  it('counts operations of products and bytes of the rest, by hand', () => {
    const graph = new Graph()
    const b = new GraphBuilder(graph)
    const x = graph.addInput('x', 'float32', ['n', 80])
    const W = b.constant(float32([80, 60], new Float32Array(4800)), 'W')
    const back = b.gemm(b.gemm(x, W), W, { transB: true })
    graph.outputs = [b.add(back, x)]
    const work = workOf(graph, new BoundDims(graph, { n: 10 }))
    // 2·10·80·60 forward and as many backward; the addition reads two [10, 80] arrays and writes one.
    expect(work.operations).toEqual({ ...noOperations, fp32: 2 * 2 * 10 * 80 * 60 })
    expect(work.movedBytes).toBe(3 * 10 * 80 * 4)
    expect(work.nodes).toBe(3)
  })

  it('takes a thin product, such as one with A, for the bytes it reads and writes', () => {
    const graph = twoProducts()
    const work = workOf(graph, new BoundDims(graph, { n: 10 }))
    expect(work.operations).toEqual(noOperations)
    // x [10, 8], W [8, 6] and y [10, 6], twice, and the addition of two [10, 8].
    expect(work.movedBytes).toBe(4 * (2 * (80 + 48 + 60) + 3 * 80))
  })

  it('counts products of batches by themselves', () => {
    const graph = new Graph()
    const b = new GraphBuilder(graph)
    const [q, k] = ['q', 'k'].map((name) => graph.addInput(name, 'float32', [3, 'n', 64])) as [Value, Value]
    graph.outputs = [b.matmul(q, k, { transB: true })]
    expect(workOf(graph, new BoundDims(graph, { n: 70 })).operations).toEqual({ ...noOperations, batched: 2 * 3 * 70 * 70 * 64 })
  })

  it('refuses rates that lack a kind of its work', () => {
    const work = { operations: { ...noOperations, batched: 1 }, movedBytes: 0, nodes: 0 }
    expect(() => secondsOf(work, { products: { fp32: 1e9 }, bytesPerSecond: 1, secondsPerNode: 1 })).toThrow(
      'the rates of the machine have none for "batched"',
    )
  })

  it('adds up to seconds', () => {
    const work = { operations: { ...noOperations, fp32: 2e9, int8: 4e9 }, movedBytes: 1e9, nodes: 0 }
    expect(secondsOf(work, { products: { fp32: 1e9, int8: 4e9 }, bytesPerSecond: 2e9, secondsPerNode: 1 })).toBeCloseTo(3.5, 12)
  })
})
