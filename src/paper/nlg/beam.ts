/** @file Texts for the rows of a file by beam search: gpt2_beam.py of examples/NLG. */
import { servingOf } from '../../adapter/adapter-set.js'
import { InvalidDataError, InvalidOptionError } from '../../errors.js'
import { continueBeams } from '../../generate/continue-beams.js'
import { DecodeSession } from '../../generate/decode-session.js'
import { LoralibBeamSearch } from '../../generate/loralib-beam-search.js'
import type { FolderModel } from '../../model/folder-model.js'
import { END_OF_TEXT } from './model-cards.js'
import type { OpenGpt2 } from './open-gpt2.js'
import type { PredictedRow, TokenRow } from './stage-files.js'

/** gpt2_beam.py's flags. */
export interface BeamSettings {
  /** `--batch_size`: contexts that are continued together; it changes speed and memory alone. */
  readonly batchSize: number
  /** `--seq_len`: most tokens of a context and its text. */
  readonly sequenceLength: number
  /** `--eval_len`: most tokens of a text. */
  readonly textLength: number
  /** `--min_length`: tokens before one may end the text. */
  readonly minLength: number
  readonly beam: number
  readonly lengthPenalty: number
  readonly noRepeatNgramSize: number
  readonly repetitionPenalty: number
  /** `--eos_token_id`: tokens that end a text, beside 50256. */
  readonly endTokenIds: readonly number[]
  /** Told how many contexts have been continued, of how many. */
  readonly onProgress?: (done: number, total: number) => void
}

/** @throws InvalidOptionError naming the flag that is out of range */
function checkSettings({ sequenceLength, textLength, minLength }: BeamSettings, model: FolderModel): void {
  if (sequenceLength > model.maxPositions)
    throw new InvalidOptionError(
      `--seq_len is ${sequenceLength}, but the model has ${model.maxPositions} positions; give at most as many`,
    )
  if (textLength >= sequenceLength)
    throw new InvalidOptionError(
      `--eval_len (${textLength}) must be below --seq_len (${sequenceLength}): what is left of it are the tokens of the context`,
    )
  if (minLength > textLength)
    throw new InvalidOptionError(`--min_length (${minLength}) must be at most --eval_len (${textLength})`)
}

/** The end of each context that has room beside a text. @throws InvalidDataError naming the row that has none */
function queriesOf(rows: readonly TokenRow[], room: number, vocabularySize: number, source: string): (readonly number[])[] {
  return rows.map(({ context }, i) => {
    if (context.length === 0)
      throw new InvalidDataError(
        `${source}, row ${i + 1}: the context has no token, there is nothing to continue; encode it with --add_bos`,
      )
    const wrong = context.find((id) => id >= vocabularySize)
    if (wrong !== undefined)
      throw new InvalidDataError(
        `${source}, row ${i + 1}: token id ${wrong} is not in the model's vocabulary of ${vocabularySize}`,
      )
    return context.slice(-room)
  })
}

/**
 * Predicts a text for every row, in the order of the rows. Rows of one context have one prediction, which is searched for once.
 *
 * The tokens are those that gpt2_beam.py gives with `--batch_size 1`, as its README runs it. With larger batches the script takes
 * the first token from the logits of other rows, which is not repeated here.
 * @param source what messages call the rows
 * @throws InvalidOptionError for lengths that do not fit the model; InvalidDataError naming the row that cannot be continued
 */
export async function predictRows(
  { model, adapter }: Pick<OpenGpt2, 'model' | 'adapter'>,
  rows: readonly TokenRow[],
  settings: BeamSettings,
  source: string,
): Promise<PredictedRow[]> {
  checkSettings(settings, model)
  const { batchSize, sequenceLength, textLength, beam, endTokenIds, onProgress } = settings
  const queries = queriesOf(rows, sequenceLength - textLength, model.vocabularySize, source)
  const byText = new Map(queries.map((query) => [query.join(' '), query]))
  const ends = new Set([END_OF_TEXT, ...endTokenIds])
  const { parts, tensors } = servingOf(adapter ?? model)
  const session = await DecodeSession.for(model, parts, sequenceLength)
  const found = new Map<string, readonly number[]>()
  const open = [...byText]
  for (let start = 0; start < open.length; start += batchSize) {
    const batch = open.slice(start, start + batchSize)
    const searches = batch.map(([text, prompt]) => {
      const { lengthPenalty, noRepeatNgramSize, repetitionPenalty, minLength: minNewTokens } = settings
      const penalties = { lengthPenalty, noRepeatNgramSize, repetitionPenalty, minNewTokens }
      return {
        text,
        prompt,
        limit: textLength,
        beams: new LoralibBeamSearch({ beams: beam, limit: textLength, ends, ...penalties }),
      }
    })
    await continueBeams(session, searches, tensors, undefined, model.environment.now)
    for (const { text, beams } of searches) found.set(text, padded(beams.best!.ids, textLength))
    onProgress?.(start + batch.length, open.length)
  }
  return queries.map((query, id) => ({ id, predict: found.get(query.join(' '))! }))
}

const padded = (ids: readonly number[], length: number): readonly number[] => [
  ...ids,
  ...new Array<number>(length - ids.length).fill(0),
]
