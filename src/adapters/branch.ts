/** @file The low-rank branch of each kind of layer, folded into the layer's output. */
import { ShapeError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { floorDivideDims } from '../graph/dim/index.js'
import { isConvolution, type TargetModule } from '../graph/target-module.js'
import { int, ints, type Dim, type Shape, type Value } from '../graph/types.js'

/** Shapes of A and B as PEFT stores them. */
export function loraShapes(module: TargetModule, rank: Dim): { A: Shape; B: Shape } {
  const { inFeatures, outFeatures, convolution } = module
  if (convolution === undefined) return { A: [rank, inFeatures], B: [outFeatures, rank] }
  const ones = convolution.kernel.map(() => 1)
  // Of a grouped layer only B is grouped: A sees all channels.
  const { groups, kernel } = convolution
  return { A: [rank, inFeatures, ...kernel], B: [outFeatures, floorDivideDims(rank, groups), ...ones] }
}

/** A vector [out] in the shape that broadcasts along a layer's outputs: channels of a convolution are axis 1. */
export const alongOutputs = (b: GraphBuilder, module: TargetModule, vector: Value): Value =>
  isConvolution(module.kind) ? b.reshape(vector, [1, module.outFeatures, ...module.convolution!.kernel.map(() => 1)]) : vector

/**
 * onto + s·B·A·x, or the branch alone.
 * @param y output of the layer, for its shape
 */
export function addBranch(
  b: GraphBuilder,
  module: TargetModule,
  x: Value,
  onto: Value | undefined,
  y: Value,
  A: Value,
  B: Value,
  scale: number,
): Value {
  if (isConvolution(module.kind)) return convolutionBranch(b, module, x, onto, y, A, B, scale)
  if (module.kind === 'Embedding') return embeddingBranch(b, x, onto, y, A, B, scale)
  const rank = x.shape?.length
  if (rank === undefined || y.shape?.length !== rank)
    throw new ShapeError(`the rank of "${x.name}" or "${y.name}" is unknown, so "${module.name}" cannot be adapted`)
  if (rank === 2) {
    const low = b.gemm(x, A, { transA: module.transposedInput === true, transB: true })
    return b.gemm(low, B, { c: onto, transB: true, alpha: scale })
  }
  return plus(b, onto, b.matmul(b.matmul(x, A, { transB: true }), B, { transB: true, alpha: scale }))
}

const plus = (b: GraphBuilder, onto: Value | undefined, branch: Value): Value =>
  onto === undefined ? branch : b.add(onto, branch)

/** Columns of A [r, vocabulary] that the ids name, times B [hidden, r]: no product with the vocabulary. */
function embeddingBranch(
  b: GraphBuilder,
  ids: Value,
  onto: Value | undefined,
  y: Value,
  A: Value,
  B: Value,
  scale: number,
): Value {
  const { shape } = y
  if (shape === undefined) throw new ShapeError(`the shape of "${y.name}" is unknown, so the embedding cannot be adapted`)
  const flat = b.emit('Reshape', [ids, b.int64s([-1])], {}, { shapes: [[b.elementCount(ids)]] })
  const rows = b.gemm(b.gather(A, flat, 1), B, { transA: true, transB: true, alpha: scale }) // [ids, hidden]
  return plus(b, onto, b.reshape(rows, shape))
}

/**
 * PEFT's formulation: A is a convolution with the layer's own kernel, strides, pads and dilations to r channels, B one
 * with a kernel of 1. PEFT itself leaves the dilations and the kind of padding out until it merges; here the branch is what the
 * merge gives.
 */
function convolutionBranch(
  b: GraphBuilder,
  module: TargetModule,
  x: Value,
  onto: Value | undefined,
  y: Value,
  A: Value,
  B: Value,
  scale: number,
): Value {
  const { kernel, attributes, groups } = module.convolution!
  const { kernel_shape: _, group: __, ...rest } = attributes
  const low = b.emit(
    'Conv',
    [x, A],
    { ...rest, kernel_shape: ints(kernel) },
    { shapes: [y.shape!.map((d, i) => (i === 1 ? A.shape![0]! : d))] },
  )
  const high = b.emit('Conv', [low, B], groups === 1 ? {} : { group: int(groups) }, { shapes: [y.shape!] })
  return plus(b, onto, scale === 1 ? high : b.mul(high, scale))
}
