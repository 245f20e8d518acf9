/** @file Rows that are continued: looked at before the first is, then in batches of similar length, and in their order again. */
import type { Adapter } from '../adapter/adapter.js'
import { AdapterSet, modelOf } from '../adapter/adapter-set.js'
import type { PromptGiven } from '../data/answered-prompts.js'
import { adapterOf, promptOf } from '../data/prompt-rows.js'
import { at, located, type Row } from '../data/rows.js'
import type { Tokenizer } from '../data/tokenizer.js'
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import type { Model } from '../model/model.js'
import { generateBatch } from './generate-batch.js'
import { resolveBatchOptions, type BatchOptions } from './generate-options.js'
import { checkGenerates, promptIds } from './prompt-ids.js'
import type { Generation } from './generation.js'

/** Batches whose rows are sorted by length together. */
const WINDOW_BATCHES = 16

/** A row that can be continued. */
export interface PromptRow {
  readonly row: Row
  /** Its tokens. */
  readonly ids: readonly number[]
  /** Of a set, whose adapter continues it; null is the base model. */
  readonly adapter: string | null | undefined
}

/** How rows are read. */
export interface PromptRowReading {
  /** What is read of a row, where that is not the row as it is. */
  readonly readAs?: (row: Row) => Row
  /** A system prompt for all of them, see {@link promptOf}. */
  readonly system?: string | undefined
}

/** The tokens of a row's prompt. @throws InvalidDataError naming the row that cannot be tokenised or leaves no room for an answer */
export function rowPromptIds(model: Model, tokenizer: Tokenizer | undefined, given: PromptGiven, row: Row): readonly number[] {
  const ids = tokensOf(model, tokenizer, given, row)
  if (ids.length < model.maxPositions) return ids
  throw new InvalidDataError(`${at(row)}: the prompt has ${ids.length} tokens, but the model has only ${model.maxPositions} positions; shorten it`) // prettier-ignore
}

function tokensOf(model: Model, tokenizer: Tokenizer | undefined, given: PromptGiven, row: Row): readonly number[] {
  try {
    return located(row, () => promptIds(model, tokenizer, given))
  } catch (cause) {
    if (!(cause instanceof InvalidOptionError)) throw cause
    // Of a row it is the data that is wrong: a prompt without tokens.
    throw new InvalidDataError(`${at(row)}: ${cause.message}`, { cause })
  }
}

/**
 * Looks at every row.
 * @param subject with a set of adapters, a row names its own under "adapter", or is the base model's
 * @throws InvalidOptionError for a model that writes no text; InvalidDataError naming the first row that is no prompt, leaves no room, or names an adapter that is not there
 */
export async function readPromptRows(
  subject: Model | Adapter | AdapterSet,
  rows: AsyncIterable<Row>,
  { readAs = (row) => row, system }: PromptRowReading = {},
): Promise<PromptRow[]> {
  const model = modelOf(subject)
  checkGenerates(model)
  const tokenizer = await model.tokenizer()
  const found: PromptRow[] = []
  for await (const row of rows) {
    const read = readAs(row)
    const ids = rowPromptIds(model, tokenizer, promptOf(read, system), row)
    found.push({ row, ids, adapter: adapterFor(subject, read) })
  }
  return found
}

function adapterFor(subject: Model | Adapter | AdapterSet, row: Row): string | null | undefined {
  const name = adapterOf(row)
  if (!(subject instanceof AdapterSet)) {
    if (name === undefined) return undefined
    throw new InvalidDataError(
      `${at(row)}: the row names the adapter "${name}", but there are no adapters with names; give them theirs (--adapter ${name}=DIR), or leave "adapter" out.`,
    )
  }
  if (name !== undefined && !subject.names.includes(name))
    throw new InvalidDataError(`${at(row)}: there is no adapter "${name}"; there are ${subject.names.join(', ')}.`)
  return name ?? null
}

/** A row and the text that continues it. */
export interface ContinuedRow {
  readonly row: Row
  readonly generation: Generation
}

/**
 * Continues rows, and gives them in their order.
 * @param batchSize rows that are continued together
 * @param onProgress told how many have been continued, some of which may not have been given yet
 * @throws InvalidOptionError as `generateBatch`
 */
export async function* continueRows(
  subject: Model | Adapter | AdapterSet,
  prompts: readonly PromptRow[],
  batchSize: number,
  options: BatchOptions,
  onProgress?: (done: number) => void,
): AsyncGenerator<ContinuedRow> {
  resolveBatchOptions(options)
  const size = batchSize * WINDOW_BATCHES
  for (let start = 0; start < prompts.length; start += size) {
    const window = prompts.slice(start, start + size)
    const texts = new Map<PromptRow, Generation>()
    for (const batch of batchesOf(subject, window, batchSize)) {
      const generations = await continueBatch(subject, batch, options)
      batch.forEach((prompt, i) => texts.set(prompt, generations[i]!))
      onProgress?.(start + texts.size)
    }
    for (const prompt of window) yield { row: prompt.row, generation: texts.get(prompt)! }
  }
}

/** Batches of rows that one pass can serve, the longest first. */
function batchesOf(subject: Model | Adapter | AdapterSet, rows: readonly PromptRow[], batchSize: number): PromptRow[][] {
  const groups = new Map<string | undefined, PromptRow[]>()
  for (const row of rows) {
    const key = mixes(subject, row.adapter) ? undefined : row.adapter!
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [row])
    else group.push(row)
  }
  return [...groups.values()].flatMap((group) => {
    const sorted = group.sort((a, b) => b.ids.length - a.ids.length)
    return Array.from({ length: Math.ceil(sorted.length / batchSize) }, (_, i) =>
      sorted.slice(i * batchSize, (i + 1) * batchSize),
    )
  })
}

/** Whether rows of other adapters may stand beside those of this one. */
const mixes = (subject: Model | Adapter | AdapterSet, adapter: string | null | undefined): boolean =>
  !(subject instanceof AdapterSet) || adapter === null || adapter === undefined || subject.isMixable(adapter)

function continueBatch(
  subject: Model | Adapter | AdapterSet,
  batch: readonly PromptRow[],
  options: BatchOptions,
): Promise<Generation[]> {
  const adapter = batch[0]!.adapter
  if (subject instanceof AdapterSet && typeof adapter === 'string' && !mixes(subject, adapter)) {
    subject.setAdapter(adapter)
    return generateBatch(subject, batch.map(({ ids }) => ({ inputIds: ids })), options) // prettier-ignore
  }
  return generateBatch(subject, batch.map(({ ids, adapter }) => ({ inputIds: ids, ...(adapter !== undefined && { adapter }) })), options) // prettier-ignore
}
