/** @file ReduceLogSumExp by way of a shared softmax, against its formula in float64. */
import { expect, it } from 'vitest'
import { testEnvironment } from '../../test/support/environment.js'
import { GraphBuilder } from '../graph/builder.js'
import { float32 } from '../graph/constants.js'
import { Graph } from '../graph/graph.js'
import { int } from '../graph/types.js'
import { lowerLogSumExp } from './log-sum-exp.js'

const { runtime } = testEnvironment()

/** Rows that are small, equal, far from zero, and of one outstanding element. */
const rows = [
  [0.1, -0.2, 0.3],
  [2, 2, 2],
  [-900, -901, -902],
  [500, -500, 0],
]
const expected = rows.map((row) => {
  const largest = Math.max(...row)
  return largest + Math.log(row.reduce((sum, x) => sum + Math.exp(x - largest), 0))
})

function graphOf(keepdims: number, axis: number): Graph {
  const graph = new Graph('normalizer')
  const b = new GraphBuilder(graph)
  const x = graph.addInput('x', 'float32', ['rows', 3])
  graph.outputs = [b.emit('ReduceLogSumExp', [x, b.int64s([axis])], { keepdims: int(keepdims) }), b.softmax(x)]
  return graph
}

it.each([-1, 1])('ln Σ eˣ by the largest probability, with one softmax for everybody (axis %i)', async (axis) => {
  const graph = lowerLogSumExp(graphOf(1, axis))
  expect(graph.nodes.map(({ op }) => op)).not.toContain('ReduceLogSumExp')
  expect(graph.nodes.filter(({ op }) => op === 'Softmax')).toHaveLength(1)
  const session = await runtime.createSession(graph)
  const [normalizer, softmax] = graph.outputs.map(({ name }) => name) as [string, string]
  const results = await session.run({ x: float32([4, 3], Float32Array.from(rows.flat())) })
  await session.release()
  expect(results[normalizer]!.shape).toEqual([4, 1])
  expected.forEach((value, i) =>
    expect(Math.abs(Number(results[normalizer]!.data[i]) - value)).toBeLessThan(1e-6 * Math.abs(value)),
  )
  rows.flat().forEach((x, i) => {
    const p = Math.exp(x - expected[Math.floor(i / 3)]!)
    expect(Math.abs(Number(results[softmax]!.data[i]) - p)).toBeLessThan(1e-6)
  })
})

it.each([
  [0, 1],
  [1, 0],
])('other reductions stay as they are (keepdims %i, axis %i)', (keepdims, axis) => {
  const graph = graphOf(keepdims, axis)
  expect(lowerLogSumExp(graph)).toBe(graph)
})
