/** @file Shapes of imported graphs, symbolic lengths, and the names of their layers. */
import { describe, expect, it } from 'vitest'
import { findLayers, findModules } from '../onnx-model/find-modules.js'
import { Graph } from './graph.js'
import { inferenceFamilies } from './infer/index.js'
import { inferGraph } from './infer-graph.js'
import { tensor } from './constants.js'
import { int, ints, type Attributes, type DType, type Shape } from './types.js'

const graphOf = (
  inputs: Record<string, Shape>,
  dtype: DType = 'float32',
): {
  graph: Graph
  node: (
    op: string,
    inputs: string[],
    output: string,
    attributes?: Attributes,
    name?: string,
    metadata?: Record<string, string>,
  ) => void
} => {
  const graph = new Graph('test')
  for (const [name, shape] of Object.entries(inputs)) graph.addInput(name, dtype, shape)
  const node = (
    op: string,
    from: string[],
    output: string,
    attributes: Attributes = {},
    name = output,
    metadata?: Record<string, string>,
  ): void => {
    graph.nodes.push({ op, domain: '', name, inputs: from, outputs: [output], attributes, ...(metadata && { metadata }) })
    graph.outputs = [{ name: output, dtype: 'float32', shape: undefined }]
  }
  return { graph, node }
}

describe('inferGraph', () => {
  it('follows a shape through Shape, Gather, Concat and Reshape', () => {
    const { graph, node } = graphOf({ x: ['batch', 'sequence', 32] })
    for (const [name, values] of [['zero', 0], ['one', 1]] as const) graph.addInitializer(name, tensor('int64', [1], [values])) // prettier-ignore
    graph.addInitializer('rest', tensor('int64', [2], [-1, 8]))
    node('Shape', ['x'], 'shape')
    node('Gather', ['shape', 'zero'], 'batch', { axis: int(0) })
    node('Gather', ['shape', 'one'], 'sequence', { axis: int(0) })
    node('Concat', ['batch', 'sequence', 'rest'], 'target', { axis: int(0) })
    node('Reshape', ['x', 'target'], 'y')
    const { graph: inferred, assumptions } = inferGraph(graph)
    expect(inferred.value('y').shape).toEqual(['batch', 'sequence', 4, 8])
    expect(assumptions).toEqual([])
  })

  it('folds what is constant and keeps it out of the graph', () => {
    const { graph, node } = graphOf({ x: [2, 6] })
    node('Shape', ['x'], 'shape')
    node('ReduceProd', ['shape'], 'count', { keepdims: int(1) })
    node('Reshape', ['x', 'count'], 'y')
    const { graph: inferred } = inferGraph(graph)
    expect(inferred.nodes.map((n) => n.op)).toEqual(['Reshape'])
    expect(inferred.value('y').shape).toEqual([12])
  })

  it('takes two names for one length where an operator needs it, and says so', () => {
    const { graph, node } = graphOf({ x: ['b', 4], mask: ['n', 4] })
    node('Add', ['x', 'mask'], 'y')
    const { graph: inferred, assumptions } = inferGraph(graph)
    expect(assumptions).toEqual([['n', 'b']])
    expect(inferred.value('y').shape).toEqual(['b', 4])
  })

  it('refuses lengths that contradict each other', () => {
    const { graph, node } = graphOf({ x: [3, 4], y: [2, 4] })
    node('Add', ['x', 'y'], 'z')
    expect(inferGraph(graph).uninferred[0]!.reason).toMatch(/cannot broadcast \[3, 4\] with \[2, 4\]/)
  })

  it('reports the first node it does not understand, not those after it', () => {
    const { graph, node } = graphOf({ x: ['b', 4] })
    node('Riddle', ['x'], 'a')
    node('Tanh', ['a'], 'y')
    expect(inferGraph(graph).uninferred.map(({ node }) => node.name)).toEqual(['a'])
  })
})

