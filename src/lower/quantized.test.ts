/** @file Quantised graphs: the same numbers when lowered, and a gradient straight through the rounding. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { differentiate } from '../autodiff/differentiate.js'
import { emittableOps, operatorKey } from '../graph/allowed-ops.js'
import { GraphBuilder } from '../graph/builder.js'
import { numbersOf, tensor } from '../graph/constants.js'
import { findModules } from '../onnx-model/find-modules.js'
import { Graph } from '../graph/graph.js'
import { elementCount, float, int, ints, type Attributes, type HostTensor, type Node } from '../graph/types.js'
import { decodeModel } from '../onnx/decode.js'
import { nodeRuntime } from '../runtime/ort-node.js'
import { Random } from '../util/rng.js'
import { lower } from './lower.js'
import { quantizedOperatorLowerings } from './quantized-operators.js'
import { quantizedLowerings } from './quantized.js'

const runtime = nodeRuntime({ threads: 1 })
const model = (name: string): Graph => decodeModel(readFileSync(`test/fixtures/onnx/${name}.onnx`))

async function run(graph: Graph, feeds: Record<string, HostTensor>): Promise<number[][]> {
  const session = await runtime.createSession(graph)
  const results = await session.run(feeds)
  await session.release()
  return graph.outputs.map(({ name }) => numbersOf(results[name])!)
}

const filled = (shape: readonly number[], seed = 3): HostTensor => {
  const random = new Random(seed)
  return tensor(
    'float32',
    shape,
    Float32Array.from({ length: elementCount(shape) }, () => 2 * random.uniform() - 1),
  )
}

const largest = (values: readonly number[]): number => Math.max(0, ...values.map(Math.abs))
const distance = (a: readonly number[], b: readonly number[]): number => largest(a.map((v, i) => v - b[i]!))

const feedsOf = (graph: Graph): Record<string, HostTensor> =>
  graph.inputs[0]!.name === 'ids' ? { ids: tensor('int64', [2, 3], [1, 4, 10, 0, 7, 2]) } : { x: filled([2, 2, 8, 8]) }

/** Gradient of Σ y² by a value of the lowered graph. */
async function gradient(graph: Graph, name: string, feeds: Record<string, HostTensor>): Promise<number[]> {
  const copy = graph.clone()
  const b = new GraphBuilder(copy)
  const y = copy.outputs[0]!
  const { graph: full, gradients } = differentiate(copy, b.sumAll(b.mul(y, y)), [copy.value(name)])
  full.outputs = [gradients.get(name)!]
  full.prune()
  return (await run(full, feeds))[0]!
}

describe('models that onnxruntime quantised', () => {
  it.each([
    ['mlp-dynamic', 1e-5],
    ['mlp-dynamic-u8', 1e-5],
    ['cnn-dynamic', 1e-5],
    // A sum that lies between two steps may be rounded either way: one step of the last scale.
    ['cnn-qdq', 0.02],
    ['cnn-qop', 0.02],
  ])('%s gives the same numbers when lowered', async (name, tolerance) => {
    const graph = model(name)
    const { graph: lowered } = lower(graph)
    expect(lowered.nodes.filter(({ op, domain }) => !emittableOps.has(operatorKey(op, domain)))).toEqual([])
    const feeds = feedsOf(graph)
    const [[before], [after]] = [await run(graph, feeds), await run(lowered, feeds)]
    expect(after).toHaveLength(before!.length)
    expect(distance(after!, before!)).toBeLessThan(tolerance)
  })

  it.each(['cnn-dynamic', 'cnn-qdq', 'cnn-qop'])('%s passes nearly the gradient of the model in floating point', async (name) => {
    const feeds = feedsOf(model('cnn'))
    const [exact, coarse] = [
      await gradient(lower(model('cnn')).graph, 'x', feeds),
      await gradient(lower(model(name)).graph, 'x', feeds),
    ]
    const dot = (u: readonly number[], v: readonly number[]): number => u.reduce((s, a, i) => s + a * v[i]!, 0)
    expect(dot(exact, coarse) / Math.sqrt(dot(exact, exact) * dot(coarse, coarse))).toBeGreaterThan(0.98)
  })

  it.each(['mlp-dynamic', 'mlp-dynamic-u8', 'mlp'])('%s keeps the names and sizes of its layers', (name) => {
    const modules = [...findModules(lower(model(name)).graph).values()]
    expect(modules.filter((m) => m.kind !== 'Embedding').map((m) => [m.name, m.inFeatures, m.outFeatures])).toEqual([
      ['fc1', 8, 16],
      ['fc2', 16, 8],
    ])
  })

  it.each(['cnn-dynamic', 'cnn-qdq', 'cnn-qop', 'cnn'])('%s keeps the names and sizes of its layers', (name) => {
    const modules = [...findModules(lower(model(name)).graph).values()]
    expect(modules.map((m) => [m.name, m.inFeatures, m.outFeatures])).toEqual([
      ['c1', 2, 4],
      ['c2', 4, 4],
      ['fc', 4, 3],
    ])
  })
})

