/** @file From the fields of a request to the library's options. */
import type { TextRequestOptions } from '../engine/text-request.js'
import { invalidRequest } from '../http/api-error.js'
import type { SamplingFields } from '../schemas/sampling.js'

type Given<T> = { -readonly [K in keyof T]?: Exclude<T[K], undefined> }

/** Drops what is undefined. */
export const given = <T extends object>(fields: T): Given<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<T>

/** What OpenAI's API samples with where nothing is said. */
const TEMPERATURE = 1

/**
 * How a text is written.
 * @param more what the route says itself
 * @throws ApiError 400 for contradictions
 */
export function textOptions(fields: SamplingFields, more: TextRequestOptions): TextRequestOptions {
  const { repetition_penalty, repeat_penalty, stop, top_k: topK, seed } = fields
  if (repetition_penalty !== undefined && repeat_penalty !== undefined && repetition_penalty !== repeat_penalty)
    throw invalidRequest(
      '`repetition_penalty` and `repeat_penalty` are two names of one thing; give one of them.',
      'repeat_penalty',
    )
  if (fields.stream_options !== undefined && fields.stream !== true)
    throw invalidRequest('`stream_options` is for requests with `stream: true`.', 'stream_options')
  return {
    ...given({
      temperature: fields.temperature ?? TEMPERATURE,
      topP: fields.top_p,
      topK: topK === undefined || topK < 1 ? undefined : topK,
      minP: fields.min_p,
      repetitionPenalty: repetition_penalty ?? repeat_penalty,
      presencePenalty: fields.presence_penalty,
      frequencyPenalty: fields.frequency_penalty,
      noRepeatNgramSize: fields.no_repeat_ngram_size,
      logitBias: fields.logit_bias,
      stop: typeof stop === 'string' ? [stop] : stop,
      eosTokenIds: fields.stop_token_ids,
      ignoreEos: fields.ignore_eos,
      minNewTokens: fields.min_tokens,
      seed: seed === undefined || seed < 0 ? randomSeed() : seed,
    }),
    ...more,
  }
}

const randomSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0]!
