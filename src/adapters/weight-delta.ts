/** @file What merging does to one weight: a low-rank change, another tensor, other rows, a vector added. */
import { outputsFirst, type ModuleKind } from '../graph/target-module.js'
import { mergedWeight, type MergedWeight } from './merge-weights.js'

export interface OfModule {
  /** Module path, for messages and to tell an output head from the embedding it is tied to. */
  readonly module: string
}

/** W + s·B·A, with DoRA's magnitude rescaled row by row. */
export interface LowRankDelta extends OfModule {
  readonly kind: ModuleKind
  /** [r, in], or [r, in, ...kernel] */
  readonly A: Float32Array
  /** [out, r] */
  readonly B: Float32Array
  readonly scale: number
  /** [out] */
  readonly magnitude?: Float32Array
  /** Factor of the layer's product, where the magnitude is of the product. */
  readonly factor?: number
  /** Output head that keeps the base's weight although the embedding it is tied to changes. */
  readonly keeps?: string
}

/** Another tensor in place of the weight. */
export interface ReplacedDelta extends OfModule {
  readonly kind: 'replaced'
  readonly values: Float32Array
  /** The weight is shared and replaced for this module alone. */
  readonly shared?: boolean
  readonly keeps?: string
}

/** Other rows in place of some. */
export interface RowsDelta extends OfModule {
  readonly kind: 'rows'
  readonly rows: readonly number[]
  readonly values: Float32Array
}

/** A tensor added to the weight. */
export interface AddedDelta extends OfModule {
  readonly kind: 'added'
  readonly values: Float32Array
}

export type WeightDelta = LowRankDelta | ReplacedDelta | RowsDelta | AddedDelta

const isLowRank = (delta: WeightDelta): delta is LowRankDelta => 'A' in delta

/** Output head that keeps the base's weight although the embedding it is tied to changes. */
export const keeperOf = (delta: WeightDelta): string | undefined => ('keeps' in delta ? delta.keeps : undefined)

/** Whether a change is meant for its module alone, rather than for all that read the weight. */
export const isOfOneLayer = (delta: WeightDelta): boolean =>
  isLowRank(delta) || (delta.kind === 'replaced' && (delta.shared === true || delta.keeps !== undefined))

/** What does not fit between a delta and a weight of that shape, or undefined. */
export function misfit(delta: WeightDelta, shape: readonly number[]): string | undefined {
  const count = shape.reduce((product, dim) => product * dim, 1)
  if (!isLowRank(delta)) {
    const expected = delta.kind === 'rows' ? delta.rows.length * (shape[1] ?? 0) : count
    return delta.values.length === expected ? undefined : `with ${delta.values.length} numbers`
  }
  const { kind, A, B } = delta
  const [rows = 0, columns = 0] = shape
  const [inputs, outputs] = outputsFirst(kind) ? [rows === 0 ? 0 : count / rows, rows] : [rows, columns]
  const r = A.length / inputs
  return shape.length >= 2 && Number.isInteger(r) && B.length === r * outputs
    ? undefined
    : `A with ${A.length} numbers, B with ${B.length}`
}

/** The weight after the change, and the largest absolute change (NaN if there is one). */
export function applyDelta(W: Float32Array, shape: readonly number[], delta: WeightDelta): MergedWeight {
  if (isLowRank(delta)) return mergedWeight(W, delta.kind, shape, delta.A, delta.B, delta.scale, delta.magnitude, delta.factor)
  const weight = W.slice()
  const { values } = delta
  if (delta.kind === 'rows') {
    const width = shape[1]!
    delta.rows.forEach((row, i) => weight.set(values.subarray(i * width, (i + 1) * width), row * width))
  } else for (let i = 0; i < weight.length; i++) weight[i] = delta.kind === 'added' ? weight[i]! + values[i]! : values[i]!
  return { weight, maxAbsDelta: largestDifference(W, weight) }
}

/**
 * A weight with several changes applied in order.
 * @returns the weight, and the largest absolute change: of all together, for they may add up or cancel
 */
export function applyDeltas(W: Float32Array, shape: readonly number[], deltas: readonly WeightDelta[]): MergedWeight {
  const [first] = deltas
  if (first !== undefined && deltas.length === 1) return applyDelta(W, shape, first)
  const weight = deltas.reduce((values, delta) => applyDelta(values, shape, delta).weight, W)
  return { weight, maxAbsDelta: largestDifference(W, weight) }
}

/** Largest absolute difference of two tensors of one shape; NaN if there is one. */
function largestDifference(a: Float32Array, b: Float32Array): number {
  let largest = 0
  for (let i = 0; i < a.length; i++) {
    const size = Math.abs(b[i]! - a[i]!)
    if (size > largest || size !== size) largest = size
  }
  return largest
}