interface Operator {
  readonly op: string
  readonly domain?: string
  /** Number of operands, each with scale and zero point. */
  readonly operands: readonly (readonly number[])[]
  /** Places of the operands that are weights of the graph. */
  readonly weights?: readonly number[]
  readonly attributes?: Attributes
  readonly bias?: number
  /** Scale and zero point of the result come first. */
  readonly resultFirst?: boolean
}

const contrib = 'com.microsoft'
const image = [2, 3, 4, 4]
const operators: readonly Operator[] = [
  { op: 'QLinearMatMul', operands: [[3, 4], [4, 5]], weights: [1] }, // prettier-ignore
  { op: 'QLinearMatMul', operands: [[2, 3, 4], [2, 4, 5]] }, // prettier-ignore
  { op: 'QLinearConv', operands: [image, [4, 3, 3, 3]], weights: [1], bias: 4, attributes: { pads: ints([1, 1, 1, 1]) } },
  { op: 'QGemm', domain: contrib, operands: [[3, 4], [5, 4]], weights: [1], bias: 5, attributes: { transB: int(1) } }, // prettier-ignore
  { op: 'QLinearAdd', domain: contrib, operands: [[2, 3], [3]] }, // prettier-ignore
  { op: 'QLinearMul', domain: contrib, operands: [[2, 3], [2, 3]] }, // prettier-ignore
  { op: 'QLinearSigmoid', domain: contrib, operands: [[2, 3]] },
  { op: 'QLinearLeakyRelu', domain: contrib, operands: [[2, 3]], attributes: { alpha: float(0.2) } },
  { op: 'QLinearGlobalAveragePool', domain: contrib, operands: [image] },
  { op: 'QLinearAveragePool', domain: contrib, operands: [image], attributes: { kernel_shape: ints([2, 2]) } },
  { op: 'QLinearSoftmax', domain: contrib, operands: [[3, 5]], attributes: { axis: int(-1), opset: int(13) } },
  { op: 'QLinearConcat', domain: contrib, operands: [[2, 3], [2, 2]], resultFirst: true, attributes: { axis: int(1) } }, // prettier-ignore
]

