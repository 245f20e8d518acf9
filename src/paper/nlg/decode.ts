/** @file From predicted tokens to texts and their references, as gpt2_decode.py of examples/NLG makes them for the scorers. */
import { InvalidDataError } from '../../errors.js'
import type { Files } from '../../io/files.js'
import { strip, words } from '../../jinja/unicode.js'
import type { Segment } from '../../metrics/segment.js'
import { someNames } from '../../util/some-of.js'
import { openBytePairs, type BytePairs } from './byte-pairs.js'
import type { DataSet } from './data-sets.js'
import { linesOf, readPredictedRows, readTextRows, type PredictedRow, type TextRow } from './stage-files.js'

/** Which categories of WebNLG count. */
export type CategoryFilter = 'all' | 'seen' | 'unseen'

/** How texts are written: gpt2_decode.py's flags. */
export interface TextStyle {
  /** `--tokenize`: every character that is no letter, number or underscore stands alone. */
  readonly tokenize: boolean
  /** `--lower`: small letters. */
  readonly lower: boolean
}

/** What is read and written, by gpt2_decode.py's flags. */
export interface DecodeOptions extends TextStyle {
  /** `--vocab`: a folder with `encoder.json` and `vocab.bpe`. */
  readonly vocab: string
  /** `--sample_file`: what gpt2_beam.py wrote. */
  readonly samples: string
  /** `--input_file`: the texts that its rows are of, `*_formatted.jsonl`. */
  readonly inputs: string
  /** `--output_ref_file`: of E2E a file, of the others a folder. */
  readonly references: string
  /** `--output_pred_file`. */
  readonly hypotheses: string
  /** `--ref_unique_file`: a number a line for each text; texts of one number belong together. Without, those of one context do. */
  readonly uniqueIds?: string | undefined
  /** `--ref_type`: references in groups (`e2e`), or a file for each place (`webnlg`, `dart`). */
  readonly referenceType: DataSet
  /** `--ref_num`: the number of files. */
  readonly referenceCount: number
  /** `--filter`. */
  readonly filter: CategoryFilter
}

/** What was written. */
export interface Decoded {
  readonly segments: number
  readonly references: number
  /** References that `referenceCount` files have no place for. */
  readonly leftOut: number
  /** Texts with a line break in them, which is a blank now. */
  readonly joined: number
}

/** A text up to its end: the token that ends texts, or an empty line. */
const untilEnd = (text: string): string => strip(text.split('<|endoftext|>')[0]!.split('\n\n')[0]!, undefined, 'both')

/** A text as it is written. */
export function styled(text: string, { tokenize, lower }: TextStyle): string {
  const cased = lower ? text.toLowerCase() : text
  // What Python's \W takes for no part of a word.
  return tokenize ? words(cased.replace(/[^\p{L}\p{N}_]/gu, ' $& ')).join(' ') : cased
}

/** Whether a row counts. @throws InvalidDataError for one that does not tell its category */
function passes({ cate }: TextRow, filter: CategoryFilter, place: () => string): boolean {
  if (filter === 'all') return true
  if (cate === undefined)
    throw new InvalidDataError(`${place()} has no "cate", which --filter ${filter} asks for; only rows of WebNLG have it`)
  return cate === (filter === 'seen')
}

/**
 * Predictions beside their references: a segment for each key, in the order in which they come first. Of several predictions
 * for a key the last counts.
 * @param keys of the texts, row by row: their contexts, or numbers
 * @throws InvalidDataError for a prediction of a row that there is not, or a segment without one
 */
