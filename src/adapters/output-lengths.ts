/** @file The lengths that DoRA's magnitudes are in place of: of each output's weights. */
import { outputsFirst, type ModuleKind } from '../graph/target-module.js'

/** Smallest length that is divided by: the weights of an output that are all zero have no direction, and stay zero. */
const TINY = 1e-15

/**
 * Length of each output's weights, [out].
 * @param weight stored as the kind says
 * @param factor what the layer multiplies its product by: the lengths are those after that
 */
export function outputLengths(weight: Float32Array, kind: ModuleKind, outFeatures: number, factor = 1): Float64Array {
  const inputs = weight.length / outFeatures
  const inRows = outputsFirst(kind)
  const squares = new Float64Array(outFeatures)
  for (let i = 0; i < weight.length; i++) squares[inRows ? Math.floor(i / inputs) : i % outFeatures]! += weight[i]! * weight[i]!
  return squares.map((square) => Math.sqrt(square) * Math.abs(factor))
}

/** What brings weights of these lengths to the magnitudes, [out]. */
export const rescaling = (magnitude: Float32Array, lengths: Float64Array): Float64Array =>
  lengths.map((length, i) => magnitude[i]! / Math.max(length, TINY))
