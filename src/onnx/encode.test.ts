/**
 * @file Which values inside of a graph an encoded file declares: those that were built, not those whose shapes were inferred.
 */
import { expect, it } from 'vitest'
import { testEnvironment } from '../../test/support/environment.js'
import { GraphBuilder } from '../graph/builder.js'
import { float32 } from '../graph/constants.js'
import { Graph } from '../graph/graph.js'
import { decodeModel } from './decode.js'
import { encodeModel } from './encode.js'

/** y = −(a + a), with a name in between that may be declared. */
function graphOf(inferred: boolean, length: string): Graph {
  const graph = new Graph('inner')
  const b = new GraphBuilder(graph)
  const a = graph.addInput('a', 'float32', ['rows', 3])
  const sum = b.emit('Add', [a, a], {}, { name: 'sum', shapes: [[length, 3]] })
  graph.outputs = [b.neg(sum)]
  graph.inferred = inferred
  return graph
}

const declared = (graph: Graph): unknown =>
  decodeModel(encodeModel(graph, undefined, { innerShapes: true })).values.get('sum')?.shape

it('declares values inside of a graph that was built, with the names of their lengths', () => {
  expect(declared(graphOf(false, 'rows'))).toEqual(['rows', 3])
  expect(decodeModel(encodeModel(graphOf(false, 'rows'))).values.has('sum')).toBe(false)
})

it('not of one whose shapes were inferred, for a name may stand for several lengths there', async () => {
  expect(declared(graphOf(true, 'rows'))).toBeUndefined()
  expect(declared(graphOf(true, 'rows').clone())).toBeUndefined()
  const session = await testEnvironment().runtime.createSession(graphOf(true, 'wrong'))
  const results = await session.run({ a: float32([2, 3], new Float32Array(6).fill(1)) })
  await session.release()
  expect([...Object.values(results)[0]!.data]).toEqual(Array(6).fill(-2))
})
