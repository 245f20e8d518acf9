/** @file Every lowering and upgrade: the original node against its lowered form, both run by ONNX Runtime. */
import { create } from '@bufbuild/protobuf'
import { AttributeProtoSchema, AttributeProto_AttributeType as AttributeType } from 'onnx-buf'
import { describe, expect, it } from 'vitest'
import { UnsupportedOpError } from '../errors.js'
import { emittableOps, operatorKey } from '../graph/allowed-ops.js'
import { numbersOf, tensor } from '../graph/constants.js'
import { DEFAULT_OPSET, Graph } from '../graph/graph.js'
import { elementCount, float, int, ints, string, type Attributes, type HostTensor, type Shape } from '../graph/types.js'
import { nodeRuntime } from '../runtime/ort-node.js'
import { Random } from '../util/rng.js'
import { builtinLowerings, lower } from './lower.js'

const runtime = nodeRuntime({ threads: 1 })
const random = new Random(7)
const uniform = (low: number, high: number): number => low + (high - low) * random.uniform()
const integer = (low: number, high: number): number => Math.floor(uniform(low, high + 1))
const flag = (): number => integer(0, 1)

interface Case {
  readonly op: string
  readonly name?: string
  readonly domain?: string
  readonly opset?: number
  /** Shapes of float inputs, or tensors; `null` is a missing input. */
  readonly inputs: readonly (Shape | HostTensor | null)[]
  /** Places of inputs that are initializers. */
  readonly constants?: readonly number[]
  readonly attributes?: Attributes
  readonly outputs?: number
  readonly range?: readonly [number, number]
  /** Outputs that are compared; all unless said. */
  readonly compare?: readonly number[]
}

const isTensor = (x: Shape | HostTensor): x is HostTensor => 'data' in x

const filled = (shape: readonly number[], [low, high]: readonly [number, number] = [-2, 2]): HostTensor =>
  tensor(
    'float32',
    shape,
    Float32Array.from({ length: elementCount(shape) }, () => uniform(low, high)),
  )

function assemble(c: Case): { graph: Graph; feeds: Record<string, HostTensor> } {
  const graph = new Graph('case')
  graph.opsets.set('', c.opset ?? DEFAULT_OPSET)
  const feeds: Record<string, HostTensor> = {}
  const names = c.inputs.map((input, i) => {
    if (input === null) return ''
    const host = isTensor(input) ? input : filled(input as readonly number[], c.range)
    const name = `x${i}`
    if (c.constants?.includes(i) === true) graph.addInitializer(name, host)
    // The first axis has a name, as in real models.
    else {
      graph.addInput(name, host.dtype, host.shape.map((d, axis) => (axis === 0 && i === 0 && host.shape.length > 1 ? 'batch' : d))) // prettier-ignore
      feeds[name] = host
    }
    return name
  })
  const wanted = c.compare ?? Array.from({ length: c.outputs ?? 1 }, (_, i) => i)
  const outputs = Array.from({ length: c.outputs ?? 1 }, (_, i) => (wanted.includes(i) ? `y${i}` : ''))
  graph.nodes.push({ op: c.op, domain: c.domain ?? '', name: 'node', inputs: names, outputs, attributes: c.attributes ?? {} })
  const dtype = (i: number): 'int64' | 'float32' => (c.op === 'TopK' && i === 1 ? 'int64' : 'float32')
  graph.outputs = wanted.map((i) => ({ name: `y${i}`, dtype: dtype(i), shape: undefined }))
  return { graph, feeds }
}

async function run(graph: Graph, feeds: Record<string, HostTensor>): Promise<number[][]> {
  const session = await runtime.createSession(graph)
  const results = await session.run(feeds)
  await session.release()
  return graph.outputs.map(({ name }) => numbersOf(results[name])!)
}

const spatial = (): number[] => [2, 4, integer(3, 6), integer(3, 6)]
const vector = (n: number, range?: readonly [number, number]): HostTensor => filled([n], range)
const x = [3, 5]
const ms = 'com.microsoft'
const ids = (shape: readonly number[], limit: number, dtype: 'int64' | 'int32' = 'int64'): HostTensor =>
  tensor(dtype, shape, Array.from({ length: elementCount(shape) }, () => integer(0, limit - 1))) // prettier-ignore

