/** @file Dense matrices in float64, row by row. */
import { transpose } from '../transpose.js'

export interface Matrix {
  readonly rows: number
  readonly columns: number
  /** rows × columns numbers, row by row. */
  readonly data: Float64Array
}

export function matrix(rows: number, columns: number, values?: ArrayLike<number>): Matrix {
  if (values !== undefined && values.length !== rows * columns)
    throw new RangeError(`internal: ${values.length} numbers do not make a matrix [${rows}, ${columns}]`)
  return { rows, columns, data: values === undefined ? new Float64Array(rows * columns) : Float64Array.from(values) }
}

export const transposed = ({ rows, columns, data }: Matrix): Matrix => ({
  ...{ rows: columns, columns: rows, data: transpose(data, rows, columns) },
})

/** a·b */
export function product(a: Matrix, b: Matrix): Matrix {
  if (a.columns !== b.rows)
    throw new RangeError(`internal: [${a.rows}, ${a.columns}] times [${b.rows}, ${b.columns}] is not defined`)
  const result = matrix(a.rows, b.columns)
  for (let i = 0; i < a.rows; i++) {
    const out = result.data.subarray(i * b.columns, (i + 1) * b.columns)
    for (let k = 0; k < a.columns; k++) {
      const factor = a.data[i * a.columns + k]!
      if (factor === 0) continue
      const row = k * b.columns
      for (let j = 0; j < out.length; j++) out[j] = out[j]! + factor * b.data[row + j]!
    }
  }
  return result
}

/** The first `count` columns. */
export function firstColumns({ rows, columns, data }: Matrix, count: number): Matrix {
  const result = matrix(rows, count)
  for (let i = 0; i < rows; i++) result.data.set(data.subarray(i * columns, i * columns + count), i * count)
  return result
}
