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
import { quantizedOperatorLowerings } from './quantized-operators.js'
import { recurrentLowerings } from './recurrent.js'
import { quantizedLowerings } from './quantized.js'

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
  /** Whether the first axis has a number instead of a name. */
  readonly fixed?: boolean
  /** Outputs that are compared; all by default. */
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
      graph.addInput(name, host.dtype, host.shape.map((d, axis) => (c.fixed !== true && axis === 0 && i === 0 && host.shape.length > 1 ? 'batch' : d))) // prettier-ignore
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
  { op: 'MultiHeadAttention', name: 'with a past', domain: ms, inputs: [[2, 3, 8], [2, 3, 8], [2, 3, 8], null, null, null, [2, 2, 4, 4], [2, 2, 4, 4]], attributes: { num_heads: int(2), unidirectional: int(flag()) }, outputs: 3 }, // prettier-ignore
  { op: 'Attention', name: 'with a past', domain: ms, inputs: [[2, 3, 8], [8, 24], [24], null, [2, 2, 2, 4, 4]], attributes: { num_heads: int(2), unidirectional: int(1) }, outputs: 2 }, // prettier-ignore
  { op: 'Attention', name: 'with lengths', fixed: true, domain: ms, inputs: [[2, 3, 8], [8, 24], [24], tensor('int32', [2], [3, 2])], attributes: { num_heads: int(2) } }, // prettier-ignore
  ...[0, 1].map((causal): Case => ({ op: 'Attention', name: `of opset 23 with a past${causal === 1 ? ', causal' : ''}`, opset: 23, inputs: [[2, 2, 3, 8], [2, 2, 3, 8], [2, 2, 3, 8], null, [2, 2, 4, 8], [2, 2, 4, 8]], attributes: { is_causal: int(causal) }, outputs: 3 })), // prettier-ignore
  { op: 'GroupQueryAttention', name: 'with a past and rotary', domain: ms, inputs: [[2, 1, 64], [2, 1, 32], [2, 1, 32], [2, 2, 3, 16], [2, 2, 3, 16], tensor('int32', [2], [3, 3]), tensor('int32', [], [4]), table(8, 8), table(8, 8)], attributes: { num_heads: int(4), kv_num_heads: int(2), do_rotary: int(1) }, outputs: 3 }, // prettier-ignore
  { op: 'GroupQueryAttention', name: 'with a smooth softmax', domain: ms, inputs: [[2, 3, 64], [2, 3, 32], [2, 3, 32], null, null, tensor('int32', [2], [2, 2]), tensor('int32', [], [3])], attributes: { num_heads: int(4), kv_num_heads: int(2), smooth_softmax: int(1) }, outputs: 3 }, // prettier-ignore
  { op: 'GroupQueryAttention', name: 'with sinks', domain: ms, inputs: [[2, 3, 64], [2, 3, 32], [2, 3, 32], null, null, tensor('int32', [2], [2, 2]), tensor('int32', [], [3]), null, null, null, null, [4]], attributes: { num_heads: int(4), kv_num_heads: int(2) }, outputs: 3 }, // prettier-ignore
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

const image = (): number[] => [2, integer(1, 3), 5, 4]
const sizesAt = (...sizes: number[]): HostTensor => tensor('int64', [sizes.length], sizes)
const scalesAt = (...scales: number[]): HostTensor => tensor('float32', [scales.length], scales)