const activations: Case[] = [
  { op: 'LeakyRelu', inputs: [x], attributes: { alpha: float(uniform(-0.5, 0.5)) } },
  {
    op: 'PRelu',
    inputs: [
      [2, 3, 4],
      [3, 1],
    ],
    constants: [1],
  },
  { op: 'ThresholdedRelu', inputs: [x], attributes: { alpha: float(uniform(-1, 1)) } },
  { op: 'Elu', inputs: [x], attributes: { alpha: float(uniform(0.2, 2)) } },
  { op: 'Selu', inputs: [x] },
  { op: 'Selu', name: 'with attributes', inputs: [x], attributes: { alpha: float(uniform(1, 2)), gamma: float(uniform(1, 2)) } },
  { op: 'Celu', inputs: [x], attributes: { alpha: float(uniform(0.5, 2)) } },
  { op: 'HardSigmoid', inputs: [x], attributes: { alpha: float(uniform(0.1, 0.5)), beta: float(uniform(0, 1)) }, range: [-6, 6] },
  { op: 'HardSwish', inputs: [x], range: [-5, 5] },
  { op: 'Mish', inputs: [x] },
  { op: 'Softsign', inputs: [x] },
  { op: 'Shrink', inputs: [x], attributes: { lambd: float(uniform(0.2, 1)), bias: float(uniform(0, 0.5)) } },
  ...['Tan', 'Sinh', 'Cosh', 'Asinh', 'Atanh'].map((op): Case => ({ op, inputs: [x], range: [-0.9, 0.9] })),
  { op: 'Acosh', inputs: [x], range: [1.2, 4] },
  { op: 'Sum', inputs: [[2, 3], [3], [2, 1]] },
  { op: 'Mean', inputs: [[2, 3], [3], [2, 1]] },
  { op: 'CastLike', inputs: [tensor('float64', [2, 2], [1, 2, 3, 4]), tensor('float32', [1], [0])] },
  { op: 'Dropout', inputs: [x], outputs: 2, compare: [0] },
  { op: 'ReduceL1', inputs: [[2, 3, 4], tensor('int64', [1], [-1])], constants: [1], attributes: { keepdims: int(flag()) } },
  { op: 'ReduceLogSum', inputs: [[2, 3, 4], tensor('int64', [2], [0, 2])], constants: [1], range: [0.1, 2] },
  { op: 'BiasGelu', domain: ms, inputs: [x, [5]] },
  { op: 'Gelu', domain: ms, inputs: [x] },
]

const normalizations: Case[] = [
  {
    op: 'BatchNormalization',
    inputs: [spatial(), vector(4), vector(4), vector(4), vector(4, [0.5, 2])],
    constants: [1, 2, 3, 4],
    attributes: { epsilon: float(uniform(1e-5, 1e-2)) },
  },
  {
    op: 'InstanceNormalization',
    inputs: [spatial(), vector(4), vector(4)],
    constants: [1, 2],
    attributes: { epsilon: float(0.01) },
  },
  { op: 'GroupNormalization', inputs: [spatial(), vector(4), vector(4)], constants: [1, 2], attributes: { num_groups: int(2) } },
  {
    op: 'GroupNormalization',
    name: 'of opset 18',
    opset: 18,
    inputs: [spatial(), vector(2), vector(2)],
    constants: [1, 2],
    attributes: { num_groups: int(2) },
  },
  { op: 'MeanVarianceNormalization', inputs: [spatial()] },
  { op: 'LpNormalization', inputs: [x], attributes: { axis: int(integer(-2, 1)), p: int(integer(1, 2)) } },
  { op: 'LRN', inputs: [spatial()], attributes: { size: int(3), alpha: float(0.1), beta: float(0.6), bias: float(1.5) } },
  { op: 'GlobalAveragePool', inputs: [spatial()] },
  { op: 'GlobalMaxPool', inputs: [spatial()] },
  {
    op: 'SkipLayerNormalization',
    domain: ms,
    inputs: [[2, 3, 8], [2, 3, 8], [8], [8], [8]],
    outputs: 4,
    compare: [0, 3],
    attributes: { epsilon: float(1e-3) },
  },
  { op: 'SkipLayerNormalization', name: 'bare', domain: ms, inputs: [[2, 3, 8], [2, 3, 8], [8]] },
  { op: 'SkipSimplifiedLayerNormalization', domain: ms, inputs: [[2, 3, 8], [2, 3, 8], [8], [8]], outputs: 4, compare: [0, 3] },
  {
    op: 'EmbedLayerNormalization',
    domain: ms,
    inputs: [ids([2, 3], 6, 'int32'), ids([2, 3], 2, 'int32'), [6, 8], [4, 8], [2, 8], [8], [8]],
    outputs: 2,
    compare: [0],
  },
  ...[1, 2].flatMap((axis) =>
    ['Softmax', 'LogSoftmax'].map((op): Case => ({
      op,
      name: `of opset 11 on axis ${axis}`,
      opset: 11,
      inputs: [[2, 3, 4]],
      attributes: { axis: int(axis) },
    })),
  ),
]

