/** @file The arithmetic of merging: W + s·B·A in float32. */
import { isConvolution, outputsFirst, type ModuleKind } from '../graph/target-module.js'
import { transpose } from '../util/transpose.js'
import { outputLengths, rescaling } from './output-lengths.js'

/** Columns of the result worked on at a time: a block of A of this width stays in the processor's cache. */
const COLUMNS = 1024

/**
 * W + s·left·right into a new array; every product and sum is rounded to float32 as a float32 matrix product does.
 * @param left [rows, r]
 * @param right [r, columns]
 */
function addProduct(
  W: Float32Array,
  left: Float32Array,
  right: Float32Array,
  rows: number,
  columns: number,
  r: number,
  scale: number,
) {
  const weight = new Float32Array(W.length)
  const sum = new Float32Array(Math.min(COLUMNS, columns))
  const s = Math.fround(scale)
  let maxAbsDelta = 0
  for (let start = 0; start < columns; start += COLUMNS) {
    const width = Math.min(COLUMNS, columns - start)
    for (let row = 0; row < rows; row++) {
      sum.fill(0)
      for (let k = 0; k < r; k++) {
        const factor = left[row * r + k]!
        const base = k * columns + start
        for (let j = 0; j < width; j++) sum[j] = sum[j]! + factor * right[base + j]!
      }
      const at = row * columns + start
      for (let j = 0; j < width; j++) {
        const delta = Math.fround(s * sum[j]!)
        const size = delta < 0 ? -delta : delta
        // NaN is larger than nothing and nothing is larger than it: once found, it stays.
        if (size > maxAbsDelta || size !== size) maxAbsDelta = size
        weight[at + j] = W[at + j]! + delta
      }
    }
  }
  return { weight, maxAbsDelta }
}

export interface MergedWeight {
  readonly weight: Float32Array
  /** Largest absolute change; NaN if there is one. */
  readonly maxAbsDelta: number
}

/**
 * The weight of a layer with its adapter merged into it.
 *
 * - `Linear`, W [out, in]: W + s·B·A
 * - `Conv1D`, `MatMul`, W [in, out]: W + s·(B·A)ᵀ
 * - `Embedding`, W [vocabulary, hidden]: W + s·(B·A)ᵀ with A [r, vocabulary], B [hidden, r]
 * - `Conv1d`, `Conv2d`, `Conv3d`, W [out, in, ...kernel]: W + s·B·A with A [r, in·kernel], for groups of 1
 *
 * With a magnitude (DoRA), the weights of each output are then brought to that length.
 * @param W the base weight; not changed
 * @param shape shape of W
 * @param A [r, in]
 * @param B [out, r]
 * @param factor what the layer multiplies its product by: the magnitude is the length after that
 * @returns the sum, and the largest absolute change (NaN if there is one)
 */
export function mergedWeight(
  W: Float32Array,
  kind: ModuleKind,
  shape: readonly number[],
  A: Float32Array,
  B: Float32Array,
  scale: number,
  magnitude?: Float32Array,
  factor = 1,
): MergedWeight {
  const [rows = 0, second = 0] = shape
  const convolution = isConvolution(kind)
  const columns = convolution ? (rows === 0 ? 0 : W.length / rows) : second
  const transposed = !outputsFirst(kind)
  const inFeatures = transposed ? rows : columns
  const outFeatures = transposed ? columns : rows
  const r = inFeatures === 0 ? 0 : A.length / inFeatures
  if (
    (!convolution && shape.length !== 2) ||
    W.length !== rows * columns ||
    !Number.isInteger(r) ||
    B.length !== outFeatures * r ||
    (magnitude !== undefined && magnitude.length !== outFeatures)
  )
    throw new RangeError(
      `internal: ${kind} [${shape.join(', ')}] with ${W.length} numbers does not fit A of ${A.length} and B of ${B.length} numbers`,
    )
  const merged = transposed
    ? addProduct(W, transpose(A, r, inFeatures), transpose(B, outFeatures, r), rows, columns, r, scale)
    : addProduct(W, B, A, rows, columns, r, scale)
  if (magnitude === undefined) return merged
  return rescale(W, merged.weight, rescaling(magnitude, outputLengths(merged.weight, kind, outFeatures, factor)), kind)
}

/** Multiplies the weights of each output by a factor of its own. */
function rescale(W: Float32Array, weight: Float32Array, factors: Float64Array, kind: ModuleKind): MergedWeight {
  const inputs = weight.length / factors.length
  const inRows = outputsFirst(kind)
  let maxAbsDelta = 0
  for (let i = 0; i < weight.length; i++) {
    weight[i] = weight[i]! * factors[inRows ? Math.floor(i / inputs) : i % factors.length]!
    const size = Math.abs(weight[i]! - W[i]!)
    if (size > maxAbsDelta || size !== size) maxAbsDelta = size
  }
  return { weight, maxAbsDelta }
}
