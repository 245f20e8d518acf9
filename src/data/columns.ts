/** @file Fields of rows under other names: `{ prompt: 'question' }` reads the prompt from the column `question`. */
import { InvalidDataError } from '../errors.js'
import { someNames } from '../util/some-of.js'
import { nearestNames } from '../util/nearest.js'
import type { Columns } from './column-names.js'
import { hasField, rowsOf, type Row, type RowSource } from './rows.js'

/** Columns that are looked for in a message. */
const MOST_NAMES = 1000

/**
 * The same rows with their columns under the names that are asked for. A column that has been renamed is not there under its
 * own name, and what was there under the new one is gone.
 * @throws InvalidDataError for a column that no row has, naming those that there are
 */
export async function renameColumns(sources: readonly RowSource[], renamed: Columns): Promise<readonly RowSource[]> {
  await checkColumns(sources, renamed)
  const own = new Set(Object.values(renamed))
  const given = new Set(Object.keys(renamed))
  const rename = (row: Row): Row => ({
    ...row,
    value: {
      ...Object.fromEntries(Object.entries(row.value).filter(([name]) => !own.has(name) && !given.has(name))),
      ...Object.fromEntries(Object.entries(renamed).flatMap(([name, column]) => (Object.hasOwn(row.value, column) ? [[name, row.value[column]]] : []))), // prettier-ignore
    },
    chosen: given,
  })
  return sources.map((source) => ({ ...source, row: async (index: number) => rename(await source.row(index)) }))
}

/** Reads rows until every column has been met, most often one. */
async function checkColumns(sources: readonly RowSource[], renamed: Columns): Promise<void> {
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
    `${files}: no row has the column "${column}", which "${field}" is to be read from (columns, --columns ${field}=${column}); there are ${someNames([...names])}${near.length > 0 ? `: did you mean ${near.map((name) => JSON.stringify(name)).join(' or ')}?` : '.'}`,
  )
}