const table = (rows: number, n: number): HostTensor => filled([rows, n], [-1, 1])
const attention: Case[] = [
  {
    op: 'MultiHeadAttention',
    domain: ms,
    inputs: [
      [2, 3, 8],
      [2, 4, 8],
      [2, 4, 8],
    ],
    attributes: { num_heads: int(2), scale: float(uniform(0.2, 1)) },
  },
  {
    op: 'MultiHeadAttention',
    name: 'with biases',
    domain: ms,
    inputs: [[2, 3, 8], [2, 3, 8], [2, 3, 8], [24], null, [1, 2, 3, 3]],
    attributes: { num_heads: int(2) },
  },
  {
    op: 'MultiHeadAttention',
    name: 'causal',
    domain: ms,
    inputs: [
      [2, 3, 8],
      [2, 3, 8],
      [2, 3, 8],
    ],
    attributes: { num_heads: int(4), unidirectional: int(1) },
  },
  {
    op: 'MultiHeadAttention',
    name: 'with padding',
    domain: ms,
    inputs: [[2, 3, 8], [2, 3, 8], [2, 3, 8], null, tensor('int32', [2, 3], [1, 1, 0, 1, 1, 1])],
    attributes: { num_heads: int(2) },
  },
  {
    op: 'Attention',
    domain: ms,
    inputs: [[2, 3, 8], [8, 24], [24]],
    attributes: { num_heads: int(2), unidirectional: int(flag()) },
  },
  {
    op: 'Attention',
    name: 'with padding',
    domain: ms,
    inputs: [[2, 3, 8], [8, 24], [24], tensor('int32', [2, 3], [1, 1, 1, 1, 1, 0])],
    attributes: { num_heads: int(2) },
  },
  ...[0, 1].map((causal): Case => ({
    op: 'Attention',
    name: causal === 1 ? 'of opset 23, causal' : 'of opset 23',
    opset: 23,
    inputs: [
      [2, 4, 3, 8],
      [2, 2, 3, 8],
      [2, 2, 3, 8],
    ],
    attributes: { is_causal: int(causal), softcap: float(causal * 2) },
  })),
  {
    op: 'Attention',
    name: 'of opset 23 in three dimensions with a mask',
    opset: 23,
    inputs: [
      [2, 3, 16],
      [2, 5, 16],
      [2, 5, 16],
      [3, 5],
    ],
    attributes: { q_num_heads: int(4), kv_num_heads: int(4), scale: float(0.3) },
  },
  ...[0, 1].map((interleaved): Case => ({
    op: 'RotaryEmbedding',
    name: `of opset 23${interleaved === 1 ? ' interleaved' : ''}`,
    opset: 23,
    inputs: [[2, 2, 3, 8], table(5, 4), table(5, 4), ids([2, 3], 5)],
    attributes: { interleaved: int(interleaved) },
  })),
  {
    op: 'RotaryEmbedding',
    name: 'in three dimensions',
    domain: ms,
    inputs: [[2, 3, 16], tensor('int64', [1], [1]), table(6, 4), table(6, 4)],
  },
  ...[0, 1].map((rotary): Case => ({
    op: 'GroupQueryAttention',
    name: rotary === 1 ? 'with rotary' : 'plain',
    domain: ms,
    inputs: [
      [2, 3, 64],
      [2, 3, 32],
      [2, 3, 32],
      null,
      null,
      tensor('int32', [2], [2, 2]),
      tensor('int32', [], [3]),
      ...(rotary === 1 ? [table(8, 8), table(8, 8)] : []),
    ],
    attributes: { num_heads: int(4), kv_num_heads: int(2), do_rotary: int(rotary) },
    outputs: 3,
  })),
  { op: 'GroupQueryAttention', name: 'packed, with a window', domain: ms, inputs: [[2, 5, 64], null, null, null, null, tensor('int32', [2], [4, 4]), tensor('int32', [], [5])], attributes: { num_heads: int(4), kv_num_heads: int(2), local_window_size: int(2) }, outputs: 3 }, // prettier-ignore
]