describe('operators on integers', () => {
  const [scale, resultScale] = [1 / 100, 1 / 40]

  it.each(operators.map((o) => [o.op, o] as const))('%s', async (_, o) => {
    const graph = new Graph(o.op)
    const constant = (name: string, value: HostTensor): string => graph.addInitializer(name, value).name
    const zero = (n: number): HostTensor => tensor('uint8', [], [n])
    const feeds: Record<string, HostTensor> = {}
    const parts = o.operands.flatMap((shape, i) => {
      const [s, z] = [constant(`s${i}`, tensor('float32', [], [scale * (i + 1)])), constant(`z${i}`, zero(128))]
      if (o.weights?.includes(i) === true) {
        const values = numbersOf(filled(shape, i + 9))!.map((v) => Math.round(128 + 90 * v))
        return [constant(`w${i}`, tensor('uint8', shape, values)), s, z]
      }
      graph.addInput(`x${i}`, 'float32', shape)
      feeds[`x${i}`] = filled(shape, i + 5)
      graph.nodes.push({ op: 'QuantizeLinear', domain: '', name: `q${i}`, inputs: [`x${i}`, s, z], outputs: [`q${i}`], attributes: {} }) // prettier-ignore
      return [`q${i}`, s, z]
    })
    const result = [constant('s', tensor('float32', [], [resultScale])), constant('z', zero(120))]
    const bias = o.bias === undefined ? [] : [constant('b', tensor('int32', [o.bias], Array.from({ length: o.bias }, (_, i) => 500 * i - 700)))] // prettier-ignore
    const inputs = o.resultFirst === true ? [...result, ...parts] : o.op === 'QGemm' ? [...parts, ...bias, ...result] : [...parts, ...result, ...bias] // prettier-ignore
    const operator: Node = {
      op: o.op,
      domain: o.domain ?? '',
      name: 'node',
      inputs,
      outputs: ['q'],
      attributes: o.attributes ?? {},
    }
    graph.nodes.push(operator)
    graph.nodes.push({ op: 'DequantizeLinear', domain: '', name: 'dq', inputs: ['q', ...result], outputs: ['y'], attributes: {} })
    graph.outputs = [{ name: 'y', dtype: 'float32', shape: undefined }]
    const { graph: lowered } = lower(graph)
    const [[before], [after]] = [await run(graph, feeds), await run(lowered, feeds)]
    expect(largest(before!)).toBeGreaterThan(0.1)
    // A value between two steps may be rounded either way.
    expect(distance(after!, before!)).toBeLessThan(1.01 * resultScale)
    expect(largest(await gradient(lowered, 'x0', feeds))).toBeGreaterThan(0)
  })

  it.each(['MatMulIntegerToFloat', 'DynamicQuantizeMatMul'])('%s', async (op) => {
    const graph = new Graph(op)
    const dynamic = op === 'DynamicQuantizeMatMul'
    const x = graph.addInput('x', 'float32', [3, 4])
    graph.addInitializer(
      'w',
      tensor(
        'int8',
        [4, 5],
        Array.from({ length: 20 }, (_, i) => ((i * 37) % 200) - 100),
      ),
    )
    graph.addInitializer('ws', tensor('float32', [5], [0.01, 0.02, 0.03, 0.01, 0.02]))
    graph.addInitializer('wz', tensor('int8', [5], [0, 1, -2, 3, 0]))
    graph.addInitializer('b', tensor('float32', [5], [1, 2, 3, 4, 5]))
    if (!dynamic)
      graph.nodes.push({ op: 'DynamicQuantizeLinear', domain: '', name: 'q', inputs: [x.name], outputs: ['q', 's', 'z'], attributes: {} }) // prettier-ignore
    const inputs = dynamic ? ['x', 'w', 'ws', 'wz', 'b'] : ['q', 'w', 's', 'ws', 'z', 'wz', 'b']
    graph.nodes.push({ op, domain: contrib, name: 'node', inputs, outputs: ['y'], attributes: {} })
    graph.outputs = [{ name: 'y', dtype: 'float32', shape: undefined }]
    const { graph: lowered } = lower(graph)
    const feeds = { x: filled([3, 4]) }
    const [[before], [after]] = [await run(graph, feeds), await run(lowered, feeds)]
    expect(distance(after!, before!)).toBeLessThan(1e-4)
    expect(largest(await gradient(lowered, 'x', feeds))).toBeGreaterThan(0)
  })

  it('has a case for every lowering', () => {
    const tested = new Set([
      ...operators.map((o) => operatorKey(o.op, o.domain ?? '')),
      ...['QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear', 'MatMulInteger', 'ConvInteger', 'Mul'],
      ...['MatMulIntegerToFloat', 'DynamicQuantizeMatMul'].map((op) => operatorKey(op, contrib)),
    ])
    const keys = [...Object.keys(quantizedLowerings), ...Object.keys(quantizedOperatorLowerings)]
    expect(keys.filter((key) => !tested.has(key))).toEqual([])
  })

  it('passes no gradient where a value was cut off', async () => {
    const graph = new Graph('cut')
    graph.addInput('x', 'float32', [4])
    graph.addInitializer('s', tensor('float32', [], [0.01]))
    graph.addInitializer('z', tensor('uint8', [], [128]))
    graph.nodes.push({ op: 'QuantizeLinear', domain: '', name: 'q', inputs: ['x', 's', 'z'], outputs: ['q'], attributes: {} })
    graph.nodes.push({ op: 'DequantizeLinear', domain: '', name: 'd', inputs: ['q', 's', 'z'], outputs: ['y'], attributes: {} })
    graph.outputs = [{ name: 'y', dtype: 'float32', shape: undefined }]
    const { graph: lowered } = lower(graph)
    const feeds = { x: tensor('float32', [4], [-5, -0.5, 0.254, 3]) }
    const [y] = await run(lowered, feeds)
    expect(distance(y!, [-1.28, -0.5, 0.25, 1.27])).toBeLessThan(1e-6)
    // d Σ y² = 2y inside of the range.
    expect(distance(await gradient(lowered, 'x', feeds), [0, -1, 0.5, 0])).toBeLessThan(1e-5)
  })

  const plain = (op: string, inputs: string[], output: string, attributes: Attributes = {}): Node => ({ op, domain: '', name: output, inputs, outputs: [output], attributes }) // prettier-ignore

  it.each([
    ['a mask', 1e36, [0.5, -3, 1e12, 3e38], [0, 0, 0, 127e36]],
    ['more than 1', 3, [1, 2, -4, 400], [0, 3, -3, 381]],
  ])('rounds what is small beside the scale of %s to nothing', async (_, scale, values, expected) => {
    const graph = new Graph('coarse')
    graph.addInput('x', 'float32', [4])
    graph.addInitializer('s', tensor('float32', [], [scale]))
    graph.addInitializer('z', tensor('int8', [], [0]))
    graph.nodes.push(plain('QuantizeLinear', ['x', 's', 'z'], 'q'), plain('DequantizeLinear', ['q', 's', 'z'], 'y'))
    graph.outputs = [{ name: 'y', dtype: 'float32', shape: undefined }]
    const { graph: lowered } = lower(graph)
    const feeds = { x: tensor('float32', [4], values) }
    const [y] = await run(lowered, feeds)
    expect(distance(y!, expected)).toBeLessThan(1e-6 * largest(expected))
    expect(largest(y!.filter((_, i) => expected[i] === 0))).toBeLessThan(1e-6)
    if (scale < 10) expect(distance(await gradient(lowered, 'x', feeds), [0, 6, -6, 0])).toBeLessThan(1e-5)
  })

  it('moves integers to shapes of lengths that are known at the run', async () => {
    const graph = new Graph('moved')
    graph.addInput('x', 'float32', ['n', 6])
    for (const [name, numbers] of [
      ['axis', [0]],
      ['rest', [2, 3]],
    ] as const)
      // prettier-ignore
      graph.addInitializer(name, tensor('int64', [numbers.length], numbers))
    graph.addInitializer('s', tensor('float32', [], [0.01]))
    graph.addInitializer('z', tensor('uint8', [], [128]))
    graph.nodes.push(
      plain('Shape', ['x'], 'shape'),
      plain('Gather', ['shape', 'axis'], 'rows', { axis: int(0) }),
      plain('Concat', ['rows', 'rest'], 'target', { axis: int(0) }),
      plain('QuantizeLinear', ['x', 's', 'z'], 'q'),
      plain('Reshape', ['q', 'target'], 'apart'),
      plain('Transpose', ['apart'], 'turned', { perm: ints([0, 2, 1]) }),
      plain('DequantizeLinear', ['turned', 's', 'z'], 'y'),
    )
    graph.outputs = [{ name: 'y', dtype: 'float32', shape: undefined }]
    const { graph: lowered } = lower(graph)
    expect(lowered.outputs[0]!.shape).toEqual(['n', 3, 2])
    const feeds = { x: filled([2, 6]) }
    const [[before], [after]] = [await run(graph, feeds), await run(lowered, feeds)]
    expect(distance(after!, before!)).toBeLessThan(1e-6)
    expect(largest(await gradient(lowered, 'x', feeds))).toBeGreaterThan(0)
  })
})

