/** @file LSTM, GRU and RNN of imported graphs: what is refused, and by which word. */
import { describe, expect, it } from 'vitest'
import { UnsupportedOpError } from '../errors.js'
import { tensor } from '../graph/constants.js'
import { Graph } from '../graph/graph.js'
import { int, string, type Attributes } from '../graph/types.js'
import { lower } from './lower.js'

function layer(op: string, attributes: Attributes, shapes: { readonly w?: readonly number[] } = {}): Graph {
  const graph = new Graph('recurrent')
  graph.addInput('x', 'float32', ['steps', 'rows', 3])
  const rows = { LSTM: 8, GRU: 6, RNN: 2 }[op]!
  const zeros = (shape: readonly number[]) => tensor('float32', shape, Array<number>(shape.reduce((a, d) => a * d, 1)).fill(0))
  graph.addInitializer('w', zeros(shapes.w ?? [1, rows, 3]))
  graph.addInitializer('r', zeros([1, rows, 2]))
  graph.nodes.push({ op, domain: '', name: 'layer', inputs: ['x', 'w', 'r'], outputs: ['y', 'last'], attributes })
  graph.outputs = ['y', 'last'].map((name) => ({ name, dtype: 'float32', shape: undefined }))
  return graph
}

const texts = (...value: string[]): Attributes[string] => ({ type: 'strings', value })

describe('recurrent layers of a file', () => {
  it('have shapes by the length and the batch of what they read', () => {
    const { graph } = lower(layer('GRU', { hidden_size: int(2) }))
    expect(graph.outputs[0]!.shape).toEqual(['steps', 1, 'rows', 2])
    expect(graph.outputs[1]!.shape).toEqual([1, 'rows', 2])
  })

  it.each<[string, Attributes, RegExp]>([
    ['LSTM', { direction: string('sideways') }, /"layer".*direction is "sideways"/],
    ['LSTM', { activations: texts('Sigmoid', 'Tanh') }, /activations has 2 functions \(Sigmoid, Tanh\), 3 are needed/],
    ['RNN', { activations: texts('Softmax') }, /activations names "Softmax"/],
    ['RNN', { activations: texts('Affine') }, /"Affine" needs activation_alpha/],
  ])('%s %j is refused by name', (op, attributes, message) => {
    expect(() => lower(layer(op, attributes))).toThrow(UnsupportedOpError)
    expect(() => lower(layer(op, attributes))).toThrow(message)
  })

  it('are refused where a weight has not the rows of the gates', () => {
    expect(() => lower(layer('LSTM', {}, { w: [1, 6, 3] }))).toThrow(/LSTM.*"layer".*W is \[1, 6, 3\], \[1, 8, 3\] is expected/)
  })
})
