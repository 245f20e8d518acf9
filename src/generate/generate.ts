/** @file Text generation on a model, with or without an adapter. */
import type { Serving } from '../adapters/serving/serving.js'
import type { Adapter } from '../adapter/adapter.js'
import { modelOf, servingOf, type AdapterSet } from '../adapter/adapter-set.js'
import { endTokensOf } from './end-tokens.js'
import type { Model } from '../model/model.js'
import { OnnxModel } from '../onnx-model/onnx-model.js'
import { neededTokenizer } from '../data/needed-tokenizer.js'
import type { Tokenizer } from '../data/tokenizer.js'
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import { Random } from '../util/rng.js'
import { DecodeSession } from './decode-session.js'
import { generateBeams } from './generate-beams.js'
import {
  resolveGenerateOptions,
  type GenerateOptions,
  type PromptOption,
  type ResolvedGenerateOptions,
} from './generate-options.js'
import type { FinishReason, GenerateEvent, Generation } from './generation.js'
import { nextToken } from './sampling.js'
import { TextStream } from './text-stream.js'
import { checkArgument } from '../util/arguments.js'
import { subjectArgument } from '../adapter/subject-arguments.js'

/**
 * Continues a prompt: greedily, by sampling with a temperature above 0, or by a beam search with `beams` above 1, which
 * finds the tokens and scores that transformers' `generate(num_beams)` finds.
 *
 * @throws InvalidOptionError for options out of range or a prompt that fills the model's positions; InvalidDataError if
 * text is given and the model has no tokenizer
 * @example
 * const { text } = await generate(adapter, { prompt: 'Once upon a time', maxNewTokens: 64 })
 */
export async function generate(subject: Model | Adapter | AdapterSet, options: GenerateOptions): Promise<Generation> {
  checkArgument(subject, subjectArgument, 'generate')
  const stream = generateStream(subject, options)
  for (;;) {
    const next = await stream.next()
    if (next.done === true) return next.value
  }
}

/**
 * `generate`, token by token; the generator's return value is the whole. What a beam search finds is known at its end, and
 * comes then. The adapter, its scale and the options are those of the call: what is switched, trained or changed later does
 * not reach it.
 * @example
 * for await (const { text } of generateStream(model, { prompt: 'Once' })) process.stdout.write(text)
 */
export function generateStream(
  subject: Model | Adapter | AdapterSet,
  options: GenerateOptions,
): AsyncGenerator<GenerateEvent, Generation> {
  try {
    checkArgument(subject, subjectArgument, 'generateStream')
    const resolved = resolveGenerateOptions(options)
    const ends = endTokensOf(subject)
    // Whoever reads the stream is told; whoever does not need not be.
    ends.catch(() => undefined)
    return continuePrompt(modelOf(subject), servingOf(subject), ends, resolved)
  } catch (error) {
    return failed(error)
  }
}

/** Tells an error to the reader of a stream, as one that happens later is told. */
async function* failed(error: unknown): AsyncGenerator<GenerateEvent, Generation> {
  throw error
}

async function* continuePrompt(
  model: Model,
  serving: Serving,
  endTokens: Promise<ReadonlySet<number>>,
  options: ResolvedGenerateOptions,
): AsyncGenerator<GenerateEvent, Generation> {
  const { now } = model.environment
  const tokenizer = await model.tokenizer()
  const prompt = promptIds(model, tokenizer, options)
  const room = model.maxPositions - prompt.length
  if (room < 1)
    throw new InvalidOptionError(
      `the prompt has ${prompt.length} tokens, but the model has only ${model.maxPositions} positions; shorten it`,
    )
  const limit = Math.min(options.maxNewTokens, room)

  const stops = stopStrings(model, tokenizer, options)
  const ends = new Set([...(await endTokens), ...(options.eosTokenIds ?? [])])

  if (options.beams > 1) {
    const [best] = await generateBeams(model, serving, [{ prompt, limit, ends }], { tokenizer, stops }, options)
    const text = new TextStream(tokenizer ?? { decode: () => '' }, prompt, stops.texts)
    for (const id of best!.ids) yield { id, text: text.push(id) }
    const rest = text.finish()
    if (rest !== '') yield { id: undefined, text: rest }
    return best!
  }

  const random = Random.derive(options.seed, 'generate')
  const { parts, tensors } = serving
  const session = await DecodeSession.for(model, parts, prompt.length + limit)
  const cache = session.newCache()
  const text = new TextStream(tokenizer ?? { decode: () => '' }, prompt, stops.texts)
  const ids: number[] = []
  let finishReason: FinishReason = 'length'
  let pending: readonly number[] = prompt
  let spent = 0
  while (ids.length < limit) {
    if (options.signal?.aborted === true) {
      finishReason = 'aborted'
      break
    }
    // What the reader does between two tokens is no time of the model's.
    const started = now()
    const id = nextToken(await session.run(pending, cache, tensors), { prompt, ids, ends }, options, random)
    spent += now() - started
    if (ends.has(id) || stops.tokens.has(id)) {
      finishReason = ends.has(id) ? 'eos' : 'stop'
      break
    }
    ids.push(id)
    yield { id, text: text.push(id) }
    if (text.stopped) break
    pending = [id]
  }
  const rest = text.finish()
  if (rest !== '') yield { id: undefined, text: rest }
  if (text.stopped) finishReason = 'stop'
  return { text: text.text, ids, tokensPerSecond: ids.length / Math.max(1e-6, spent / 1000), finishReason }
}

