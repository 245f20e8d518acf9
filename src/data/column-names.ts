/** @file Columns as an option: apart from what reads them, so that flags and help load no reader of files. */
import { kind, type Kind } from '../util/option-kinds.js'

/** The column of the data that each of lowrank's fields is read from. */
export type Columns = Readonly<Record<string, string>>

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''

/** Columns as an option: `prompt=question,completion=answer`. */
export const columns: Kind<Columns, 'columns'> = kind(
  'columns',
  'name for each field the column that it is read from, such as { prompt: "question" }',
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).length > 0 &&
    Object.entries(value).every((entry) => entry.every(isText)),
)
