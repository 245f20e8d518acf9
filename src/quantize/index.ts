/** @file A frozen base in 8 or 4 bits: which products it concerns, what is stored, and the graph that runs on it. */
import type { Graph } from '../graph/graph.js'
import type { DType, Initializer } from '../graph/types.js'
import type { BaseScheme } from './base-schemes.js'
import { Int4Emitter } from './int4.js'
import { Int8Emitter, int8Names } from './int8.js'
import { INT4_BLOCK, Int4Packer, Int8Packer, packedWhole, unpackInt4, unpackInt8, type Packer } from './pack.js'
import { frozenMatrices, type FrozenMatrix } from './products.js'
import { replaceProducts } from './rewrite.js'

export { baseSchemes, type BaseScheme } from './base-schemes.js'

/** A tensor that a quantised matrix consists of. */
export interface PackedSpec {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly number[]
}

/** What a quantised base needs of one matrix. */
export interface PackedMatrix {
  readonly matrix: FrozenMatrix
  readonly specs: readonly PackedSpec[]
  /** Packs the weight, float32, as stored, into the contents of `specs`, in order. */
  readonly packer: () => Packer
}

/** Smaller matrices stay as they are: there is nothing to gain. */
const SMALLEST = 1024

/**
 * The matrices of a training or evaluation graph that a scheme quantises, and how.
 * @param loss output that the forward pass ends in
 */
export function planQuantization(graph: Graph, scheme: Exclude<BaseScheme, 'fp32'>, loss: string): PackedMatrix[] {
  return frozenMatrices(graph, loss, SMALLEST).flatMap((matrix): PackedMatrix[] => {
    const { name, inFeatures, outFeatures, outputsFirst } = matrix
    if (scheme === 'int8') {
      const names = int8Names(name)
      // The product over the inputs reads a matrix stored [in, out] as it is, one stored [out, in] the other way round.
      const [asStored, transposed] = outputsFirst ? [names.backward, names.forward] : [names.forward, names.backward]
      const [rows, columns] = outputsFirst ? [outFeatures, inFeatures] : [inFeatures, outFeatures]
      const specs: PackedSpec[] = [
        { name: asStored.codes, dtype: 'int8', shape: [rows, columns] },
        { name: asStored.scales, dtype: 'float32', shape: [columns] },
        { name: transposed.codes, dtype: 'int8', shape: [columns, rows] },
        { name: transposed.scales, dtype: 'float32', shape: [rows] },
      ]
      return [{ matrix, specs, packer: () => new Int8Packer(rows, columns) }]
    }
    // Blocks must fill a row; the few layers of other widths stay as they are.
    if (inFeatures % INT4_BLOCK !== 0) return []
    const specs: PackedSpec[] = [
      { name: `${name}/codes`, dtype: 'uint8', shape: [outFeatures, inFeatures / 2] },
      { name: `${name}/scales`, dtype: 'float32', shape: [outFeatures * (inFeatures / INT4_BLOCK)] },
    ]
    return [{ matrix, specs, packer: () => new Int4Packer(inFeatures, outFeatures, outputsFirst) }]
  })
}

/**
 * The graph with its frozen products on quantised weights.
 * @param stored the tensors of {@link planQuantization}, by name
 */
export function quantizeProducts(
  graph: Graph,
  scheme: Exclude<BaseScheme, 'fp32'>,
  plan: readonly PackedMatrix[],
  stored: (name: string) => Initializer,
): Graph {
  const Emitter = scheme === 'int8' ? Int8Emitter : Int4Emitter
  const matrices = plan.map(({ matrix }) => matrix)
  return replaceProducts(graph, matrices, (tools) => new Emitter(tools, stored))
}

/**
 * The float32 matrix [out, in] that a scheme computes with in place of a frozen weight; undefined where it leaves the weight
 * as it is.
 * @param W [out, in] if `outputsFirst`, else [in, out]
 */
export function dequantized(
  W: Float32Array,
  scheme: Exclude<BaseScheme, 'fp32'>,
  inFeatures: number,
  outFeatures: number,
  outputsFirst: boolean,
): Float32Array | undefined {
  if (W.length < SMALLEST) return undefined
  if (scheme === 'int4')
    return inFeatures % INT4_BLOCK === 0
      ? unpackInt4(packedWhole(new Int4Packer(inFeatures, outFeatures, outputsFirst), W))
      : undefined
  // Of both directions the forward one: the scales are those of the outputs.
  const [rows, columns] = outputsFirst ? [outFeatures, inFeatures] : [inFeatures, outFeatures]
  const { asStored, transposed } = packedWhole(new Int8Packer(rows, columns), W)
  const forward = unpackInt8(outputsFirst ? transposed : asStored) // [in, out]
  return Float32Array.from(forward, (_, k) => forward[(k % inFeatures) * outFeatures + Math.floor(k / inFeatures)]!)
}

export { INT4_BLOCK, type MatrixSlice } from './pack.js'
export { frozenMatrices, type FrozenMatrix } from './products.js'
