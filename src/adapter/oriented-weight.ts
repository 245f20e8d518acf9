/** @file A layer's weight as the matrix that its product is by, outputs first. */
import { outputsFirst, type TargetModule } from '../graph/target-module.js'
import { matrix, transposed, type Matrix } from '../util/linear-algebra/matrix.js'

/**
 * A weight, or a change of it, as [out, in], of a convolution [out, in·kernel], with the factor of the layer's product in it.
 * @param shape as it is stored
 */
export function asOutputs(
  { kind, outFeatures, factor = 1 }: TargetModule,
  shape: readonly number[],
  values: ArrayLike<number>,
): Matrix {
  const W = matrix(shape[0]!, values.length / shape[0]!, values)
  const oriented = outputsFirst(kind) ? W : transposed(W)
  if (oriented.rows !== outFeatures)
    throw new RangeError(`internal: a weight of ${oriented.rows} outputs, ${outFeatures} expected`)
  return factor === 1 ? oriented : { ...oriented, data: oriented.data.map((x) => x * factor) }
}
