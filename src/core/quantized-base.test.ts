/** Which sessions keep weights arranged for products. */
import { expect, it } from 'vitest'
import { GraphBuilder } from '../graph/builder.js'
import { Graph } from '../graph/graph.js'
import { packsWeights } from './quantized-base.js'

/** y = x·W, with W in a file that nobody reads. */
function product(rows: number, columns: number, dtype: 'float32' | 'float16'): Graph {
  const graph = new Graph('product')
  const b = new GraphBuilder(graph)
  const x = graph.addInput('x', 'float32', ['n', rows])
  const length = rows * columns * (dtype === 'float32' ? 4 : 2)
  const W = graph.addInitializer('W', { dtype, shape: [rows, columns], file: { path: 'weights', offset: 0, length } })
  graph.outputs = [b.sumAll(b.matmul(x, b.cast(W, 'float32')))]
  return graph
}

it('a small base is arranged for speed, a large one is read in place, whatever it is stored as', () => {
  for (const dtype of ['float32', 'float16'] as const) {
    expect(packsWeights(product(1024, 1024, dtype))).toBe(true)
    expect(packsWeights(product(16384, 8192, dtype))).toBe(false)
  }
})

it('quantised products need their own arrangement', () => {
  expect(packsWeights(product(16384, 8192, 'float32'), 'int8')).toBe(true)
  expect(packsWeights(product(16384, 8192, 'float32'), 'int4')).toBe(true)
})
