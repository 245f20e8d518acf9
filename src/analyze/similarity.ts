/** @file How much two subspaces have in common, for all numbers of their directions: section 7.2 of Hu et al., "LoRA", 2021. */
import { product, transposed, type Matrix } from '../util/linear-algebra/matrix.js'

/**
 * φ(i, j) = ‖U₁ⁱᵀ·U₂ʲ‖²_F / min(i, j) for the first i directions of one and the first j of the other: 1 where the smaller
 * subspace lies in the larger one, 0 where they are orthogonal (equation 4). `[i − 1][j − 1]`.
 */
export type SimilarityGrid = readonly (readonly number[])[]

/** @param first orthonormal columns, strongest first, [n, i]; @param second likewise, [n, j] */
export function subspaceSimilarity(first: Matrix, second: Matrix): SimilarityGrid {
  const cosines = product(transposed(first), second)
  const { rows, columns, data } = cosines
  // Sums of squares over the upper left corner: what is above, and the row so far.
  const corner: number[][] = []
  for (let i = 0; i < rows; i++) {
    let row = 0
    corner.push(
      Array.from({ length: columns }, (_, j) => {
        row += data[i * columns + j]! ** 2
        return row + (corner[i - 1]?.[j] ?? 0)
      }),
    )
  }
  return corner.map((sums, i) => sums.map((sum, j) => sum / Math.min(i + 1, j + 1)))
}
