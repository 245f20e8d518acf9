/** @file Operators without a WebGPU kernel, in operators that have one. */
import type { GraphBuilder } from '../../graph/builder.js'
import type { Replacement, RewriteTable } from '../../graph/rewrite.js'
import { elementCount, int as integer, isFileTensor, isFloat, type Value } from '../../graph/types.js'

/** The last two axes exchanged. */
const transposed = (b: GraphBuilder, x: Value): Value => {
  const rank = x.shape!.length
  return b.transpose(x, [...Array(rank - 2).keys(), rank - 1, rank - 2])
}

/** alpha · op(a) · op(b): one Gemm for matrices, transposed copies for batches of them. */
const fusedMatMul: Replacement = ({ b, inputs: [a, c], int, float }) => {
  if (a?.shape === undefined || c?.shape === undefined || a.shape.length < 2 || c.shape.length < 2) return undefined
  if (int('transBatchA', 0) !== 0 || int('transBatchB', 0) !== 0) return undefined
  const [transA, transB] = [int('transA', 0) !== 0, int('transB', 0) !== 0]
  const alpha = float('alpha', 1)
  if (a.shape.length === 2 && c.shape.length === 2) return b.gemm(a, c, { transA, transB, alpha })
  const product = b.matmul(transA ? transposed(b, a) : a, transB ? transposed(b, c) : c)
  return alpha === 1 ? product : b.mul(product, alpha)
}

/** x − m − log Σ exp(x − m) with m = max x, so that nothing overflows. */
const logSoftmax: Replacement = ({ b, inputs: [x], int }) => {
  if (x?.shape === undefined) return undefined
  const axis = b.axis(x, int('axis', -1))
  const shifted = b.sub(x, b.reduceMax(x, [axis]))
  return b.sub(shifted, b.log(b.reduceSum(b.exp(shifted), [axis])))
}

/** A number expanded on the device, so that no array of zeros is made by the CPU and copied. Integers index: they stay. */
const constantOfShape: Replacement = ({ b, node, inputs: [shape] }) => {
  const value = node.attributes['value']
  if (shape === undefined || value?.type !== 'tensor' || isFileTensor(value.value) || !isFloat(value.value.dtype))
    return undefined
  if (elementCount(value.value.shape) !== 1) return undefined
  const scalar = b.constant({ ...value.value, shape: [] }, node.name)
  const known = b.graph.values.get(node.outputs[0]!)?.shape
  return b.emit('Expand', [scalar, shape], {}, known === undefined ? {} : { shapes: [known] })
}

/** [x > 0] − [x < 0] */
const sign: Replacement = ({ b, inputs: [x] }) =>
  x === undefined || !isFloat(x.dtype) ? undefined : b.sub(b.cast(b.greater(x, 0), x.dtype), b.cast(b.less(x, 0), x.dtype))

/** ¬(¬x ∧ ¬y) */
const or: Replacement = ({ b, inputs: [x, y] }) =>
  x === undefined || y === undefined ? undefined : b.not(b.and(b.not(x), b.not(y)))

/** Beyond the largest finite number, which is a comparison that shaders keep where one with infinity may be optimised away. */
const isInf: Replacement = ({ b, inputs: [x], int }) => {
  if (x === undefined || (x.dtype !== 'float32' && x.dtype !== 'float16')) return undefined
  const largest = x.dtype === 'float32' ? 3.4028234663852886e38 : 65504
  const positive = int('detect_positive', 1) !== 0
  const negative = int('detect_negative', 1) !== 0
  if (positive === negative) return positive ? b.greater(b.abs(x), largest) : undefined
  return positive ? b.greater(x, largest) : b.less(x, -largest)
}

/** A grouped convolution over three axes, which the kernel refuses at the run: one convolution for each group. */
const groupedConv3d: Replacement = ({ b, node, inputs: [x, w, bias], int }) => {
  const group = int('group', 1)
  const [channels, filters] = [x?.shape?.[1], w?.shape?.[0]]
  if (group === 1 || x?.shape?.length !== 5 || w === undefined) return undefined
  if (typeof channels !== 'number' || typeof filters !== 'number') return undefined
  const parts = (value: Value, axis: number, length: number): Value[] => b.splitEvenly(value, group, length / group, axis)
  const [xs, ws] = [parts(x, 1, channels), parts(w, 0, filters)]
  const biases = bias === undefined ? undefined : parts(bias, 0, filters)
  const attributes = { ...node.attributes, group: integer(1) }
  return b.concat(
    xs.map((part, i) => b.emit('Conv', [part, ws[i], biases?.[i]], attributes)),
    1,
  )
}

/** Device lowerings by operator key. */
export const webgpuLowerings: RewriteTable = {
  'com.microsoft.FusedMatMul': fusedMatMul,
  LogSoftmax: logSoftmax,
  ConstantOfShape: constantOfShape,
  Sign: sign,
  Or: or,
  IsInf: isInf,
  Conv: groupedConv3d,
}
