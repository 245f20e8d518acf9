/** @file Branches that are not decided, loops, and inputs that are made constant. */
import { create } from '@bufbuild/protobuf'
import { AttributeProto_AttributeType as AttributeType, AttributeProtoSchema } from 'onnx-buf'
import { describe, expect, it } from 'vitest'
import { UnsupportedOpError } from '../errors.js'
import { numbersOf } from '../graph/constants.js'
import { Graph } from '../graph/graph.js'
import { int, type Attribute, type Attributes, type DType, type Shape } from '../graph/types.js'
import { fixInputs } from './input-constants.js'
import { lower } from './lower.js'

const branch = (op: string): Attribute => ({
  type: 'opaque',
  value: create(AttributeProtoSchema, {
    name: op,
    type: AttributeType.GRAPH,
    g: { name: op, node: [{ opType: op, name: op, input: ['x'], output: ['inner'] }], output: [{ name: 'inner' }] },
  }),
})
const branches: Attributes = { then_branch: branch('Neg'), else_branch: branch('Exp') }

/** `If(condition)`, whose output has a declared shape as exporters write it. */
function choice(condition: (graph: Graph) => string, also: (graph: Graph) => void = () => {}): Graph {
  const graph = new Graph('choice')
  graph.addInput('x', 'float32', ['batch', 'steps'])
  graph.addInput('sr', 'int64', [])
  graph.addInput('mode', 'int64', [1])
  also(graph)
  const decided = condition(graph)
  graph.nodes.push({ op: 'If', domain: '', name: 'branch', inputs: [decided], outputs: ['y'], attributes: branches })
  graph.outputs = [graph.declare('y', 'float32', ['batch', 'steps'])]
  return graph
}

const emit = (graph: Graph, op: string, inputs: readonly string[], output: string, attributes: Attributes = {}): string => {
  graph.nodes.push({ op, domain: '', name: output, inputs, outputs: [output], attributes })
  return output
}

describe('an If that is not decided', () => {
  it('names the inputs that its condition is computed from, and the option', () => {
    const graph = choice((g) => emit(g, 'Equal', [emit(g, 'Add', ['sr', 'mode'], 'sum'), 'mode'], 'same'))
    expect(() => lower(graph)).toThrow(UnsupportedOpError)
    expect(() => lower(graph)).toThrow(/If .*"branch": .*"sr" \(int64 \[\]\), "mode" \(int64 \[1\]\); fix them with \{ constants: \{ sr: …, mode: … \} \}, --constants sr=…,mode=…/) // prettier-ignore
    const fixed = lower(graph, { constants: { sr: 0, mode: [3] } }).graph
    expect(fixed.nodes.map(({ op }) => op)).toContain('Neg')
    expect(lower(graph, { constants: { sr: 1, mode: [3] } }).graph.nodes.map(({ op }) => op)).toContain('Exp')
  })

  it('says that lengths decide, where they do', () => {
    const graph = choice((g) => emit(g, 'Equal', [emit(g, 'Size', ['x'], 'size'), 'sr'], 'same'))
    expect(() => lower(graph, { constants: { sr: 512 } })).toThrow(
      /depends on the lengths of input "x" \(float32 \[batch, steps\]\)/,
    )
    expect(() => lower(graph)).toThrow(/depends on input "sr"/)
  })

  it('says that nothing from outside decides, where nothing does', () => {
    const graph = choice((g) => emit(g, 'Cast', [emit(g, 'RandomUniform', [], 'random', { shape: { type: 'ints', value: [1] } })], 'coin', { to: int(9) }), (g) => void g.declare('random', 'float32', [1])) // prettier-ignore
    expect(() => lower(graph)).toThrow(/computed while the model runs, from no input/)
  })

  it('stands with loops in one error, whatever shapes are declared', () => {
    const graph = choice(
      () => 'sr',
      (g) => {
        for (const op of ['Loop', 'Scan']) {
          emit(g, op, ['sr', '', 'x'], `of_${op}`, { body: branch('Neg') })
          g.declare(`of_${op}`, 'float32', ['batch', 'steps'])
        }
      },
    )
    expect(() => lower(graph)).toThrow(/3 node\(s\)[^]*Loop [^]*"of_Loop"[^]*Scan [^]*"of_Scan"[^]*If [^]*"branch"/)
  })
})

describe('inputs that are made constant', () => {
  const graphOf = (dtype: DType, shape: Shape): Graph => {
    const graph = new Graph('fixed')
    graph.addInput('x', 'float32', ['batch', 4])
    graph.addInput('c', dtype, shape)
    return graph
  }

  it.each<[DType, Shape, number | boolean | readonly (number | boolean)[], readonly number[], readonly number[]]>([
    ['int64', [], 16000, [], [16000]],
    ['bool', [1], true, [1], [1]],
    ['float16', [2], 0.5, [2], [0.5, 0.5]],
    ['float32', [2, 2], [1, 2, 3, 4], [2, 2], [1, 2, 3, 4]],
    ['int32', ['n'], 7, [1], [7]],
    ['int32', ['n'], [7, 8], [2], [7, 8]],
    ['uint8', [2, 'n'], [1, 2, 3, 4], [2, 2], [1, 2, 3, 4]],
  ])('%s %j = %j', (dtype, shape, value, sizes, numbers) => {
    const graph = fixInputs(graphOf(dtype, shape), { c: value })
    expect(graph.inputs.map(({ name }) => name)).toEqual(['x'])
    expect(graph.value('c')).toEqual({ name: 'c', dtype, shape: sizes })
    expect(numbersOf(graph.initializers.get('c'))).toEqual(numbers)
  })

  it('are as long as other inputs where they share a length', () => {
    const graph = fixInputs(graphOf('float32', [2, 'batch', 3]), { c: 0 })
    expect(graph.initializers.has('c')).toBe(false)
    expect(graph.value('c').shape).toEqual([2, 'batch', 3])
    expect(graph.nodes.at(-1)).toMatchObject({ op: 'ConstantOfShape', outputs: ['c'] })
  })

  it.each<[DType, Shape, unknown, RegExp]>([
    ['int8', [], 200, /"c" \(int8 \[\]\) takes a whole number that int8 holds, got 200/],
    ['bool', [], 2, /takes true or false, got 2/],
    ['float32', [], '3', /takes a number, got "3"/],
    ['float32', [], null, /takes a number, got null/],
    ['string', [], 1, /cannot be made constant/],
    ['float32', [2, 'n'], 1, /the length "n" of input "c".* is not known/],
    ['float32', ['n', 'm'], [1, 2], /cannot be filled with 2 numbers/],
    ['float32', [2], [1, 2, 3], /cannot be filled with 3 numbers/],
  ])('%s %j refuse %j', (dtype, shape, value, message) => {
    expect(() => fixInputs(graphOf(dtype, shape), { c: value as number })).toThrow(message)
  })
})
