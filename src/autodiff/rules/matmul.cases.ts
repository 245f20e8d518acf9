/** @file Gradient cases of matrix products. */
import type { GraphBuilder } from '../../graph/builder.js'
import { int, type Shape, type Value } from '../../graph/types.js'
import type { GradientCase } from '../../testing/gradcheck.js'

const dims = { batch: 2, rows: 3 }

const matMul = (name: string, u: Shape, v: Shape): GradientCase => ({
  name: `MatMul ${name}`,
  dims,
  inputs: { u, v },
  build: (b, { u, v }) => b.matmul(u!, v!),
})

const swap = (shape: Shape, doIt: boolean): Shape => (doIt ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape)

/** FusedMatMul has no float64 kernel: the reference transposes. */
const fused = (name: string, a: Shape, c: Shape, alpha = 1): GradientCase[] =>
  [false, true].flatMap((transA) =>
    [false, true]
      .filter((transB) => transA || transB)
      .map((transB) => ({
        name: `FusedMatMul ${name}${transA ? ' Aᵀ' : ''}${transB ? ' Bᵀ' : ''}`,
        dims,
        inputs: { u: swap(a, transA), v: swap(c, transB) },
        build: (b, { u, v }) => b.matmul(u!, v!, { transA, transB, alpha }),
        reference: (b, { u, v }) => {
          const flip = (shape: Shape): number[] => swap(shape.map((_, i) => i), true) as number[] // prettier-ignore
          const left = transA ? b.transpose(u!, flip(u!.shape!)) : u!
          const right = transB ? b.transpose(v!, flip(v!.shape!)) : v!
          return b.mul(b.matmul(left, right), alpha)
        },
      })),
  )

const gemm = (
  name: string,
  bias: Shape | undefined,
  options: { transA?: boolean; transB?: boolean; alpha?: number; beta?: number },
): GradientCase => ({
  name: `Gemm ${name}`,
  dims,
  inputs: { u: swap(['rows', 4], options.transA === true), v: swap([4, 2], options.transB === true), ...(bias && { c: bias }) },
  build: (b, { u, v, c }) => b.gemm(u!, v!, { ...options, c }),
})

/** Log-probabilities of labels under the logits of a product, whose gradient is multiplied in terms (`row-terms.ts`). */
const crossEntropy = (
  name: string,
  product: (b: GraphBuilder, u: Value, v: Value) => Value,
  v: Shape,
  smoothing = 0,
): GradientCase => {
  const withNormalizer = (normalizer: (b: GraphBuilder, logits: Value) => Value): GradientCase['build'] =>
    (b, { u, v, at }) => {
      const logits = product(b, u!, v!)
      const label = b.emit('GatherElements', [logits, at!], { axis: int(1) })
      const smoothed = b.add(b.mul(label, 1 - smoothing), b.mul(b.emit('ReduceMean', [logits, b.int64s([-1])]), smoothing))
      return b.sub(smoothing === 0 ? label : smoothed, normalizer(b, logits))
    } // prettier-ignore
  return {
    name: `cross-entropy of ${name}`,
    dims,
    inputs: { u: ['rows', 4], v, at: { shape: ['rows', 1], dtype: 'int64', values: [1, 0, 3] } },
    build: withNormalizer((b, logits) => b.emit('ReduceLogSumExp', [logits, b.int64s([-1])])),
    reference: withNormalizer((b, logits) => b.log(b.reduceSum(b.exp(logits), [-1]))),
  }
}

export const matmulCases: readonly GradientCase[] = [
  matMul('of matrices', [3, 4], [4, 2]),
  matMul('of a batch with a shared weight', ['batch', 'rows', 4], [4, 2]),
  matMul('of batches', ['batch', 2, 'rows', 4], ['batch', 2, 4, 'rows']),
  matMul('broadcasts the left batch', [1, 3, 4], ['batch', 4, 2]),
  matMul('broadcasts both batches', [2, 1, 3, 4], [3, 4, 2]),
  matMul('of a matrix with a batch', [3, 4], [2, 4, 2]),
  matMul('of vectors', [4], [4]),
  matMul('of a vector and a matrix', [4], [4, 3]),
  matMul('of a vector and a batch', [4], ['batch', 4, 3]),
  matMul('of a batch and a vector', ['batch', 'rows', 4], [4]),
  ...fused('of matrices', [3, 4], [4, 2], 0.5),
  ...fused('of batches', ['batch', 2, 'rows', 4], ['batch', 2, 4, 2], 0.25),
  ...fused('broadcasts', ['batch', 3, 4], [1, 4, 2]),
  ...fused('with a shared weight', ['batch', 'rows', 4], [4, 2], -2),
  crossEntropy('MatMul', (b, u, v) => b.matmul(u, v), [4, 5]),
  crossEntropy('Gemm Bᵀ', (b, u, v) => b.gemm(u, v, { transB: true, alpha: 0.5 }), [5, 4]),
  crossEntropy('MatMul, smoothed', (b, u, v) => b.matmul(u, v), [4, 5], 0.2),
  crossEntropy('Gemm Bᵀ, smoothed', (b, u, v) => b.gemm(u, v, { transB: true, alpha: 0.5 }), [5, 4], 0.2),
  crossEntropy('Gemm behind another product', (b, u, v) => b.gemm(b.tanh(b.gemm(u, v)), v, { transB: true, alpha: -2 }), [4, 5]),
  {
    name: 'Gemm before a Pad with axes, whose gradient has an input that is left out',
    dims,
    inputs: { u: ['rows', 4], v: [4, 2] },
    build: (b, { u, v }) => b.emit('Pad', [b.gemm(u!, v!), b.int64s([1, 2]), undefined, b.int64s([1])]),
  },
  gemm('plain', undefined, {}),
  gemm('with a bias row', [2], {}),
  gemm('broadcasts a bias column', ['rows', 1], { beta: 0.5 }),
  gemm('with a full bias', ['rows', 2], { alpha: 2, beta: -1 }),
  gemm('with a scalar bias', [], { transB: true }),
  gemm('Aᵀ', [2], { transA: true, alpha: 0.5 }),
  gemm('Bᵀ', [1, 2], { transB: true, alpha: 3 }),
  gemm('AᵀBᵀ', undefined, { transA: true, transB: true, alpha: 0.5 }),
]
