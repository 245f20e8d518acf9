/** @file From a published data set to what is trained on: format_converting_*.py and gpt2_encode.py of examples/NLG. */
import type { Files } from '../../io/files.js'
import { openBytePairs } from './byte-pairs.js'
import { textRows, type DataSet } from './data-sets.js'
import { END_OF_TEXT } from './model-cards.js'
import { readTextRows, writeRows, type TextRow } from './stage-files.js'

/** How texts become tokens: gpt2_encode.py's flags. */
export interface EncodeOptions {
  /** `--vocab`: a folder with `encoder.json` and `vocab.bpe`. */
  readonly vocab: string
  /** `--add_bos`: `<|endoftext|>` behind the context. */
  readonly addBos: boolean
  /** `--add_eos`: `<|endoftext|>` behind the completion. */
  readonly addEos: boolean
}

/** What was written. */
export interface Prepared {
  /** File of texts; where the input is one, that. */
  readonly formatted: string
  /** File of tokens, where there is a vocabulary. */
  readonly encoded?: string
  readonly rows: number
  /** Different contexts. */
  readonly contexts: number
}

/** `train.jsonl` as `train_formatted.jsonl`, as create_datasets.sh names them. */
export const formattedPath = (path: string): string => path.replace(/(\.[^./\\]*)?$/, '_formatted$1')

/** The files that {@link prepare} writes. */
export const preparedPaths = (dataSet: DataSet | 'formatted', output: string, encodes: boolean): readonly string[] => [
  ...(dataSet === 'formatted' ? [] : [encodes ? formattedPath(output) : output]),
  ...(encodes ? [output] : []),
]

/**
 * Writes the texts of a data set and, with a vocabulary, their tokens.
 * @param dataSet what the input is; `formatted` is a file of texts, of which the tokens alone are written
 * @param output the file of tokens, beside which the texts lie as `*_formatted`; without a vocabulary the file of texts
 * @throws InvalidDataError naming the line or place that cannot be read
 */
export async function prepare(
  files: Files,
  dataSet: DataSet | 'formatted',
  input: string,
  output: string,
  encode?: EncodeOptions,
): Promise<Prepared> {
  const pairs = encode && (await openBytePairs(files, encode.vocab))
  const rows = dataSet === 'formatted' ? await readTextRows(files, input) : textRows(dataSet, await files.readText(input), input)
  const formatted = dataSet === 'formatted' ? input : encode === undefined ? output : formattedPath(output)
  if (dataSet !== 'formatted') await writeRows(files, formatted, rows)
  const told = { formatted, rows: rows.length, contexts: new Set(rows.map(({ context }) => context)).size }
  if (pairs === undefined) return told
  const tokens = ({ context, completion }: TextRow) => ({
    context: [...pairs.encode(context), ...(encode?.addBos === true ? [END_OF_TEXT] : [])],
    completion: [...pairs.encode(` ${completion}`), ...(encode?.addEos === true ? [END_OF_TEXT] : [])],
  })
  await writeRows(files, output, rows.map(tokens))
  return { ...told, encoded: output }
}
