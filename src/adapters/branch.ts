/** @file The low-rank branch of each kind of layer, folded into the layer's output. */
import { InvalidAdapterError, ShapeError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { floorDivideDims } from '../graph/dims.js'
import { isConvolution, type Module } from '../graph/module.js'
import { int, ints, type Dim, type Shape, type Value } from '../graph/types.js'

/** Shapes of A and B as PEFT stores them. */
export function loraShapes(module: Module, rank: Dim): { A: Shape; B: Shape } {
  const { inFeatures, outFeatures, convolution } = module
  if (convolution === undefined) return { A: [rank, inFeatures], B: [outFeatures, rank] }
  const ones = convolution.kernel.map(() => 1)
  // Of a grouped layer only B is grouped: A sees all channels.
  const { groups, kernel } = convolution
  return { A: [rank, inFeatures, ...kernel], B: [outFeatures, floorDivideDims(rank, groups), ...ones] }
}

/** y + s·B·A·x */
export function addBranch(b: GraphBuilder, module: Module, x: Value, y: Value, A: Value, B: Value, scale: number): Value {
  if (isConvolution(module.kind)) return convolutionBranch(b, module, x, y, A, B, scale)
  if (module.kind === 'Embedding')
    throw new InvalidAdapterError(`LoRA on embedding "${module.name}" is not supported; leave it out of target_modules`)
  const rank = x.shape?.length
  if (rank === undefined || y.shape?.length !== rank)
    throw new ShapeError(`the rank of "${x.name}" or "${y.name}" is unknown, so "${module.name}" cannot be adapted`)
  if (rank === 2) {
    const low = b.gemm(x, A, { transA: module.transposedInput === true, transB: true })
    return b.gemm(low, B, { c: y, transB: true, alpha: scale })
  }
  return b.add(y, b.matmul(b.matmul(x, A, { transB: true }), B, { transB: true, alpha: scale }))
}

/**
 * PEFT's formulation: A is a convolution with the layer's own kernel, strides, pads and dilations to r channels, B one
 * with a kernel of 1.
 */
function convolutionBranch(b: GraphBuilder, module: Module, x: Value, y: Value, A: Value, B: Value, scale: number): Value {
  const { kernel, attributes, groups } = module.convolution!
  const { kernel_shape: _, group: __, ...rest } = attributes
  const low = b.emit(
    'Conv',
    [x, A],
    { ...rest, kernel_shape: ints(kernel) },
    { shapes: [y.shape!.map((d, i) => (i === 1 ? A.shape![0]! : d))] },
  )
  const high = b.emit('Conv', [low, B], groups === 1 ? {} : { group: int(groups) }, { shapes: [y.shape!] })
  return b.add(y, scale === 1 ? high : b.mul(high, scale))
}
