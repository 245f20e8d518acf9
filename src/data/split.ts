/** @file Rows set aside for evaluation: a share of them, or of their groups, chosen by the seed alone. */
import { InvalidDataError } from '../errors.js'
import { Random } from '../util/rng.js'
import { someNames } from '../util/some-of.js'
import { at, hasField, rowsOf, type RowSource } from './rows.js'

export interface SplitOptions {
  /** Share of the rows that is set aside, above 0 and below 1. */
  readonly share: number
  readonly seed: number
  /** Rows with the same value in this column stay together. */
  readonly by?: string | undefined
}

/**
 * Splits rows in two: of n rows round(n · share), at least one and not all, for evaluation, the others for training. Both keep
 * the order of the files; no row is in both. With `by` whole groups are set aside, in a random order, until there are as
 * many rows as that, or as near to it as the last group allows.
 * @throws InvalidDataError if there are too few rows or groups, or a row has no group
 */
export async function splitRows(
  sources: readonly RowSource[],
  { share, seed, by }: SplitOptions,
): Promise<{ readonly train: readonly RowSource[]; readonly evaluation: readonly RowSource[] }> {
  const total = sources.reduce((sum, { length }) => sum + length, 0)
  const names = sources.map(({ file }) => file).join(', ')
  if (total < 2) throw new InvalidDataError(`${names}: one row cannot be split into rows to train and to evaluate on.`)
  const count = Math.min(total - 1, Math.max(1, Math.round(total * share)))
  const random = Random.derive(seed, 'validation split')
  const isAside = new Uint8Array(total)
  if (by === undefined) {
    const order = random.shuffle(Uint32Array.from({ length: total }, (_, index) => index))
    for (const index of order.subarray(0, count)) isAside[index] = 1
  } else {
    const { groups, sizes } = await groupsOf(sources, by, total)
    if (sizes.length < 2)
      throw new InvalidDataError(
        `${names}: all rows have the same "${by}", so valSplitBy (--val-split-by) has no groups to split by.`,
      )
    const order = random.shuffle(Uint32Array.from({ length: sizes.length }, (_, group) => group))
    const aside = new Set<number>()
    let rows = 0
    for (const group of order) {
      const size = sizes[group]!
      const isNearer = Math.abs(rows + size - count) < Math.abs(rows - count)
      if (aside.size > 0 && !isNearer) continue
      if (aside.size === sizes.length - 1) break
      aside.add(group)
      rows += size
      if (rows >= count) break
    }
    groups.forEach((group, index) => {
      if (aside.has(group)) isAside[index] = 1
    })
  }
  return { train: chosen(sources, isAside, 0), evaluation: chosen(sources, isAside, 1) }
}

/** The group of each row as a number, and how many rows each has. */
async function groupsOf(
  sources: readonly RowSource[],
  by: string,
  total: number,
): Promise<{ readonly groups: Uint32Array; readonly sizes: readonly number[] }> {
  const groups = new Uint32Array(total)
  const numbers = new Map<string, number>()
  const sizes: number[] = []
  let index = 0
  for await (const row of rowsOf(sources)) {
    if (!hasField(row, by))
      throw new InvalidDataError(
        `${at(row)}: there is no "${by}" to split by, as valSplitBy (--val-split-by) says; the row has ${someNames(Object.keys(row.value)) || 'no fields'}.`,
      )
    const value = row.value[by]
    const key = typeof value === 'string' ? value : JSON.stringify(value)
    const number = numbers.get(key) ?? numbers.size
    numbers.set(key, number)
    sizes[number] = (sizes[number] ?? 0) + 1
    groups[index++] = number
  }
  return { groups, sizes }
}

/** The rows of each source that are marked as said. */
function chosen(sources: readonly RowSource[], isAside: Uint8Array, wanted: 0 | 1): readonly RowSource[] {
  let start = 0
  return sources.flatMap((source) => {
    const marks = isAside.subarray(start, (start += source.length))
    const length = marks.reduce((sum, mark) => sum + Number(mark === wanted), 0)
    if (length === 0) return []
    const indices = new Uint32Array(length)
    let place = 0
    marks.forEach((mark, index) => {
      if (mark === wanted) indices[place++] = index
    })
    return [
      {
        ...source,
        length,
        size: Math.round((source.size * length) / source.length),
        place: (index: number) => source.place(indices[index] ?? source.length),
        row: (index: number) => source.row(indices[index] ?? source.length),
      },
    ]
  })
}