const movement: Case[] = [
  ...['DCR', 'CRD'].map((mode): Case => ({ op: 'DepthToSpace', name: mode, inputs: [[2, 8, 2, 3]], attributes: { blocksize: int(2), mode: string(mode) } })), // prettier-ignore
  { op: 'SpaceToDepth', inputs: [[2, 2, 4, 6]], attributes: { blocksize: int(2) } },
  ...['reflect', 'edge', 'wrap'].flatMap((mode): Case[] => [
    { op: 'Pad', name: mode, inputs: [[2, 4, 5], sizesAt(0, integer(0, 3), 2, 1, integer(0, 3), 3)], constants: [1], attributes: { mode: string(mode) } }, // prettier-ignore
    { op: 'Pad', name: `${mode}, some axes`, inputs: [[2, 4, 5], sizesAt(2, 1), null, sizesAt(-1)], constants: [1, 3], attributes: { mode: string(mode) } }, // prettier-ignore
  ]),
  { op: 'Compress', inputs: [[3, 4], tensor('bool', [4], [1, 0, 1, 1])], attributes: { axis: int(-1) } },
  { op: 'Compress', name: 'flat', inputs: [[3, 2], tensor('bool', [5], [1, 0, 1, 1, 0])] },
  { op: 'Col2Im', inputs: [[2, 12, 12], sizesAt(5, 4), sizesAt(2, 2)], constants: [1, 2], attributes: {} },
  { op: 'Col2Im', name: 'strided, dilated and padded', inputs: [[2, 8, 12], sizesAt(6, 7), sizesAt(2, 2)], constants: [1, 2], attributes: { strides: ints([2, 2]), dilations: ints([1, 2]), pads: ints([0, 1, 1, 1]) } }, // prettier-ignore
  { op: 'Trilu', domain: ms, inputs: [[3, 4], tensor('int64', [], [1])], constants: [1], attributes: { upper: int(flag()) } },
]

/** Of a symmetric axis of odd length the middle is a whole number, which the last bit of a random factor rounds up or down. */
const factors = (coordinates: string): number[] => {
  const random = [uniform(0.4, 3), uniform(0.4, 3)]
  return coordinates === 'half_pixel_symmetric' ? [1.5, 2.5] : random
}

const resize: Case[] = [
  ...['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric', 'half_pixel_symmetric'].flatMap((coordinates) => [
    ...['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'].map((nearest): Case => ({
      op: 'Resize',
      name: `nearest, ${coordinates}, ${nearest}`,
      inputs: [image(), null, scalesAt(1, 1, ...factors(coordinates))],
      constants: [2],
      attributes: { coordinate_transformation_mode: string(coordinates), nearest_mode: string(nearest) },
    })),
    ...['linear', 'cubic'].flatMap((mode): Case[] => [
      { op: 'Resize', name: `${mode}, ${coordinates}, scales`, inputs: [[1, 2, 5, 4], null, scalesAt(1, 1, uniform(0.4, 3), uniform(0.4, 3))], constants: [2], attributes: { mode: string(mode), coordinate_transformation_mode: string(coordinates) } }, // prettier-ignore
      { op: 'Resize', name: `${mode}, ${coordinates}, sizes`, fixed: true, inputs: [[1, 2, 5, 4], null, null, sizesAt(1, 2, integer(2, 9), integer(2, 9))], constants: [3], attributes: { mode: string(mode), coordinate_transformation_mode: string(coordinates) } }, // prettier-ignore
    ]),
  ]),
  { op: 'Resize', name: 'cubic without what is outside', inputs: [[1, 2, 5, 4], null, scalesAt(1, 1, 1.7, 0.6)], constants: [2], attributes: { mode: string('cubic'), exclude_outside: int(1), cubic_coeff_a: float(-0.5) } }, // prettier-ignore
  ...['linear', 'cubic'].map((mode): Case => ({ op: 'Resize', name: `${mode} without aliases`, inputs: [[1, 2, 9, 8], null, scalesAt(1, 1, 0.5, 0.4)], constants: [2], attributes: { mode: string(mode), antialias: int(1) } })), // prettier-ignore
  { op: 'Resize', name: 'of some axes', opset: 18, inputs: [image(), null, scalesAt(2, 3)], constants: [2], attributes: { axes: ints([2, -1]) } }, // prettier-ignore
  ...['not_larger', 'not_smaller'].map((policy): Case => ({ op: 'Resize', name: policy, inputs: [image(), null, null, sizesAt(7, 9)], constants: [3], attributes: { axes: ints([2, 3]), keep_aspect_ratio_policy: string(policy), mode: string('nearest') } })), // prettier-ignore
]

