/** @file Fields of rows under other names: `{ prompt: 'question' }` reads the prompt from the column `question`. */
import { InvalidDataError } from '../errors.js'
import { someNames } from '../util/some-of.js'
import { nearestNames } from '../util/nearest.js'
import type { Columns } from './column-names.js'
import { at, hasField, rowsOf, type Row, type RowSource } from './rows.js'

/** Columns that are looked for in a message. */
const MOST_NAMES = 1000

/** The column that a field is read from: the one that is told, else that of its own name. */
export const columnOf = (field: string, columns: Columns | undefined): string => columns?.[field] ?? field

/** A row with its columns under the names that are asked for, as far as it has them. */
export function renamedRow(row: Row, renamed: Columns): Row {
  const [fields, columns] = [new Set(Object.keys(renamed)), new Set(Object.values(renamed))]
  const others = Object.entries(row.value).filter(([name]) => !columns.has(name) && !fields.has(name))
  const read = Object.entries(renamed).filter(([, column]) => Object.hasOwn(row.value, column))
  const value = Object.fromEntries([...others, ...read.map(([name, column]) => [name, row.value[column]] as const)])
  return { ...row, value, chosen: fields }
}

/**
 * The same rows with their columns under the names that are asked for. A column that has been renamed is not there under its
 * own name, and what was there under the new one is gone.
 * @throws InvalidDataError for a column that no row has, naming those that there are
 */
export async function renameColumns(sources: readonly RowSource[], renamed: Columns): Promise<readonly RowSource[]> {
  await checkColumns(sources, renamed)
  return sources.map((source) => ({ ...source, row: async (index: number) => renamedRow(await source.row(index), renamed) }))
}

/**
 * Reads rows until every column has been met, most often one.
 * @throws InvalidDataError for a column that no row has, naming those that there are, or that a table without a header is too
 * narrow for
 */
export async function checkColumns(sources: readonly RowSource[], renamed: Columns): Promise<void> {
  for (const source of sources) checkPositions(source, renamed)
  const missing = new Set(Object.values(renamed))
  const names = new Set<string>()
  for await (const row of rowsOf(sources)) {
    for (const name of Object.keys(row.value)) if (names.size < MOST_NAMES) names.add(name)
    for (const column of [...missing]) if (hasField(row, column)) missing.delete(column)
    if (missing.size === 0) return
  }
  const [column] = [...missing]
  if (column === undefined || names.size === 0) return
  const field = Object.keys(renamed).find((name) => renamed[name] === column)!
  const near = nearestNames(column, [...names])
  const files = sources.map(({ file }) => file).join(', ')
  throw new InvalidDataError(
    `${files}: no row has the column "${column}", which "${field}" is to be read from, as columns (--columns ${field}=${column}) says; there are ${someNames([...names])}${near.length > 0 ? `: did you mean ${near.map((name) => JSON.stringify(name)).join(' or ')}?` : '.'}${isPosition(column) ? ' Columns are called by numbers in CSV and TSV files without a header: header: false (--no-header).' : ''}`,
  )
}

const isPosition = (column: string): boolean => /^[1-9]\d*$/.test(column)

/** Every row of a table has the columns of the first, so one that is not there is an error in any file. */
function checkPositions(source: RowSource, renamed: Columns): void {
  const { width = 0 } = source
  const found = Object.entries(renamed).find(([, column]) => !isPosition(column) || Number(column) > width)
  if (width === 0 || found === undefined) return
  const [field, column] = found
  throw new InvalidDataError(
    `${at({ file: source.file, ...source.place(0) })}: ${width} ${width === 1 ? 'column' : 'columns'}, but "${field}" is to be read from "${column}", as columns (--columns ${field}=${column}) says; without a header columns are called by their numbers, ${width === 1 ? '1' : `1 to ${width}`}.`,
  )
}
