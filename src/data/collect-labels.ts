/** @file The labels that rows have, for a head that has still to be made. */
import { InvalidDataError } from '../errors.js'
import type { HeadOptions } from '../models/new-head.js'
import { IGNORED_LABEL } from '../losses/causal-lm.js'
import { compareCodePoints } from '../util/python-json.js'
import { labelField, labelNumber, listOf, tokenLabelField } from './labels.js'
import { at, kindOf, type Row, type RowSource, rowsOf } from './rows.js'
import { openRowData, type DataPlace } from './open-data.js'
import type { RowData } from './row-data.js'
import type { GivenReading } from './row-reading.js'

/** What the rows say of a head's labels, as options of `loadModel`. */
export type CollectedLabels = Pick<HeadOptions, 'labels' | 'numLabels' | 'problemType'>

/** More names than that are no classes but texts, or numbers of rows. */
const MOST = 100_000

/** The labels of data that is still to be opened, see {@link labelsOfRows}. */
export const collectLabels = async (
  place: DataPlace,
  data: RowData,
  task: string,
  { columns, header }: Partial<GivenReading> = {},
): Promise<CollectedLabels> => labelsOfRows((await openRowData(place, data, { columns, header })).sources, task)

/**
 * Reads every row and says what labels there are: names in alphabetical order, or how many where they are numbers (the largest
 * and one more). In sequence classification a number that is not whole, or a list, says the problem type as well.
 * @param sources whose columns are under the names of fields
 * @param task `token-classification` has a list of labels a row, every other task one label
 * @throws InvalidDataError naming the row that has none, or one of another kind than those before, and for a single label
 */
export async function labelsOfRows(sources: readonly RowSource[], task: string): Promise<CollectedLabels> {
  const names = new Set<string>()
  let largest = -1
  let length = 0
  let isNumber = false
  let isList = false
  let first: Row | undefined
  const note = (row: Row, field: string, value: unknown): void => {
    if (typeof value === 'string' && value.trim() === '')
      throw new InvalidDataError(`${at(row)}: "${field}" is empty; expected the name or the number of a label.`)
    const number = labelNumber(value)
    if (number === undefined && typeof value === 'string') names.add(value)
    else {
      if (number === undefined || !Number.isFinite(number))
        throw new InvalidDataError(`${at(row)}: "${field}" is ${kindOf(value)}; expected the name or the number of a label.`)
      if (!Number.isInteger(number)) isNumber = true
      else if (number >= MOST)
        throw new InvalidDataError(
          `${at(row)}: "${field}" is ${number}, and numbers of classes count from 0; if it is a name, say the names ({ labels }, --labels a,b).`,
        )
      else if (number !== IGNORED_LABEL) largest = Math.max(largest, number)
    }
    if (names.size > 0 && (largest >= 0 || isNumber))
      throw new InvalidDataError(
        `${at(row)}: "${field}" is ${JSON.stringify(value)}, but labels before it were ${names.has(value as string) ? 'numbers' : 'names'}; write all of them as names, or all as numbers, or say the names ({ labels }, --labels a,b).`,
      )
    if (names.size > MOST)
      throw new InvalidDataError(`${at(row)}: the rows have more than ${MOST} labels; is "${field}" their label?`)
  }
  const perToken = task === 'token-classification'
  for await (const row of rowsOf(sources)) {
    first ??= row
    const field = perToken ? tokenLabelField(row) : labelField(row)
    const value = listOf(row.value[field])
    if (perToken && !Array.isArray(value))
      throw new InvalidDataError(`${at(row)}: "${field}" must be a list with a label for each token.`)
    if (!Array.isArray(value)) note(row, field, value)
    else if (perToken || value.every((entry) => typeof entry === 'string')) {
      isList ||= !perToken
      for (const entry of value) note(row, field, entry)
    } else {
      isList = true
      length = Math.max(length, value.length)
    }
  }
  if (first === undefined) throw new InvalidDataError('the data has no rows to read labels from')
  const several = isList ? { problemType: 'multi_label_classification' as const } : {}
  if (isList && length > 0) return { numLabels: length, ...several }
  // One number a row that is no class is what is to be predicted.
  if (isNumber) return { numLabels: 1, problemType: 'regression' }
  const count = names.size > 0 ? names.size : largest + 1
  if (count < (isList ? 1 : 2))
    throw new InvalidDataError(
      `${at(first)}: all rows have the same label${names.size === 1 ? ` (${JSON.stringify([...names][0])})` : ''}, so there is nothing to tell apart; say the labels there shall be ({ labels }, --labels a,b)`,
    )
  return names.size > 0 ? { labels: [...names].sort(compareCodePoints), ...several } : { numLabels: count, ...several }
}
