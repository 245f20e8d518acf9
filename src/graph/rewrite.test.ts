/** @file Rewriting keeps names and shapes, whatever a replacement gives. */
import { expect, it } from 'vitest'
import { GraphBuilder } from './builder.js'
import { Graph } from './graph.js'
import { inTable, rewrite } from './rewrite.js'

function sample(): Graph {
  const graph = new Graph()
  const b = new GraphBuilder(graph)
  const x = graph.addInput('x', 'float32', ['n', 2])
  const y = b.emit('Abs', [b.neg(x)], {}, { name: 'y' })
  graph.outputs = [y, b.emit('Sign', [y], {}, { name: 's' }), b.emit('Abs', [x], {}, { name: 'z' })]
  return graph
}

it('gives new values the names of the old ones, and a value that was there a copy', () => {
  const graph = sample()
  const table = inTable({ Abs: ({ b, input, shared }) => shared(input(0).name, () => b.max(input(0), b.neg(input(0)))), Sign: ({ input }) => input(0) }) // prettier-ignore
  const result = rewrite(graph, 'test', table)
  expect(result.outputs).toEqual(graph.outputs)
  expect(result.nodes.map(({ op, outputs }) => [op, outputs[0]]).filter(([, name]) => 'ysz'.includes(name!))).toEqual([
    ['Max', 'y'],
    ['Identity', 's'],
    ['Max', 'z'],
  ])
  expect(result.value('y')).toEqual({ name: 'y', dtype: 'float32', shape: ['n', 2] })
  expect(graph.nodes.map(({ op }) => op)).toEqual(['Neg', 'Abs', 'Sign', 'Abs'])
})

it('copies one new value that two nodes are', () => {
  const result = rewrite(sample(), 'test', inTable({ Abs: ({ b, shared }) => shared('one', () => b.full(['n', 2], 1)) }))
  const named = (name: string) => result.nodes.find(({ outputs }) => outputs[0] === name)
  expect(named('y')?.op).toBe('ConstantOfShape')
  expect([named('z')?.op, named('z')?.inputs]).toEqual(['Identity', ['y']])
})

it('gives the graph itself where nothing is replaced', () => {
  const graph = sample()
  expect(rewrite(graph, 'test', inTable({ Neg: () => undefined }))).toBe(graph)
})