describe('findModules', () => {
  const weight = (graph: Graph, name: string, shape: number[]): void =>
    void graph.addInitializer(name, tensor('float32', shape, new Float32Array(shape.reduce((p, d) => p * d, 1))))

  it('names layers by their path and drops the wrapper around the model', () => {
    const { graph, node } = graphOf({ x: ['b', 's', 4] })
    weight(graph, 'onnx::MatMul_1', [4, 6])
    weight(graph, 'm.model.layers.0.q_proj.bias', [6])
    weight(graph, 'm.lm_head.weight', [9, 6])
    node('MatMul', ['x', 'onnx::MatMul_1'], 'q', {}, '/m/model/layers.0/q_proj/MatMul')
    node('Add', ['q', 'm.model.layers.0.q_proj.bias'], 'h')
    node('Transpose', ['m.lm_head.weight'], 't', { perm: ints([1, 0]) })
    node('MatMul', ['h', 't'], 'y', {}, '/m/lm_head/MatMul')
    const modules = findModules(inferGraph(graph).graph)
    expect([...modules.values()].map((m) => [m.name, m.kind, m.inFeatures, m.outFeatures, m.bias, m.isOutputHead])).toEqual([
      ['model.layers.0.q_proj', 'MatMul', 4, 6, 'm.model.layers.0.q_proj.bias', false],
      ['lm_head', 'Linear', 6, 9, undefined, true],
    ])
    expect([...findLayers(inferGraph(graph).graph).below('').keys()]).toEqual(['m.model.layers.0.q_proj', 'm.lm_head'])
  })

  it('keeps the name of a list of layers', () => {
    const { graph, node } = graphOf({ x: ['b', 3, 8, 8] })
    weight(graph, 'features.0.weight', [4, 3, 3, 3])
    weight(graph, 'features.1.weight', [4, 1, 3, 3])
    node('Conv', ['x', 'features.0.weight'], 'h', {}, '/features/features.0/Conv')
    node('Conv', ['h', 'features.1.weight'], 'y', { group: int(4) }, '/features/features.1/Conv')
    const modules = findModules(inferGraph(graph).graph)
    expect([...modules.keys()]).toEqual(['features.0', 'features.1'])
    expect(modules.get('features.1')).toMatchObject({
      kind: 'Conv2d',
      inFeatures: 4,
      outFeatures: 4,
      convolution: { kernel: [3, 3], groups: 4 },
    })
  })

  it('sees a layer that is applied twice as one module', () => {
    const { graph, node } = graphOf({ x: ['b', 4] })
    weight(graph, 'dense.weight', [4, 4])
    weight(graph, 'head.weight', [2, 4])
    node('Gemm', ['x', 'dense.weight'], 'h', { transB: int(1) }, '/dense/Gemm')
    node('Gemm', ['h', 'dense.weight'], 'k', { transB: int(1) }, '/dense/Gemm_1')
    node('Gemm', ['k', 'head.weight'], 'y', { transB: int(1) }, '/head/Gemm')
    const dense = findModules(inferGraph(graph).graph).get('dense')!
    expect([dense.input, dense.output, dense.moreUses]).toEqual(['x', 'h', [{ input: 'h', output: 'k' }]])
  })

  it('trusts dynamo about layers, and the weight where a layer was folded into another', () => {
    const { graph, node } = graphOf({ x: ['b', 4] })
    weight(graph, 'val_1', [4, 6])
    const scopes = (names: string[], classes: string[]): Record<string, string> => ({
      'pkg.torch.onnx.name_scopes': `[${names.map((n) => `'${n}'`).join(', ')}]`,
      'pkg.torch.onnx.class_hierarchy': `[${classes.map((n) => `'${n}'`).join(', ')}]`,
    })
    node(
      'MatMul',
      ['x', 'val_1'],
      'y',
      {},
      'node_linear',
      scopes(['', 'net', 'net.fc', 'linear'], ['W', 'Net', 'torch.nn.modules.linear.Linear', 'aten.linear.default']),
    )
    expect([...findLayers(inferGraph(graph).graph).below('net').keys()]).toEqual(['fc'])
  })
})

it('infers every operator in one family', () => {
  const ops = Object.values(inferenceFamilies).flatMap((family) => Object.keys(family))
  expect(ops.filter((op, i) => ops.indexOf(op) !== i)).toEqual([])
})
