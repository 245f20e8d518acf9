/** @file How a task reads its rows: a row to an example, examples to a batch. */
import { makeBatch, type Batch, type PackedRow } from './batch.js'
import { checkExampleOptions, encodeRow, longestRow, type Example, type ExampleOptions } from './examples.js'
import type { Row } from './rows.js'
import type { TurnEnd } from './tokenizer.js'

/** What every example tells of itself, whatever its task. */
export interface AnyExample {
  /** Labelled units; an example without any teaches nothing. */
  readonly tokens: number
  /** Whether its end was cut off. */
  readonly truncated: boolean
  /** Of a dialogue: how its last learned turn ends. */
  readonly turnEnd?: TurnEnd
  /** Of unpaired preferences: whether its completion is desirable. */
  readonly desirable?: boolean
}

/** Which example of which epoch is drawn. */
export interface Draw {
  readonly seed: number
  readonly epoch: number
  /** The row's number over all files. */
  readonly row: number
}

export interface RowEncoding<E extends AnyExample = AnyExample> {
  /** @throws InvalidDataError naming file, line and field */
  encode(row: Row): E
  /**
   * The example as one epoch has it, of which something is random: a function of the draw alone, whatever was drawn before.
   * Nothing is, by default. Positions stay as many.
   */
  drawn?(example: E, draw: Draw): E
  /** Positions of an example: rows of similar length share a batch, and short ones a row. */
  lengthOf(example: E): number
  /** The sizes of what cannot be padded, for messages; examples of one batch must have the same. */
  sizeOf?(example: E): string
  /** Most positions that examples may share a row of; undefined where each needs a row of its own. */
  readonly capacity: number | undefined
  /** Fewest rows that a batch may have, where one alone will not do, and why. */
  readonly least?: { readonly rows: number; readonly reason: string }
  /** @param leftPad padding before the tokens, for generation */
  batch(rows: readonly PackedRow<E>[], leftPad: boolean): Batch
  /** What was cut or masked so that an example has nothing to learn. */
  emptyReason(example: E): string
}

/** Options of a language model's rows. */
export interface CausalLmEncodingOptions extends ExampleOptions {
  /** Token that fills the ends of rows; the tokenizer's by default. Padding is masked, so any id will do. */
  readonly padTokenId?: number
}

/** A token to fill rows with: a pad token that was added to the tokenizer alone has no embedding. */
export function paddingToken({ padTokenId, tokenizer, vocabularySize }: CausalLmEncodingOptions): number {
  const pad = padTokenId ?? tokenizer?.padTokenId ?? 0
  return pad < vocabularySize ? pad : 0
}

/** Rows of text for a language model. @throws InvalidOptionError if a length does not fit the model */
export function causalLmEncoding(options: CausalLmEncodingOptions): RowEncoding<Example> {
  checkExampleOptions(options)
  const padTokenId = paddingToken(options)
  return {
    encode: (row) => encodeRow(row, options),
    lengthOf: (example) => example.inputIds.length,
    // Nothing limits some ONNX files: then examples share no row.
    capacity: Number.isFinite(longestRow(options)) ? longestRow(options) : 0,
    batch: (rows, leftPad) => makeBatch(rows, { padTokenId, leftPad }),
    emptyReason: (example) =>
      example.reason ??
      (example.truncated
        ? `all its labels were cut off at ${longestRow(options)} tokens; raise maxLength (--max-length) or shorten the prompt`
        : 'all its labels are masked (nothing to complete, no assistant turn to learn, or a single token)'),
  }
}
