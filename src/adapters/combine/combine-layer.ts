/** @file One layer of several adapters as one branch of scale 1: PEFT's `add_weighted_adapter`, layer by layer. */
import { InvalidAdapterError, InvalidOptionError } from '../../errors.js'
import type { TargetModule } from '../../graph/target-module.js'
import { matrix, transposed, type Matrix } from '../../util/linear-algebra/matrix.js'
import type { Svd } from '../../util/linear-algebra/svd.js'
import { svdOfProduct, truncatedSvd } from '../../util/linear-algebra/truncated-svd.js'
import { joinBranches } from '../serving/branch-tensors.js'
import { mergeTensors, type TensorRule, type TensorRuleOptions } from './merge-tensors.js'

/** PEFT's names. */
export const combinationTypes = [
  'linear',
  'cat',
  'svd',
  'ties',
  'ties_svd',
  'dare_linear',
  'dare_ties',
  'dare_linear_svd',
  'dare_ties_svd',
  'magnitude_prune',
  'magnitude_prune_svd',
] as const

/** PEFT's names of ways to combine adapters. */
export type CombinationType = (typeof combinationTypes)[number]

/** A branch of one adapter, as its file has it. */
export interface LayerSource {
  /** Of the adapter, for messages. */
  readonly name: string
  readonly module: TargetModule
  readonly r: number
  /** [r, in] */
  readonly A: Float32Array
  /** [out, r] */
  readonly B: Float32Array
  /** alpha/r, or alpha/√r */
  readonly scale: number
  readonly weight: number
}

export interface LayerOptions extends Omit<TensorRuleOptions, 'keep'> {
  /** Rank of `svd` and `*_svd`. */
  readonly r: number
  /** Quantile at which numbers of `svd` and `*_svd` are cut off. */
  readonly svdClamp?: number
  /** For `dare_*`: whether the next number of a source's matrix stays. */
  readonly keep: (source: LayerSource, matrix: 'A' | 'B' | 'delta') => boolean
}

/** A branch to be used with scale 1. */
export interface CombinedLayer {
  readonly module: TargetModule
  readonly r: number
  readonly A: Float32Array
  readonly B: Float32Array
}

/** The branch that stands for the weighted sum of the sources, exactly (`cat`, `svd` of enough rank) or by the type's idea of it. */
export function combineLayer(type: CombinationType, sources: readonly LayerSource[], options: LayerOptions): CombinedLayer {
  const { module } = sources[0]!
  if (type === 'cat') {
    const branches = sources.map(({ r, A, B, scale, weight }) => ({
      branch: { module, r, A: A.map((x) => x * (weight * scale)), B },
      weight: 1,
    }))
    const { A, B } = joinBranches(branches)
    const r = sources.reduce((sum, source) => sum + source.r, 0)
    return { module, r, A: A.data as Float32Array, B: B.data as Float32Array }
  }
  if (type === 'svd' || type.endsWith('_svd')) return decomposed(type, sources, options)
  return byMatrices(type as TensorRule, sources, options)
}

/**
 * The rule on A and on B, each weighted by the root of weight times scale; the sign goes to A. B·A is then not the
 * weighted sum: products of one adapter's B with another's A are in it, as in PEFT.
 */
function byMatrices(rule: TensorRule, sources: readonly LayerSource[], options: LayerOptions): CombinedLayer {
  const { module, r } = sources[0]!
  if (sources.some((source) => source.r !== r))
    throw new InvalidOptionError(
      `"${rule}" needs equal ranks, but at ${module.name} they are ${sources.map((s) => `${s.r} ("${s.name}")`).join(' and ')}; ` +
        `use "cat" or "${rule === 'linear' ? 'svd' : `${rule}_svd`}"`,
    )
  const roots = sources.map(({ weight, scale }) => Math.sqrt(Math.abs(weight * scale)))
  const signed = roots.map((root, i) => (sources[i]!.weight * sources[i]!.scale < 0 ? -root : root))
  const merged = (which: 'A' | 'B', weights: readonly number[]): Float32Array =>
    mergeTensors(
      rule,
      sources.map((source) => source[which]),
      weights,
      { ...options, keep: (i) => options.keep(sources[i]!, which) },
    )
  return { module, r, A: merged('A', signed), B: merged('B', roots) }
}

