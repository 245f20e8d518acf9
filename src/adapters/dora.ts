/**
 * @file DoRA (Liu et al., 2024): the weight W + s·B·A in rows of length m, a trained magnitude.
 *
 * With n the length of each row of W + s·B·A (of each column, where a weight is stored [in, out]) and f = m/n, the layer
 * gives f ⊙ (W + s·B·A)·x + bias. n is taken for a constant by the gradient (section 4.3 of the paper), as in PEFT.
 *
 * n² = |W|² + 2s·⟨W·Aᵀ, B⟩ + s²·⟨B·(A·Aᵀ), B⟩ row by row, so that B·A is never whole. The sum loses digits only where
 * W + s·B·A is far shorter than W itself, which a trained branch never makes it: an error of 10⁻⁷·(|W|/n)², relatively.
 */
import { InvalidAdapterError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { isConvolution, outputsFirst, type TargetModule } from '../graph/target-module.js'
import { int, ints, isFloat, type Value } from '../graph/types.js'
import { alongOutputs } from './branch.js'
import type { Attachment } from './part.js'

/** [out], and [1, out, 1, …] for a convolution, as PEFT stores it. */
export const magnitudeShape = ({ kind, outFeatures, convolution }: TargetModule): number[] =>
  isConvolution(kind) ? [1, outFeatures, ...convolution!.kernel.map(() => 1)] : [outFeatures]

/** Smallest square of a length: a row of zeros has no direction, and must not become NaN. */
const TINY = 1e-30

interface Rescaling {
  /** Input of the branch where something was dropped from it. */
  readonly x: Value | undefined
  readonly y: Value
  readonly A: Value
  readonly B: Value
  readonly magnitude: Value
  readonly scale: number
  /** The branch, alone or added to a value. */
  readonly branch: (onto: Value | undefined) => Value
}

/** The layer's output with the weight rescaled. */
export function rescaled(at: Attachment, module: TargetModule, r: Rescaling): Value {
  const { b, graph } = at
  const { y } = r
  const W = matrixOf(at, module)
  const norm = lengths(b, module, W, r)
  graph.detached.add(norm.name)
  const f = alongOutputs(b, module, b.div(b.reshape(r.magnitude, [module.outFeatures]), norm))
  if (r.x !== undefined) {
    // PEFT applies dropout to the base's product as well, and only the change passes through it.
    const base = product(at, module, r.x)
    return b.add(y, b.add(b.mul(base, b.sub(f, 1)), b.mul(r.branch(undefined), f)))
  }
  const sum = b.mul(r.branch(y), f)
  const bias = includedBias(at, module, y)
  return bias === undefined ? sum : b.add(sum, b.mul(alongOutputs(b, module, bias), b.sub(1, f)))
}

/** The bias, where the layer's output has it already. */
export function includedBias({ graph }: Attachment, module: TargetModule, y: Value): Value | undefined {
  if (module.bias === undefined) return undefined
  const node = graph.nodes.find(({ outputs }) => outputs.includes(y.name))
  return node?.inputs.includes(module.bias) === true ? graph.value(module.bias) : undefined
}

function weightOf({ b, graph }: Attachment, module: TargetModule): Value {
  const weight = graph.value(module.weight)
  if (!isFloat(weight.dtype))
    throw new InvalidAdapterError(
      `DoRA needs the weight of ${module.name} as floating-point numbers, it is ${weight.dtype}; use LoRA`,
    )
  return b.cast(weight, 'float32')
}

/** The weight as a matrix: a convolution's as [out, in·kernel]. An imported product's own factor is applied. */
function matrixOf(at: Attachment, module: TargetModule): Value {
  const weight = weightOf(at, module)
  if (isConvolution(module.kind)) return at.b.reshape(weight, [module.outFeatures, inputsOf(module)])
  return module.factor === undefined ? weight : at.b.mul(weight, module.factor)
}

const inputsOf = ({ inFeatures, convolution }: TargetModule): number =>
  (convolution?.kernel ?? []).reduce((product, length) => product * length, inFeatures)

/** Length of each output's weights in W + s·B·A, [out]. */
function lengths(b: GraphBuilder, module: TargetModule, W: Value, { A: a, B: bb, scale }: Rescaling): Value {
  const convolution = isConvolution(module.kind)
  const rowMajor = outputsFirst(module.kind)
  const rank = a.shape![0]!
  const A = convolution ? b.reshape(a, [rank, inputsOf(module)]) : a
  const B = convolution ? b.reshape(bb, [module.outFeatures, rank]) : bb
  const squares = b.reduceSum(b.mul(W, W), [rowMajor ? 1 : 0], false)
  const projected = b.matmul(W, A, { transA: !rowMajor, transB: true }) // [out, r]
  const gram = b.matmul(A, A, { transB: true }) // [r, r]
  // 2s·⟨WAᵀ, B⟩ + s²·⟨BAAᵀ, B⟩ = s·⟨2·WAᵀ + s·BAAᵀ, B⟩
  const both = b.add(b.mul(projected, 2), b.mul(b.matmul(B, gram), scale))
  const change = b.mul(b.reduceSum(b.mul(both, B), [1], false), scale)
  return b.sqrt(b.max(b.add(squares, change), TINY))
}

/** W·x without the bias. */
function product(at: Attachment, module: TargetModule, x: Value): Value {
  const { b } = at
  if (isConvolution(module.kind)) {
    const { kernel, attributes, groups } = module.convolution!
    const { kernel_shape: _, group: __, ...rest } = attributes
    return b.emit('Conv', [x, weightOf(at, module)], { ...rest, kernel_shape: ints(kernel), group: int(groups) })
  }
  const W = weightOf(at, module)
  const [transB, alpha] = [module.kind === 'Linear', module.factor ?? 1]
  return x.shape?.length === 2
    ? b.gemm(x, W, { transA: module.transposedInput === true, transB, alpha })
    : b.matmul(x, W, { transB, alpha })
}