describe('weights of two numbers a byte', () => {
  const packed = (dtype: 'int4' | 'uint4', bytes: number): HostTensor => ({
    dtype,
    shape: [8, 4],
    data: Uint8Array.from({ length: bytes }, (_, i) => (73 * i + 29) % 256),
  })

  it.each(['int4', 'uint4'] as const)('%s: the same numbers when lowered, and a gradient through them', async (dtype) => {
    const graph = new Graph('packed')
    graph.opsets.set('', 21)
    graph.inputs.push(graph.declare('x', 'float32', [3, 8]))
    graph.addInitializer('w', packed(dtype, 16))
    graph.addInitializer('w.scale', filled([4], 5))
    const attributes = { axis: int(1) }
    graph.nodes.push({ op: 'DequantizeLinear', domain: '', name: 'fc/dq', inputs: ['w', 'w.scale'], outputs: ['dq'], attributes })
    graph.nodes.push({ op: 'MatMul', domain: '', name: '/fc/MatMul', inputs: ['x', 'dq'], outputs: ['y'], attributes: {} })
    graph.outputs.push(graph.declare('y', 'float32', [3, 4]))
    const feeds = { x: filled([3, 8]) }
    const { graph: lowered } = lower(graph)
    expect([...findModules(lowered).values()].map((m) => [m.name, m.inFeatures, m.outFeatures])).toEqual([['fc', 8, 4]])
    const [[before], [after]] = [await run(graph, feeds), await run(lowered, feeds)]
    expect(distance(after!, before!)).toBeLessThan(1e-5)
    const found = await gradient(lowered, 'x', feeds)
    const at = async (i: number, step: number): Promise<number> => {
      const data = Float32Array.from(feeds.x.data as Float32Array)
      data[i] = data[i]! + step
      return (await run(graph, { x: { ...feeds.x, data } }))[0]!.reduce((sum, v) => sum + v * v, 0)
    }
    for (const i of [0, 9, 23]) expect(((await at(i, 0.125)) - (await at(i, -0.125))) / 0.25 / found[i]!).toBeCloseTo(1, 2)
  })
})