/** The rule on whole changes, and of what it gives the largest singular values: B = U·S, A = Vᵀ. */
function decomposed(type: CombinationType, sources: readonly LayerSource[], options: LayerOptions): CombinedLayer {
  const { module } = sources[0]!
  if ((module.convolution?.groups ?? 1) > 1)
    throw new InvalidAdapterError(
      `${module.name} is a grouped convolution, whose branch is no product of two matrices; "${type}" is not defined for it, use "cat"`,
    )
  const out = module.outFeatures
  const inputs = sources[0]!.A.length / sources[0]!.r
  const rank = Math.min(options.r, out, inputs)
  const found =
    type === 'svd'
      ? ofSum(sources, out, inputs)
      : truncatedSvd(matrix(out, inputs, ofRule(type, sources, options, out, inputs)), rank)
  return { module, ...clamped(branchOf(found, rank, out, inputs), options.svdClamp) }
}

/** Σ weight·scale·B·A by thin factors. */
function ofSum(sources: readonly LayerSource[], out: number, inputs: number): Svd {
  const r = sources.reduce((sum, source) => sum + source.r, 0)
  const left = matrix(out, r)
  const right = matrix(r, inputs)
  let at = 0
  for (const { A, B, r: own, weight, scale } of sources) {
    right.data.set(A, at * inputs)
    for (let i = 0; i < out; i++) for (let k = 0; k < own; k++) left.data[i * r + at + k] = B[i * own + k]! * weight * scale
    at += own
  }
  return svdOfProduct(left, right)
}

function ofRule(
  type: CombinationType,
  sources: readonly LayerSource[],
  options: LayerOptions,
  out: number,
  inputs: number,
): Float32Array {
  const rule = type.replace(/_svd$/, '') as TensorRule
  const changes = sources.map((source) => change(source, out, inputs))
  const weights = sources.map(({ weight }) => weight)
  return mergeTensors(rule, changes, weights, { ...options, keep: (i) => options.keep(sources[i]!, 'delta') })
}

/** scale·B·A, [out, in] */
function change({ A, B, r, scale }: LayerSource, out: number, inputs: number): Float32Array {
  const result = new Float32Array(out * inputs)
  const row = new Float64Array(inputs)
  for (let i = 0; i < out; i++) {
    row.fill(0)
    for (let k = 0; k < r; k++) {
      const factor = B[i * r + k]!
      for (let j = 0; j < inputs; j++) row[j] = row[j]! + factor * A[k * inputs + j]!
    }
    for (let j = 0; j < inputs; j++) result[i * inputs + j] = row[j]! * scale
  }
  return result
}

function branchOf({ U, S, V }: Svd, wanted: number, out: number, inputs: number): Omit<CombinedLayer, 'module'> {
  const r = Math.min(wanted, S.length)
  const A = new Float32Array(r * inputs)
  const B = new Float32Array(out * r)
  const vt: Matrix = transposed(V)
  for (let k = 0; k < r; k++) {
    for (let j = 0; j < inputs; j++) A[k * inputs + j] = vt.data[k * inputs + j]!
    for (let i = 0; i < out; i++) B[i * r + k] = U.data[i * U.columns + k]! * S[k]!
  }
  return { r, A, B }
}

/** Numbers beyond the quantile of all of A and B are cut off at it, on both sides of 0. */
function clamped(layer: Omit<CombinedLayer, 'module'>, quantile: number | undefined): Omit<CombinedLayer, 'module'> {
  if (quantile === undefined) return layer
  const { r, A, B } = layer
  const all = new Float32Array(A.length + B.length)
  all.set(B)
  all.set(A, B.length)
  all.sort()
  const place = quantile * (all.length - 1)
  const [low, high] = [all[Math.floor(place)]!, all[Math.ceil(place)]!]
  const limit = low + (high - low) * (place - Math.floor(place))
  // As PyTorch's clamp does where the bounds cross: the upper one counts.
  const cut = (values: Float32Array): Float32Array => values.map((x) => Math.min(limit, Math.max(-limit, x)))
  return { r, A: cut(A), B: cut(B) }
}