export function segmentsOf(
  rows: readonly TextRow[],
  predictions: readonly PredictedRow[],
  keys: readonly (string | number)[],
  pairs: Pick<BytePairs, 'decode'>,
  filter: CategoryFilter,
  source: string,
): Segment[] {
  const references = new Map<string | number, string[]>()
  for (const [i, row] of rows.entries()) {
    if (!passes(row, filter, () => `${source}, row ${i + 1}`)) continue
    const known = references.get(keys[i]!)
    if (known === undefined) references.set(keys[i]!, [untilEnd(row.completion)])
    else known.push(untilEnd(row.completion))
  }
  if (references.size === 0) throw new InvalidDataError(`${source}: no row passes --filter ${filter}`)
  const hypotheses = new Map<string | number, string>()
  for (const { id, predict } of predictions) {
    const key = keys[id]
    if (key === undefined)
      throw new InvalidDataError(`a prediction is of row ${id}, but ${source} has ${rows.length} rows, from 0 on`)
    if (references.has(key)) hypotheses.set(key, untilEnd(pairs.decode(predict)))
  }
  const missing = [...references.keys()].filter((key) => !hypotheses.has(key))
  if (missing.length > 0)
    throw new InvalidDataError(
      `${missing.length} of ${references.size} segments have no prediction: ${someNames(missing.map(String))}; the predictions are of other rows than ${source}, or not complete`,
    )
  return [...references].map(([key, texts]) => ({ hypothesis: hypotheses.get(key)!, references: texts }))
}

async function keysOf(files: Files, rows: readonly TextRow[], path: string | undefined): Promise<readonly (string | number)[]> {
  if (path === undefined) return rows.map(({ context }) => context)
  const ids = linesOf(await files.readText(path))
  const wrong = ids.findIndex((line) => !/^[+-]?\d+$/.test(line))
  if (wrong >= 0)
    throw new InvalidDataError(`${path}, line ${wrong + 1}: expected a whole number, found "${ids[wrong]!.slice(0, 80)}"`)
  if (ids.length !== rows.length)
    throw new InvalidDataError(`${path} has ${ids.length} lines, but there are ${rows.length} texts; it has a number for each`)
  return ids.map(Number)
}

/** The files of references, by their names. A segment with fewer than there are files repeats its first. */
function referenceFiles(segments: readonly Segment[], options: DecodeOptions): Map<string, string> {
  const { references: path, referenceType, referenceCount } = options
  if (referenceType === 'e2e') return new Map([[path, segments.map(({ references }) => `${references.join('\n')}\n\n`).join('')]])
  return new Map(
    Array.from({ length: referenceCount }, (_, i) => [
      `${path}/reference${i}`,
      segments.map(({ references }) => `${references[i] ?? references[0]!}\n`).join(''),
    ]),
  )
}

/** The files that {@link decode} writes. */
export const decodedPaths = ({ references, hypotheses, referenceType, referenceCount }: DecodeOptions): readonly string[] => [
  ...(referenceType === 'e2e' ? [references] : Array.from({ length: referenceCount }, (_, i) => `${references}/reference${i}`)),
  hypotheses,
]

/**
 * Writes references and hypotheses as the scorers read them.
 *
 * A line break within a text becomes a blank: gpt2_decode.py writes a line more, which shifts all that follow.
 * @throws InvalidDataError naming the file and the line that cannot be read
 */
export async function decode(files: Files, options: DecodeOptions): Promise<Decoded> {
  const { inputs, samples, filter } = options
  const pairs = await openBytePairs(files, options.vocab)
  const rows = await readTextRows(files, inputs)
  const keys = await keysOf(files, rows, options.uniqueIds)
  const found = segmentsOf(rows, await readPredictedRows(files, samples), keys, pairs, filter, inputs)
  let joined = 0
  const oneLine = (text: string): string => {
    if (/[\r\n]/.test(text)) joined++
    return text.replace(/[\r\n]/g, ' ')
  }
  const segments = found.map(({ hypothesis, references }) => ({
    hypothesis: oneLine(styled(hypothesis, options)),
    references: references.map((text) => oneLine(styled(text, options))),
  }))
  for (const [path, text] of referenceFiles(segments, options)) await files.write(path, text)
  await files.write(options.hypotheses, segments.map(({ hypothesis }) => `${hypothesis}\n`).join(''))
  const places = options.referenceType === 'e2e' ? Infinity : options.referenceCount
  const total = (count: (of: number) => number): number =>
    segments.reduce((sum, { references }) => sum + count(references.length), 0)
  return {
    segments: segments.length,
    references: total((of) => Math.min(of, places)),
    leftOut: total((of) => Math.max(0, of - places)),
    joined,
  }
}
