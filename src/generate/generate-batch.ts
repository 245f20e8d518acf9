/** @file Several prompts continued together, each with an adapter of its own if it names one. */
import type { Adapter } from '../adapter/adapter.js'
import { AdapterSet, modelOf, servingOf } from '../adapter/adapter-set.js'
import { endTokensOf } from './end-tokens.js'
import type { Model } from '../model/model.js'
import { InvalidOptionError } from '../errors.js'
import { Random } from '../util/rng.js'
import type { HostTensor } from '../graph/types.js'
import { rowsOf } from './continue-beams.js'
import { DecodeSession } from './decode-session.js'
import { generateBeams } from './generate-beams.js'
import { promptIds, stopStrings } from './generate.js'
import type { FinishReason, Generation } from './generation.js'
import {
  batchPromptTable,
  resolveBatchOptions,
  type BatchOptions,
  type BatchPrompt,
  type ResolvedBatchOptions,
} from './generate-options.js'
import { nextToken } from './sampling.js'
import { TextStream } from './text-stream.js'
import { resolveOptions } from '../util/option-table.js'
import { checkArgument, listArgument } from '../util/arguments.js'
import { subjectArgument } from '../adapter/subject-arguments.js'

/** A row that is being continued. */
class Row {
  readonly ids: number[] = []
  finishReason: FinishReason = 'length'
  private readonly random: Random

  constructor(
    readonly prompt: readonly number[],
    readonly adapter: string | null,
    readonly limit: number,
    seed: number,
    readonly text: TextStream,
    private readonly options: ResolvedBatchOptions,
    readonly ends: ReadonlySet<number>,
    private readonly stops: ReadonlySet<number>,
  ) {
    this.random = Random.derive(seed, 'generate')
  }

  /** Takes the next token; whether there may be another. */
  advance(logits: Float32Array): boolean {
    const id = nextToken(logits, this, this.options, this.random)
    if (this.ends.has(id) || this.stops.has(id)) {
      this.finishReason = this.ends.has(id) ? 'eos' : 'stop'
      return false
    }
    this.ids.push(id)
    this.text.push(id)
    return !this.text.stopped && this.ids.length < this.limit
  }
}

/**
 * Continues several prompts in one batch: the same tokens as `generate` gives for each alone, with fewer passes over the
 * weights. A row ends at its own end token, stop string or limit, and then costs nothing more.
 *
 * @param subject with a set of adapters, each row may name one
 * @returns in the order of the prompts; `tokensPerSecond` is the batch's
 * @throws InvalidOptionError as `generate`, and for rows that name an adapter where there is no set of them
 * @example
 * const [a, b] = await generateBatch(adapters, [{ prompt: 'Roses', adapter: 'poet' }, { prompt: 'Whereas', adapter: null }])
 */
export async function generateBatch(
  subject: Model | Adapter | AdapterSet,
  givenPrompts: readonly BatchPrompt[],
  givenOptions: BatchOptions = {},
): Promise<Generation[]> {
  checkArgument(subject, subjectArgument, 'generateBatch')
  checkArgument(givenPrompts, listArgument, 'generateBatch', 'the prompts')
  const options = resolveBatchOptions(givenOptions)
  const prompts = givenPrompts.map((prompt, i) => resolveOptions(batchPromptTable, prompt, `generateBatch, prompt ${i}`))
  if (prompts.length === 0) return []
  const model = modelOf(subject)
  const mixed = prompts.some(({ adapter }) => adapter !== undefined)
  if (mixed && !(subject instanceof AdapterSet))
    throw new InvalidOptionError('prompts can name adapters only with an AdapterSet; put the adapters into one')
  // Before anything is waited for: the next request may choose another adapter.
  const serving = mixed ? (subject as AdapterSet).servingRows(prompts.map(({ adapter = null }) => adapter)) : servingOf(subject)
  const endsOf = async ({ adapter = null }: BatchPrompt): Promise<ReadonlySet<number>> =>
    new Set([...(await endTokensOf(subject, mixed ? adapter : undefined)), ...(options.eosTokenIds ?? [])])
  const waiting = Promise.all(prompts.map(endsOf))
  waiting.catch(() => undefined)
  const tokenizer = await model.tokenizer()
  const stops = stopStrings(model, tokenizer, options)
  const ends = await waiting
  const rows = prompts.map((given, i) => {
    const prompt = promptIds(model, tokenizer, given)
    const room = model.maxPositions - prompt.length
    if (room < 1)
      throw new InvalidOptionError(
        `prompt ${i} has ${prompt.length} tokens, but the model has only ${model.maxPositions} positions; shorten it`,
      )
    const text = new TextStream(tokenizer ?? { decode: () => '' }, prompt, stops.texts)
    const limit = Math.min(options.maxNewTokens, room)
    return new Row(prompt, given.adapter ?? null, limit, given.seed ?? options.seed, text, options, ends[i]!, stops.tokens)
  })
  if (options.beams > 1) return generateBeams(model, serving, rows, { tokenizer, stops }, options)
  const { parts, tensors } = serving
  const longest = Math.max(...rows.map(({ prompt, limit }) => prompt.length + limit))
  const session = await DecodeSession.for(model, parts, longest)
  const spent = await continueRows(session, rows, tensors, options.signal, model.environment.now)
  const tokens = rows.reduce((sum, { ids }) => sum + ids.length, 0)
  return rows.map(({ text, ids, finishReason }) => {
    text.finish()
    const reason = text.stopped ? 'stop' : finishReason
    return { text: text.text, ids, tokensPerSecond: tokens / Math.max(1e-6, spent / 1000), finishReason: reason }
  })
}

type Tensors = Readonly<Record<string, HostTensor>>

/** Runs the batch until every row has ended. @returns milliseconds that the model took */
async function continueRows(
  session: DecodeSession,
  all: readonly Row[],
  given: Tensors,
  signal: AbortSignal | undefined,
  now: () => number,
): Promise<number> {
  const longest = Math.max(...all.map(({ prompt }) => prompt.length))
  const padding = all.map(({ prompt }) => longest - prompt.length)
  const cache = session.newBatchCache(padding, Math.max(...all.map(({ prompt, limit }) => prompt.length + limit)))
  let rows = all
  let tensors = given
  let tokens: (readonly number[])[] = all.map(({ prompt }, i) => [...new Array<number>(padding[i]!).fill(prompt[0]!), ...prompt])
  let spent = 0
  while (rows.length > 0) {
    if (signal?.aborted === true) {
      for (const row of rows) row.finishReason = 'aborted'
      break
    }
    const started = now()
    const logits = await session.runRows(tokens, cache, tensors)
    const width = logits.length / rows.length
    const going = [...rows.keys()].filter((i) => rows[i]!.advance(logits.subarray(i * width, (i + 1) * width)))
    if (going.length < rows.length) {
      cache.select(going)
      rows = going.map((i) => rows[i]!)
      tensors = rowsOf(tensors, going)
    }
    tokens = rows.map(({ ids }) => [ids.at(-1)!])
    spent += now() - started
  }
  return spent
}
