/** @file Texts for the rows of a file by beam search: gpt2_beam.py of examples/NLG. */
import { servingOf } from '../../adapter/adapter-set.js'
import type { Environment } from '../../environment.js'
import { InvalidDataError, InvalidOptionError } from '../../errors.js'
import { continueBeams } from '../../generate/continue-beams.js'
import { DecodeSession } from '../../generate/decode-session.js'
import { LoralibBeamSearch } from '../../generate/loralib-beam-search.js'
import { resolveNlgBeam, type NlgBeamOptions, type ResolvedNlgBeam } from './beam-options.js'
import { END_OF_TEXT } from './model-cards.js'
import { openGpt2, type OpenGpt2 } from './open-gpt2.js'
import { readTokenRows, writeRows, type PredictedRow, type TokenRow } from './stage-files.js'

/** What was written. */
export interface BeamPredictions {
  readonly out: string
  readonly rows: number
  /** Different contexts, each searched for once. */
  readonly contexts: number
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

const padded = (ids: readonly number[], length: number): readonly number[] => [
  ...ids,
  ...new Array<number>(length - ids.length).fill(0),
]

/**
 * Predicts a text for every row, in the order of the rows. Rows of one context have one prediction, which is searched for once.
 *
 * The tokens are those that gpt2_beam.py gives with `--batch_size 1`, as its README runs it. With larger batches the script takes
 * the first token from the logits of other rows, which is not repeated here.
 * @throws InvalidOptionError for more positions than the model has; InvalidDataError naming the row that cannot be continued
 */
export async function predictRows(
  { model, adapter }: Pick<OpenGpt2, 'model' | 'adapter'>,
  rows: readonly TokenRow[],
  options: ResolvedNlgBeam,
): Promise<PredictedRow[]> {
  const { data, batch_size: batchSize, seq_len: sequenceLength, eval_len: limit } = options
  if (sequenceLength > model.maxPositions)
    throw new InvalidOptionError(
      `--seq_len is ${sequenceLength}, but the model has ${model.maxPositions} positions; give at most as many`,
    )
  const queries = queriesOf(rows, sequenceLength - limit, model.vocabularySize, data)
  const open = [...new Map(queries.map((query) => [query.join(' '), query]))]
  const rules = {
    beams: options.beam,
    limit,
    ends: new Set([END_OF_TEXT, ...options.eos_token_id]),
    lengthPenalty: options.length_penalty,
    noRepeatNgramSize: options.no_repeat_ngram_size,
    repetitionPenalty: options.repetition_penalty,
    minNewTokens: options.min_length,
  }
  const { parts, tensors } = servingOf(adapter ?? model)
  const session = await DecodeSession.for(model, parts, sequenceLength)
  const found = new Map<string, readonly number[]>()
  for (let start = 0; start < open.length; start += batchSize) {
    const batch = open.slice(start, start + batchSize)
    const searches = batch.map(([key, prompt]) => ({ key, prompt, limit, beams: new LoralibBeamSearch(rules) }))
    await continueBeams(session, searches, tensors, undefined, model.environment.now)
    for (const { key, beams } of searches) found.set(key, padded(beams.best!.ids, limit))
    options.onProgress?.(start + batch.length, open.length)
  }
  return queries.map((query, id) => ({ id, predict: found.get(query.join(' '))! }))
}

/** The file that {@link predictFile} writes. */
export const predictionsPath = (options: NlgBeamOptions): string => {
  const { work_dir: folder, output_file: name } = resolveNlgBeam(options)
  return `${folder}/${name}`
}

/**
 * Predicts a text for every row of a file, and writes them beside their numbers.
 * @throws InvalidOptionError for options out of range, and what {@link openGpt2} and {@link predictRows} throw
 * @example
 * await predictFile(environment, {
 *   data: 'data/e2e/test.jsonl', init_checkpoint: 'trained_models/GPT2_M/e2e/model.26290.pt', model_card: 'gpt2.md',
 *   lora_dim: 4, lora_alpha: 32, eval_len: 64, beam: 10, length_penalty: 0.8, eos_token_id: [628], work_dir: 'trained_models/GPT2_M/e2e',
 * })
 */
export async function predictFile(environment: Environment, given: NlgBeamOptions): Promise<BeamPredictions> {
  const options = resolveNlgBeam(given)
  const { files } = environment
  const rows = await readTokenRows(files, options.data)
  const opened = await openGpt2(environment, {
    checkpoint: options.init_checkpoint,
    base: options.base_checkpoint,
    modelCard: options.model_card,
    card: 'gpt2.sm',
    loraDim: options.lora_dim,
    loraAlpha: options.lora_alpha,
  })
  if (options.lora_dim > 0 && opened.adapter === undefined)
    throw new InvalidOptionError(
      `${options.init_checkpoint} holds no LoRA, but --lora_dim is ${options.lora_dim}; leave it out for the model alone`,
    )
  let contexts = 0
  const onProgress = (done: number, total: number): void => {
    contexts = total
    options.onProgress?.(done, total)
  }
  const out = predictionsPath(given)
  await writeRows(files, out, await predictRows(opened, rows, { ...options, onProgress }))
  return { out, rows: rows.length, contexts }
}
