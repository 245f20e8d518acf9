/**
 * @file LoftQ (Li et al., 2023): the branch begins as what quantisation took from the weight, so that training on a
 * quantised base starts near the model itself. One round of the paper's alternation, as PEFT does unless told otherwise.
 */
import { InvalidOptionError } from '../errors.js'
import { isConvolution } from '../graph/target-module.js'
import { dequantized, type BaseScheme } from '../quantize/index.js'
import { firstColumns, matrix, transposed } from '../util/linear-algebra/matrix.js'
import { svd, svdLowRank } from '../util/linear-algebra/svd.js'
import { Random } from '../util/rng.js'
import type { LoraTarget } from './lora.js'

/** Matrices with a shorter side than this are decomposed exactly, the others by a random projection. */
const EXACT = 512

/** Rounds of power iteration: what is left of a weight has singular values of much the same size. */
const ROUNDS = 8

/**
 * Fills A [r, in] and B [out, r]: W − Q(W) = U·S·Vᵀ gives B = U_r·√(S_r/s) and A = √(S_r/s)·V_rᵀ, so that the branch
 * s·B·A is the residual's best approximation of rank r. (PEFT leaves the scale s out.)
 *
 * @param scheme how the base is held
 * @param weight the weight as stored
 * @returns false, with nothing filled, for a layer that the scheme leaves as it is
 */
export function startFromResidual(
  target: LoraTarget,
  scheme: Exclude<BaseScheme, 'fp32'>,
  seed: number,
  weight: () => Float32Array,
  A: Float32Array,
  B: Float32Array,
): boolean {
  const { module, r, scale } = target
  const { name, kind, inFeatures, outFeatures } = module
  if (kind === 'Embedding' || isConvolution(kind)) return false
  if (scale <= 0) throw new InvalidOptionError(`"loftq" needs a scale above 0 for ${name}, got ${scale}`)
  const outputsFirst = kind === 'Linear'
  const W = weight()
  const held = dequantized(W, scheme, inFeatures, outFeatures, outputsFirst)
  if (held === undefined) return false
  const stored = outputsFirst ? matrix(outFeatures, inFeatures, W) : transposed(matrix(inFeatures, outFeatures, W))
  const residual = matrix(
    outFeatures,
    inFeatures,
    Array.from(stored.data, (value, i) => value - held[i]!),
  )
  const { U, S, V } =
    Math.min(inFeatures, outFeatures) < EXACT
      ? svd(residual)
      : svdLowRank(residual, r, ROUNDS, Random.derive(seed, 'loftq', name))
  const roots = Array.from(S.subarray(0, r), (s) => Math.sqrt(s / scale))
  B.set(firstColumns(U, r).data.map((value, i) => value * roots[i % r]!))
  A.set(transposed(firstColumns(V, r)).data.map((value, i) => value * roots[Math.floor(i / inFeatures)]!))
  return true
}
