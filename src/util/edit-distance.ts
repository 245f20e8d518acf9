/** @file Levenshtein's distance between sequences, row by row, so that parts of a table can be used again. */

/** The distances of one beginning of a sequence to every beginning of another: [other's length + 1]. */
export type Row = Int32Array

/** Of nothing to each beginning. */
export const firstRow = (length: number): Row => Int32Array.from({ length: length + 1 }, (_, j) => j)

/** Adds one item to the sequence, in place. @param other the other sequence, as numbers that are equal where its items are */
export function extendRow(row: Row, item: number, other: Int32Array): void {
  let diagonal = row[0]!
  let left = diagonal + 1
  row[0] = left
  for (let j = 1; j < row.length; j++) {
    const above = row[j]!
    const replaced = item === other[j - 1] ? diagonal : diagonal + 1
    // Math.min of three costs twice as much here.
    const inserted = above < left ? above + 1 : left + 1
    left = replaced < inserted ? replaced : inserted
    row[j] = left
    diagonal = above
  }
}

/** The rows of all beginnings of a sequence, the empty one first. */
export function allRows(items: Int32Array, other: Int32Array): Row[] {
  const row = firstRow(other.length)
  const rows = [row.slice()]
  for (const item of items) {
    extendRow(row, item, other)
    rows.push(row.slice())
  }
  return rows
}