/** Stop strings, and apart from them those that are one special token, which text never shows. */
export function stopStrings(
  model: Model,
  tokenizer: Tokenizer | undefined,
  { stop = [] }: Pick<GenerateOptions, 'stop'>,
): { texts: readonly string[]; tokens: ReadonlySet<number> } {
  const texts = typeof stop === 'string' ? [stop] : stop
  if (texts.length === 0) return { texts, tokens: new Set() }
  const known = neededTokenizer(tokenizer, `stop strings need a tokenizer, and ${model.path}`, 'use eosTokenIds')
  if (texts.includes('')) throw new InvalidOptionError('a stop string must not be empty')
  const tokens = new Set<number>()
  for (const text of texts) {
    const [id, ...more] = known.encode(text, { addSpecialTokens: false })
    if (id === undefined || more.length > 0) continue
    if (known.decode([id]) === text && known.decode([id], { skipSpecialTokens: true }) === '') tokens.add(id)
  }
  return { texts, tokens }
}

/** @throws InvalidOptionError for a model that writes no text */
export function checkGenerates(model: Model): void {
  if (model instanceof OnnxModel) throw new InvalidOptionError(model.cannotGenerate)
  if (model.task.name !== 'causal-lm')
    throw new InvalidOptionError(`only language models write text; ${model.path} is for ${model.task.name}`)
}

/**
 * The tokens of a prompt.
 * @throws InvalidOptionError for a model that writes no text, and unless there is exactly one prompt, with a token; InvalidDataError for
 * text without a tokenizer and ids that the model has not
 */
export function promptIds(
  model: Model,
  tokenizer: Tokenizer | undefined,
  options: Pick<GenerateOptions, PromptOption>,
): readonly number[] {
  checkGenerates(model)
  const given = [options.prompt, options.messages, options.inputIds].filter((v) => v !== undefined).length
  if (given !== 1)
    throw new InvalidOptionError(
      `give exactly one of prompt, messages and inputIds; ${given === 0 ? 'none was given' : `${given} were given`}`,
    )
  if (options.variables !== undefined && options.messages === undefined)
    throw new InvalidOptionError('variables are for the chat template of messages; give messages with them')
  let ids: readonly number[]
  if (options.inputIds !== undefined) ids = options.inputIds
  else {
    const known = neededTokenizer(tokenizer, `a text cannot be continued: ${model.path}`, 'give inputIds')
    ids =
      options.messages === undefined
        ? known.encodePrompt(options.prompt!)
        : known.encode(
            known.applyChatTemplate(options.messages, {
              addGenerationPrompt: true,
              ...(options.variables && { variables: options.variables }),
            }),
            { addSpecialTokens: false },
          )
  }
  if (ids.length === 0)
    throw new InvalidOptionError('the prompt is empty and the tokenizer puts nothing before it: there is nothing to continue')
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= model.vocabularySize)
  if (wrong !== undefined)
    throw new InvalidDataError(`token id ${wrong} of the prompt is not in the model's vocabulary of ${model.vocabularySize}`)
  return ids
}
