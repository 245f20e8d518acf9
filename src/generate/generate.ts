/** @file Text generation on a model, with or without an adapter. */
import type { Adapter } from '../adapter/adapter.js'
import { modelOf, servingOf, type AdapterSet } from '../adapter/adapter-set.js'
import { subjectArgument } from '../adapter/subject-arguments.js'
import type { Serving } from '../adapters/serving/serving.js'
import type { Model } from '../model/model.js'
import { checkArgument } from '../util/arguments.js'
import { continuedPrompt, generationOf, perSecond, tokensOf } from './continued-prompt.js'
import { continueTexts } from './continue-texts.js'
import { DecodeSession } from './decode-session.js'
import { endTokensOf } from './end-tokens.js'
import { generateBeams } from './generate-beams.js'
import { resolveGenerateOptions, type GenerateOptions, type ResolvedGenerateOptions } from './generate-options.js'
import type { GenerateEvent, Generation } from './generation.js'
import { prepareText } from './prepare-text.js'
import { RunningText, type TextSettings } from './running-text.js'
import { TextStream } from './text-stream.js'

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
 * `generate`, token by token; the generator's return value is the whole. Of several samples (`numReturn`) each event tells whose it is. What a beam search finds is known at its end, and
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
  const tokenizer = await model.tokenizer()
  const settings = prepareText(model, tokenizer, options, options, await endTokens)
  if (options.beams > 1) return yield* searched(model, serving, settings, options)
  // Rows of a batch share what is read of a prompt, and can be told of it.
  if (options.numReturn > 1 || options.promptLogprobs !== undefined) return yield* batched(model, serving, settings, options)
  const { now } = model.environment
  const { prompt, limit } = settings
  const session = await DecodeSession.for(model, serving.parts, prompt.length + limit)
  const cache = session.newCache()
  const text = new RunningText({ ...settings, signal: options.signal }, options.seed)
  let pending = prompt
  let spent = 0
  while (text.running) {
    // What the reader does between two tokens is no time of the model's.
    const started = now()
    const event = text.advance(await session.run(pending, cache, serving.tensors))
    spent += now() - started
    if (event === undefined) break
    yield event
    pending = [text.ids.at(-1)!]
  }
  const rest = text.finish()
  if (rest !== undefined) yield rest
  return { ...text.result(), tokensPerSecond: perSecond(text.ids.length, spent) }
}

/** What a beam search finds is known at its end. */
async function* searched(
  model: Model,
  serving: Serving,
  settings: TextSettings,
  options: ResolvedGenerateOptions,
): AsyncGenerator<GenerateEvent, Generation> {
  const [best] = await generateBeams(model, serving, [{ settings, options }], options.signal)
  const text = new TextStream(settings.decoder, settings.prompt, settings.stops.texts)
  for (const id of best!.ids) yield { index: 0, id, text: text.push(id) }
  const rest = text.finish()
  if (rest !== '') yield { index: 0, id: undefined, text: rest }
  return best!
}

/** The texts of one prompt as a batch, token by token. */
async function* batched(
  model: Model,
  serving: Serving,
  settings: TextSettings,
  options: ResolvedGenerateOptions,
): AsyncGenerator<GenerateEvent, Generation> {
  const prompt = continuedPrompt(settings, options)
  const session = await DecodeSession.for(model, serving.parts, settings.prompt.length + settings.limit)
  const stream = continueTexts(session, [prompt], serving.tensors, options.signal, model.environment.now)
  let next = await stream.next()
  for (; next.done !== true; next = await stream.next()) yield next.value.event
  for (const text of prompt.texts) {
    const rest = text.finish()
    if (rest !== undefined) yield rest
  }
  return generationOf(prompt, perSecond(tokensOf([prompt]), next.value))
}
