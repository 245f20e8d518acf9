/** @file A matrix the other way round. */

/** [rows, columns] to [columns, rows], a new array; of any typed array with one element for a number. */
export function transpose<T extends ArrayBufferView>(matrix: T, rows: number, columns: number): T {
  // Numbers and bigints are only moved: that they were float32 is said for the compiler alone.
  const from = matrix as unknown as Float32Array
  const to = from.slice()
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j]!
  return to as unknown as T
}