const older: Case[] = [
  { op: 'Squeeze', opset: 11, inputs: [[3, 1, 2]], attributes: { axes: ints([1]) } },
  { op: 'Unsqueeze', opset: 11, inputs: [x], attributes: { axes: ints([0, 2]) } },
  ...[
    'ReduceSum',
    'ReduceMean',
    'ReduceMax',
    'ReduceL2',
    'ReduceLogSumExp',
    'ReduceSumSquare',
    'ReduceProd',
    'ReduceL1',
    'ReduceLogSum',
    'ReduceMin',
  ].map((op): Case => ({
    op,
    opset: 11,
    inputs: [[2, 3, 4]],
    range: [0.2, 2],
    attributes: { axes: ints([-1, 0]), keepdims: int(flag()) },
  })),
  { op: 'Split', opset: 11, inputs: [x], attributes: { axis: int(1), split: ints([2, 3]) }, outputs: 2 },
  { op: 'Split', name: 'in equal parts', opset: 11, inputs: [[3, 6]], attributes: { axis: int(1) }, outputs: 3 },
  { op: 'Clip', opset: 9, inputs: [x], attributes: { min: float(-0.5), max: float(0.75) } },
  { op: 'Clip', name: 'on one side', opset: 9, inputs: [x], attributes: { max: float(0.75) } },
  { op: 'Slice', opset: 9, inputs: [x], attributes: { starts: ints([1, -3]), ends: ints([9, -1]), axes: ints([0, 1]) } },
  { op: 'Pad', opset: 9, inputs: [x], attributes: { pads: ints([0, 1, 2, 1]), value: float(0.5), mode: string('constant') } },
  { op: 'TopK', opset: 9, inputs: [x], attributes: { k: int(2), axis: int(1) }, outputs: 2 },
  {
    op: 'Upsample',
    opset: 9,
    inputs: [spatial(), tensor('float32', [4], [1, 1, 2, 3])],
    constants: [1],
    attributes: { mode: string('nearest') },
  },
  { op: 'Dropout', opset: 9, inputs: [x], attributes: { ratio: float(0.3) } },
  {
    op: 'BatchNormalization',
    opset: 9,
    inputs: [spatial(), vector(4), vector(4), vector(4), vector(4, [0.5, 2])],
    constants: [1, 2, 3, 4],
  },
  { op: 'Gemm', opset: 9, inputs: [[3, 4], [5, 4], [5]], attributes: { transB: int(1), alpha: float(0.5), beta: float(2) } },
  {
    op: 'Scatter',
    opset: 10,
    inputs: [x, tensor('int64', [1, 2], [1, 3]), [1, 2]],
    constants: [1],
    attributes: { axis: int(1) },
  },
]