const equations: readonly (readonly [string, ...number[][]])[] = [
  ['ij,jk->ik', [2, 3], [3, 4]],
  ['bhid,bhjd->bhij', [2, 2, 3, 4], [2, 2, 5, 4]],
  ['bchw,bkhw->bck', [2, 2, 3, 4], [2, 3, 3, 4]],
  ['...ij,...jk->...ik', [2, 3, 4], [2, 4, 2]],
  ['...ij,jk', [2, 3, 4], [4, 2]],
  ['i,j->ji', [2], [3]],
  ['ij->', [2, 3]],
  ['ijk->kj', [2, 3, 4]],
  ['ba', [2, 3]],
  ['bld,hd->bhl', [2, 3, 4], [5, 4]],
  ['ij,ij,jk->ik', [2, 3], [2, 3], [3, 4]],
  ['i,i', [4], [4]],
  ['b i , b i -> b', [2, 4], [1, 4]],
]
const matrix: Case[] = [
  ...equations.map(([equation, ...inputs]): Case => ({ op: 'Einsum', name: equation, inputs, attributes: { equation: string(equation) } })), // prettier-ignore
  ...[0, 1].flatMap((a) => [0, 1].map((t): Case => ({ op: 'FusedMatMul', name: `transBatch ${a}${t}`, domain: ms, inputs: [a === 1 ? [3, 2, 4] : [2, 3, 4], t === 1 ? [4, 2, 5] : [2, 4, 5]], attributes: { transBatchA: int(a), transBatchB: int(t), alpha: float(0.5) } }))), // prettier-ignore
  {
    op: 'TransposeMatMul',
    domain: ms,
    inputs: [
      [4, 3],
      [4, 5],
    ],
    attributes: { transA: int(1) },
  },
  ...['Relu', 'LeakyRelu', 'Tanh'].map((name): Case => ({ op: 'FusedGemm', name, domain: ms, inputs: [[3, 4], [5, 4], [5]], attributes: { transB: int(1), alpha: float(0.5), activation: string(name), activation_alpha: float(0.2) } })), // prettier-ignore
]

const convolutions: Case[] = [
  ...['Relu', 'LeakyRelu', 'Clip', 'HardSigmoid'].map((name): Case => ({ op: 'FusedConv', name, domain: ms, inputs: [[2, 4, 5, 5], [6, 2, 3, 3], [6]], constants: [1, 2], attributes: { group: int(2), kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]), strides: ints([1, 2]), activation: string(name), ...(name === 'Relu' ? {} : { activation_params: { type: 'floats', value: name === 'Clip' ? [-0.5, 0.75] : name === 'LeakyRelu' ? [0.2] : [0.2, 0.5] } }) } })), // prettier-ignore
  { op: 'FusedConv', name: 'with a sum', domain: ms, inputs: [[2, 2, 4, 4], [3, 2, 1, 1], [3], [2, 3, 4, 4]], constants: [1, 2], attributes: { kernel_shape: ints([1, 1]), activation: string('Relu') } }, // prettier-ignore
  { op: 'LpPool', inputs: [[1, 2, 5, 4]], attributes: { kernel_shape: ints([2, 3]), strides: ints([2, 1]), pads: ints([1, 0, 0, 1]), p: int(integer(1, 3)) } }, // prettier-ignore
  { op: 'GlobalLpPool', inputs: [spatial()], attributes: { p: int(integer(1, 3)) } },
  ...['SAME_UPPER', 'SAME_LOWER', 'VALID'].map((mode): Case => ({ op: 'ConvTranspose', name: mode, inputs: [[1, 2, 3, 4], [2, 3, 3, 2]], attributes: { auto_pad: string(mode), strides: ints([2, 1]) } })), // prettier-ignore
  { op: 'ConvTranspose', name: 'with output_shape', inputs: [[1, 2, 3, 4], [2, 3, 3, 3]], attributes: { output_shape: ints([6, 7]), strides: ints([2, 2]) } }, // prettier-ignore
]

