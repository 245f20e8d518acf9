/**
 * @file Which operators the WebGPU execution provider of ONNX Runtime has kernels for, by element type.
 *
 * The provider has no list that can be read from outside. This one was made by compiling every operator that lowrank emits
 * with every element type and reading from the runtime's log where the node was placed.
 */
import { operatorKey } from '../../graph/allowed-ops.js'
import type { DType, Node, Shape } from '../../graph/types.js'

/** Version of ONNX Runtime that the table was made with. */
export const WEBGPU_KERNELS_VERSION = '1.30.0'

const floats: readonly DType[] = ['float32', 'float16']
const numbers: readonly DType[] = [...floats, 'int32', 'uint32']
const bool: readonly DType[] = ['bool']
const bytes: readonly DType[] = ['uint8', 'int8']
const nibbles: readonly DType[] = ['uint4', 'int4']
const everything: readonly DType[] = [...numbers, 'int64', 'float64', 'bool', 'uint8', 'int8']

const group = (ops: string, types: readonly DType[]): [string, ReadonlySet<DType>][] =>
  ops.split(' ').map((op) => [op, new Set(types)])

/** Element types by operator key; those of the input that {@link typedBy} names. */
const kernels: ReadonlyMap<string, ReadonlySet<DType>> = new Map([
  ...group('Add Sub Mul Div Max Min Equal Less LessOrEqual Greater GreaterOrEqual Identity Clip', numbers),
  ...group('Transpose Concat Tile Split Pad Trilu GatherND ScatterND ScatterElements CumSum', numbers),
  ...group('ReduceSum ReduceMax ReduceMin ReduceMean ReduceProd ReduceSumSquare ReduceL2 ReduceLogSumExp', numbers),
  ...group('Pow', [...floats, 'int32']),
  ...group('Range', ['float32', 'int32']),
  ...group('Where Unsqueeze Squeeze', [...numbers, ...bool]),
  ...group('Reshape Flatten Expand Gather', [...numbers, ...bool, 'uint8']),
  ...group('Cast', [...numbers, ...bool, 'uint8']),
  ...group('And Not', bool),
  ...group('Shape', everything),
  ...group('Neg Abs Exp Log Sqrt Reciprocal Sin Cos Erf Tanh Sigmoid Relu Floor Softplus Gelu Slice GatherElements', floats),
  ...group('MatMul Gemm Conv ConvTranspose MaxPool AveragePool Softmax LayerNormalization SimplifiedLayerNormalization', floats),
  ...group('com.microsoft.FastGelu com.microsoft.QuickGelu com.microsoft.RotaryEmbedding com.microsoft.MatMulNBits', floats),
  ...group('DequantizeLinear', [...bytes, ...nibbles]),
  ...group('com.microsoft.GatherBlockQuantized', nibbles),
  ...group('LSTM', ['float32']),
])

/** Activations that its LSTM knows; it takes nodes with others as well. */
const lstmActivations: ReadonlySet<string> = new Set(['Sigmoid', 'Tanh', 'Relu'])

/**
 * Nodes that the provider takes and then fails on at the run: transposed convolutions over three axes, and recurrences with
 * other activations. They go to the CPU by name.
 */
export function failsOnWebgpu(node: Node, shapeOf: (name: string) => Shape | undefined): boolean {
  if (node.domain !== '') return false
  if (node.op === 'ConvTranspose') return shapeOf(node.inputs[0] ?? '')?.length === 5
  const activations = node.op === 'LSTM' ? node.attributes['activations'] : undefined
  return activations?.type === 'strings' && activations.value.some((name) => !lstmActivations.has(name))
}

/** Which input's element type decides: that of the data, not of a condition. */
const typedBy = (node: Node): number => (node.op === 'Where' ? 1 : 0)

/** Whether WebGPU computes a node whose values have these element types; unknown types count as fit. */
export function hasWebgpuKernel(node: Node, dtypeOf: (name: string) => DType | undefined): boolean {
  const types = kernels.get(operatorKey(node.op, node.domain))
  if (types === undefined) return false
  const dtype = dtypeOf(node.inputs[typedBy(node)] ?? '')
  if (node.op === 'Cast' && dtypeOf(node.outputs[0]!) === 'float64') return false
  return dtype === undefined || types.has(dtype)
}
