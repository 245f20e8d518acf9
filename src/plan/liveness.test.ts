/** @file Memory of values that live at the same time, by hand, and the lengths of symbolic dimensions. */
import { describe, expect, it } from 'vitest'
import { BoundDims } from './bind-dims.js'
import { GraphBuilder } from '../graph/builder.js'
import { Graph } from '../graph/graph.js'
import { executionOrder, liveMemory } from './liveness.js'
import { planSplit, splitAlong } from '../graph/split-dimension.js'

/** x [n] → a = Transpose(x), b = Transpose(a), c = Concat(a, b), out = ReduceSum(c); float32, n = 100. */
function diamond(): { graph: Graph; dims: BoundDims } {
  const graph = new Graph()
  const b = new GraphBuilder(graph)
  const x = graph.addInput('x', 'float32', ['n', 4])
  const first = b.transpose(x, [1, 0])
  const second = b.transpose(first, [1, 0])
  const joined = b.concat([b.transpose(second, [1, 0]), first], 0)
  graph.outputs = [b.sumAll(joined)]
  return { graph, dims: new BoundDims(graph, { n: 100 }) }
}

describe('liveMemory', () => {
  it('counts what is alive at the same time, by hand', () => {
    const { graph, dims } = diamond()
    // first, second and the third transposition have 1,600 bytes each, their concatenation 3,200. While it is made, first
    // and the third live beside it (second is gone): 6,400.
    expect(liveMemory(graph, dims).peakBytes).toBe(6400)
    expect(liveMemory(graph, dims).largestBytes).toBe(3200)
  })

  it('lets element-wise operators write over what nobody reads any more', () => {
    const graph = new Graph()
    const b = new GraphBuilder(graph)
    const x = graph.addInput('x', 'float32', [10])
    graph.outputs = [b.exp(b.exp(b.exp(x)))]
    expect(liveMemory(graph, new BoundDims(graph, {})).peakBytes).toBe(40)
    const kept = b.exp(x)
    // `kept` is an output: its successor needs a block of its own.
    graph.outputs = [b.sqrt(kept), kept]
    graph.prune()
    expect(liveMemory(graph, new BoundDims(graph, {})).peakBytes).toBe(80)
  })

  it('gives views no memory, but keeps what they look at', () => {
    const graph = new Graph()
    const b = new GraphBuilder(graph)
    const x = graph.addInput('x', 'float32', [2, 10])
    const moved = b.transpose(x, [1, 0])
    const view = b.reshape(moved, [20])
    const other = b.transpose(b.transpose(x, [1, 0]), [1, 0])
    graph.outputs = [view, other]
    graph.prune()
    const dims = new BoundDims(graph, {})
    // In the order of the list: what the view looks at (80), and two more while the second is made from the first (160).
    expect(liveMemory(graph, dims, graph.nodes).peakBytes).toBe(240)
    // The runtime begins with the last output: two while it is made, then it and what the view looks at.
    expect(liveMemory(graph, dims).peakBytes).toBe(160)
  })

  it('runs each node after what it reads, whatever the order of the list', () => {
    const { graph } = diamond()
    const made = new Set(['x', ...graph.initializers.keys()])
    const order = executionOrder(graph)
    expect(order).toHaveLength(graph.nodes.length)
    for (const node of order) {
      for (const input of node.inputs) expect(made.has(input) || input === '').toBe(true)
      for (const output of node.outputs) made.add(output)
    }
  })
})

describe('BoundDims', () => {
  it('knows products, sums and parts', () => {
    const graph = new Graph()
    const b = new GraphBuilder(graph)
    const x = graph.addInput('x', 'float32', ['batch', 'sequence'])
    const pieces = splitAlong(b, x, 1, planSplit(b, 'sequence', b.dim('sequence'), 3))
    graph.outputs = pieces
    const dims = new BoundDims(graph, { batch: 2, sequence: 11 })
    expect(pieces.map(({ shape }) => dims.of(shape![1]!))).toEqual([3, 3, 5])
    expect(dims.of('sequence/0-1')).toBe(6)
    expect(dims.of('sequence/1+sequence/2')).toBe(8)
    expect(dims.of('3*batch*sequence')).toBe(66)
    expect(dims.of('(2·sequence+1)')).toBe(23)
    expect(dims.bytes(pieces[2]!)).toBe(40)
  })

  it('refuses a name that has no length', () => {
    const graph = new Graph()
    expect(() => new BoundDims(graph, { batch: 2 }).of('time')).toThrow('the length "time" is not known before the run')
  })
})
