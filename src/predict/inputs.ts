/** @file What is predicted of: texts and rows, from lists and from streams. */
import type { Columns } from '../data/column-names.js'
import { plain } from '../data/memory-rows.js'
import { kindOf, type Row } from '../data/rows.js'
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import { isObject } from '../util/json.js'

/** A text, or a row of the task's fields (`{"text", "text_pair"}`, `{"question", "context"}`, …); labels in it are not read. */
export type PredictInput = string | Readonly<Record<string, unknown>>

/**
 * Inputs as rows, which messages call by their number.
 * @param columns that fields of rows are read from
 * @throws InvalidDataError for one that is neither a text nor a row, and for a text where there are columns
 */
export async function* rowsOf(
  inputs: Iterable<PredictInput> | AsyncIterable<PredictInput>,
  columns?: Columns,
): AsyncGenerator<Row> {
  let line = 0
  for await (const input of inputs as AsyncIterable<unknown>) {
    line++
    if (columns !== undefined && typeof input === 'string')
      throw new InvalidDataError(
        `inputs, row ${line}: columns are of rows of fields, found a text; leave columns out, or give rows.`,
      )
    const value: unknown = typeof input === 'string' ? { text: input } : input
    if (!isObject(value))
      throw new InvalidDataError(`inputs, row ${line}: expected a text or a row of fields, found ${kindOf(value)}.`)
    yield { value: plain(value) as Row['value'], file: 'inputs', line, unit: 'row' }
  }
}

/** @throws InvalidOptionError unless it is a list or something that yields its items later, naming the function */
export function checkInputs(inputs: unknown, where: string): void {
  if (Array.isArray(inputs) || (typeof inputs === 'object' && inputs !== null && Symbol.asyncIterator in inputs)) return
  throw new InvalidOptionError(
    `${where}: the inputs must be a list or an async iterable, got ${typeof inputs === 'string' ? 'one text; put it into a list' : typeof inputs}`,
  )
}
