/** @file How rows are read of what they lie in, as options: apart from what reads them, so that flags and help load no reader. */
import { toggle } from '../util/option-kinds.js'
import type { OptionKeys } from '../util/option-keys.js'
import { columns, type Columns } from './column-names.js'

/** How rows are read of what they lie in; whoever takes rows takes these. */
export interface RowReading {
  /**
   * Columns to read fields from: `{ prompt: 'question' }` reads the prompt from the column `question`. Rows to evaluate on that
   * are given beside others are read in the same way.
   */
  readonly columns?: Columns
  /**
   * Whether the first line of a CSV or TSV file names its columns, as is usual. Where it is false, that line is a row, and the columns are
   * called `1`, `2`, …: `{ header: false, columns: { label: '2', text: '4' } }` reads CoLA as GLUE has it. Every file must be such a table.
   */
  readonly header?: boolean
}

/** Those that were given; undefined counts as not given. */
export type GivenReading = { readonly [K in keyof RowReading]: RowReading[K] | undefined }

/** What each must be, for functions whose options are no table. */
export const rowReadingKeys = { columns, header: toggle } as const satisfies OptionKeys<RowReading>