for (const [family, cases] of Object.entries({ activations, normalizations, attention, older }))
  describe(`lowering of ${family}`, () => {
    it.each(cases.map((c) => [[c.op, ...(c.name === undefined ? [] : [c.name])].join(' '), c] as const))('%s', async (_, c) => {
      const { graph, feeds } = assemble(c)
      const { graph: lowered } = lower(graph)
      expect(lowered.nodes.filter(({ op, domain }) => !emittableOps.has(operatorKey(op, domain)) && !['Resize', 'TopK'].includes(op))).toEqual([]) // prettier-ignore
      const [before, after] = [await run(graph, feeds), await run(lowered, feeds)]
      expect(after.map((y) => y.length)).toEqual(before.map((y) => y.length))
      before.forEach((y, i) => {
        const scale = Math.max(1, ...y.map(Math.abs))
        expect(Math.max(0, ...y.map((v, k) => Math.abs(v - after[i]![k]!))) / scale, `output ${i}`).toBeLessThan(2e-5)
      })
    })
  })

describe('coverage', () => {
  it('has a case for every lowering that the runtime can run', () => {
    const tested = new Set([...activations, ...normalizations, ...attention].map((c) => operatorKey(c.op, c.domain ?? '')))
    const unavailable = ['Swish', 'RMSNormalization', 'Where', 'com.microsoft.BiasAdd']
    expect(Object.keys(builtinLowerings).filter((key) => !tested.has(key) && !unavailable.includes(key))).toEqual([])
  })

  it('lists every unsupported node in one error', () => {
    const graph = new Graph('unsupported')
    graph.addInput('x', 'float32', ['n', 2])
    graph.nodes.push({ op: 'Mystery', domain: 'acme', name: 'first', inputs: ['x'], outputs: ['a'], attributes: {} })
    graph.nodes.push({ op: 'LSTM', domain: '', name: 'second', inputs: ['x'], outputs: ['b'], attributes: {} })
    graph.nodes.push({ op: 'Add', domain: '', name: 'third', inputs: ['a', 'b'], outputs: ['y'], attributes: {} })
    graph.outputs = [{ name: 'y', dtype: 'float32', shape: undefined }]
    expect(() => lower(graph)).toThrow(UnsupportedOpError)
    expect(() => lower(graph)).toThrow(/2 node\(s\)[^]*acme\.Mystery \(opset 21\) "first"[^]*LSTM \(opset 21\) "second"/)
  })
})

describe('If on a constant', () => {
  it.each([
    [true, [2, 4]],
    [false, [11, 12]],
  ])('takes the branch of %s', async (condition, expected) => {
    const branch = (op: string): Attributes[string] => ({
      type: 'opaque',
      value: create(AttributeProtoSchema, {
        name: op === 'Mul' ? 'then_branch' : 'else_branch',
        type: AttributeType.GRAPH,
        g: {
          name: 'branch',
          node: [{ opType: op, name: 'inner', input: ['x', 'c'], output: ['inner'] }],
          initializer: [{ name: 'c', dataType: 1, dims: [1n], floatData: [op === 'Mul' ? 2 : 10] }],
          output: [{ name: 'inner' }],
        },
      }),
    })
    const graph = new Graph('merged')
    graph.addInput('x', 'float32', ['n'])
    graph.addInput('use_cache_branch', 'bool', [1])
    const attributes = { then_branch: branch('Mul'), else_branch: branch('Add') }
    graph.nodes.push({ op: 'If', domain: '', name: 'optimum::if', inputs: ['use_cache_branch'], outputs: ['y'], attributes })
    graph.outputs = [{ name: 'y', dtype: 'float32', shape: undefined }]
    const { graph: lowered } = lower(graph, { constants: { use_cache_branch: condition } })
    expect(lowered.inputs.map((i) => i.name)).toEqual(['x'])
    expect(await run(lowered, { x: tensor('float32', [2], [1, 2]) })).toEqual([expected])
    expect(() => lower(graph)).toThrow(/If \(opset 21\) "optimum::if": its condition is not constant/)
  })
})
