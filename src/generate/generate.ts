/** @file Text generation on a model, with or without an adapter. */
import { Adapter } from '../core/adapter.js'
import type { Model } from '../core/model.js'
import type { Message } from '../data/row-shapes.js'
import type { Tokenizer } from '../data/tokenizer.js'
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import { Random } from '../util/rng.js'
import { DecodeSession, scaledTensors } from './decode-session.js'
import { checkSampling, nextToken, type SamplingOptions } from './sampling.js'
import { TextStream } from './text-stream.js'

export interface GenerateOptions extends SamplingOptions {
  /** Text to continue, tokenised as the model's tokenizer does. */
  readonly prompt?: string
  /** A dialogue to answer, by the model's chat template. */
  readonly messages?: readonly Message[]
  /** Token ids to continue, for models without a tokenizer. */
  readonly inputIds?: readonly number[]
  /** Most tokens to generate, 128 unless said; the model's positions limit it too. */
  readonly maxNewTokens?: number
  /** The text ends before the first of these. */
  readonly stop?: string | readonly string[]
  /** Tokens that end the text, beside the model's own. */
  readonly eosTokenIds?: readonly number[]
  /** Seed of sampling, 0 unless said. */
  readonly seed?: number
  readonly signal?: AbortSignal
}

export type FinishReason = 'eos' | 'stop' | 'length' | 'aborted'

export interface Generation {
  /** What was generated, without the prompt; empty if there is no tokenizer. */
  readonly text: string
  /** Generated tokens, without one that ended the text. */
  readonly ids: readonly number[]
  readonly tokensPerSecond: number
  readonly finishReason: FinishReason
}

export interface GenerateEvent {
  readonly id: number
  /** Text that became certain with this token; may be empty. */
  readonly text: string
}

/**
 * Continues a prompt: greedily, or by sampling with a temperature above 0.
 *
 * @throws InvalidOptionError for options out of range or a prompt that fills the model's positions; InvalidDataError if
 * text is given and the model has no tokenizer
 * @example
 * const { text } = await generate(adapter, { prompt: 'Once upon a time', maxNewTokens: 64 })
 */
export async function generate(subject: Model | Adapter, options: GenerateOptions): Promise<Generation> {
  const stream = generateStream(subject, options)
  for (;;) {
    const next = await stream.next()
    if (next.done === true) return next.value
  }
}

/** `generate`, token by token; the generator's return value is the whole. */
export async function* generateStream(
  subject: Model | Adapter,
  options: GenerateOptions,
): AsyncGenerator<GenerateEvent, Generation> {
  const model = subject instanceof Adapter ? subject.model : subject
  const { now } = model.environment
  const { maxNewTokens = 128, seed = 0 } = options
  checkSampling(options)
  if (!Number.isInteger(maxNewTokens) || maxNewTokens < 1)
    throw new InvalidOptionError(`maxNewTokens must be a whole number of at least 1, got ${maxNewTokens}`)
  const tokenizer = await model.tokenizer()
  const prompt = promptIds(model, tokenizer, options)
  const room = model.maxPositions - prompt.length
  if (room < 1)
    throw new InvalidOptionError(
      `the prompt has ${prompt.length} tokens, but the model has only ${model.maxPositions} positions; shorten it`,
    )
  const limit = Math.min(maxNewTokens, room)

  const session = await DecodeSession.for(model, subject instanceof Adapter ? subject.targets : [], prompt.length + limit)
  const tensors = scaledTensors(subject)
  const cache = session.newCache()
  const ends = new Set([...(tokenizer?.eosTokenIds ?? modelEnds(model)), ...(options.eosTokenIds ?? [])])
  const stops = typeof options.stop === 'string' ? [options.stop] : (options.stop ?? [])
  if (stops.length > 0 && tokenizer === undefined)
    throw new InvalidDataError(`${model.path}: stop strings need a tokenizer, and the model has none`)
  if (stops.includes('')) throw new InvalidOptionError('a stop string must not be empty')
  const text = new TextStream(tokenizer ?? { decode: () => '' }, prompt, stops)
  const random = Random.derive(seed, 'generate')

  const ids: number[] = []
  let finishReason: FinishReason = 'length'
  const started = now()
  let pending: readonly number[] = prompt
  while (ids.length < limit) {
    if (options.signal?.aborted === true) {
      finishReason = 'aborted'
      break
    }
    const logits = await session.run(pending, cache, tensors)
    const id = nextToken(logits, [...prompt, ...ids], options, random)
    if (ends.has(id)) {
      finishReason = 'eos'
      break
    }
    ids.push(id)
    const delta = text.push(id)
    yield { id, text: delta }
    if (text.stopped) {
      finishReason = 'stop'
      break
    }
    pending = [id]
  }
  const rest = text.finish()
  if (rest !== '') yield { id: ids[ids.length - 1]!, text: rest }
  const seconds = Math.max(1e-9, (now() - started) / 1000)
  return { text: text.text, ids, tokensPerSecond: ids.length / seconds, finishReason: text.stopped ? 'stop' : finishReason }
}

function promptIds(model: Model, tokenizer: Tokenizer | undefined, options: GenerateOptions): readonly number[] {
  const given = [options.prompt, options.messages, options.inputIds].filter((v) => v !== undefined).length
  if (given !== 1)
    throw new InvalidOptionError(
      `give exactly one of prompt, messages and inputIds; ${given === 0 ? 'none was given' : `${given} were given`}`,
    )
  let ids: readonly number[]
  if (options.inputIds !== undefined) ids = options.inputIds
  else {
    if (tokenizer === undefined)
      throw new InvalidDataError(
        `${model.path} has no tokenizer (tokenizer.json), so a text cannot be continued; add one, or give inputIds`,
      )
    ids =
      options.messages === undefined
        ? tokenizer.encodePrompt(options.prompt!)
        : tokenizer.encode(tokenizer.applyChatTemplate(options.messages, { addGenerationPrompt: true }), {
            addSpecialTokens: false,
          })
  }
  if (ids.length === 0)
    throw new InvalidOptionError('the prompt is empty and the tokenizer puts nothing before it: there is nothing to continue')
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= model.vocabularySize)
  if (wrong !== undefined)
    throw new InvalidDataError(`token id ${wrong} of the prompt is not in the model's vocabulary of ${model.vocabularySize}`)
  return ids
}

/** End tokens that config.json names, for models without a tokenizer. */
function modelEnds(model: Model): number[] {
  const value = model.config.json['eos_token_id']
  return (Array.isArray(value) ? value : [value]).filter((v): v is number => typeof v === 'number')
}