const older: Case[] = [
  { op: 'Split', name: 'with a smaller last part', opset: 18, inputs: [[3, 7]], attributes: { axis: int(1), num_outputs: int(3) }, outputs: 3 }, // prettier-ignore
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
  { op: 'Slice', name: 'to the end', opset: 9, inputs: [x], attributes: { starts: ints([1, -9]), ends: ints([2 ** 63, 3]), axes: ints([1, 0]) } }, // prettier-ignore
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

for (const [family, cases] of Object.entries({
  activations,
  normalizations,
  attention,
  movement,
  resize,
  matrix,
  convolutions,
  older,
}))
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

/** Operators that the runtime has no CPU kernel for; `without-kernel.test.ts` holds them against others that it has. */
const withoutKernel = ['BiasAdd', 'BiasSplitGelu', 'GroupNorm', 'SkipGroupNorm', 'NhwcConv', 'NhwcFusedConv'].map(
  (op) => `${ms}.${op}`,
)

describe('coverage', () => {
  it('has a case for every lowering that the runtime can run', () => {
    const tested = new Set(
      [...activations, ...normalizations, ...attention, ...movement, ...resize, ...matrix, ...convolutions].map((c) =>
        operatorKey(c.op, c.domain ?? ''),
      ),
    )
    const unavailable = ['Swish', 'RMSNormalization', 'Where', 'NonZero', ...withoutKernel]
    const elsewhere = new Set(
      [quantizedLowerings, quantizedOperatorLowerings, recurrentLowerings].flatMap((table) => Object.keys(table)),
    )
    const keys = Object.keys(builtinLowerings).filter((key) => !elsewhere.has(key))
    expect(keys.filter((key) => !tested.has(key) && !unavailable.includes(key))).toEqual([])
  })

  it('lists every unsupported node in one error', () => {
    const graph = new Graph('unsupported')
    graph.addInput('x', 'float32', ['n', 2])
    graph.nodes.push({ op: 'Mystery', domain: 'acme', name: 'first', inputs: ['x'], outputs: ['a'], attributes: {} })
    graph.nodes.push({ op: 'LSTM', domain: '', name: 'second', inputs: ['x'], outputs: ['b'], attributes: {} })
    graph.nodes.push({ op: 'Add', domain: '', name: 'third', inputs: ['a', 'b'], outputs: ['y'], attributes: {} })
    graph.outputs = [{ name: 'y', dtype: 'float32', shape: undefined }]
    expect(() => lower(graph)).toThrow(UnsupportedOpError)
    expect(() => lower(graph)).toThrow(/2 node\(s\)[^]*acme\.Mystery \(opset unknown\) "first"[^]*LSTM \(opset 21\) "second"/)
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
    expect(() => lower(graph)).toThrow(/If \(opset 21\) "optimum::if": its condition depends on input "use_cache_branch"/)
  })
})

describe('NonZero of ones', () => {
  const node = (op: string, inputs: string[], output: string, attributes: Attributes = {}) => ({ op, domain: '', name: output, inputs, outputs: [output], attributes }) // prettier-ignore

  it('counts: torch.arange before opset 11, of two lengths that stay apart', async () => {
    const graph = new Graph('counted')
    graph.opsets.set('', 9)
    graph.addInput('x', 'float32', ['n', 'm'])
    graph.nodes.push(node('Shape', ['x'], 'shape'))
    const counted = (axis: number, output: string): void => {
      graph.addInitializer(`axis${axis}`, tensor('int64', [1], [axis]))
      graph.nodes.push(
        node('Gather', ['shape', `axis${axis}`], `length${axis}`, { axis: int(0) }),
        node('ConstantOfShape', [`length${axis}`], `ones${axis}`, {
          value: { type: 'tensor', value: tensor('int64', [1], [1]) },
        }),
        node('NonZero', [`ones${axis}`], output),
      )
      graph.outputs.push({ name: output, dtype: 'int64', shape: undefined })
    }
    counted(0, 'rows')
    counted(1, 'columns')
    const { graph: lowered } = lower(graph)
    expect(lowered.nodes.filter(({ op }) => op === 'NonZero')).toEqual([])
    expect(lowered.outputs.map(({ shape }) => shape)).toEqual([
      [1, 'n'],
      [1, 'm'],
    ])
    const feeds = { x: filled([2, 3]) }
    expect(await run(lowered, feeds)).toEqual(await run(graph, feeds))
    expect(await run(lowered, feeds)).toEqual([[0, 1], [0, 1, 2]]) // prettier-ignore
  })

  it('of anything else stays, each count a length of its own', () => {
    const graph = new Graph('places')
    for (const name of ['x', 'y']) {
      graph.addInput(name, 'float32', ['n'])
      graph.nodes.push(node('NonZero', [name], `places of ${name}`))
      graph.outputs.push({ name: `places of ${name}`, dtype: 'int64', shape: undefined })
    }
    const [a, b] = lower(graph).graph.outputs.map(({ shape }) => shape![1])
    expect(a).not.toBe(b)
  })
})
