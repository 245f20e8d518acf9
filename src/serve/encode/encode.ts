/** @file What encoders say: the library's predictions and embeddings with the adapters of a request. */
import type { AdapterSet, Model, TaskName } from '../../public.js'
import { DeadlineError } from '../engine/errors.js'
import { invalidRequest } from '../http/api-error.js'
import type { Exchange } from '../http/route.js'
import type { EncoderUsage } from '../schemas/encoders.js'
import type { SubjectFields } from '../schemas/fields.js'
import type { Service } from '../service.js'
import { neededTokenizer } from '../text/needed.js'
import { usedAdapters } from '../text/used-adapters.js'

/** @throws ApiError 400 unless the model is for one of these tasks */
export function checkTask({ model, modelName }: Service, tasks: readonly TaskName[]): void {
  if (tasks.includes(model.task.name)) return
  throw invalidRequest(
    `${modelName} is for ${model.task.name}; this endpoint is of models for ${tasks.join(' or ')}.`,
    'model',
    'wrong_task',
  )
}

/**
 * Asks the model, with the adapters that the request names.
 * @param work what is asked; it begins its call of the library before it first waits
 */
export async function encode<T>(
  exchange: Exchange<SubjectFields>,
  work: (subject: Model | AdapterSet, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { service, record, body } = exchange
  const adapters = await usedAdapters(service, body)
  record.adapters = adapters.map(({ name }) => name)
  const { timeout } = service.options
  const limit = new AbortController()
  const leave = (): void => limit.abort()
  exchange.signal.addEventListener('abort', leave, { once: true })
  const expire = (): void => limit.abort(new DeadlineError(timeout! * 1000))
  const timer = timeout === undefined ? undefined : setTimeout(expire, timeout * 1000)
  try {
    return await service.encoders.run(() => {
      limit.signal.throwIfAborted()
      return service.engine.adapters.use(adapters, (subject) => work(subject, limit.signal))
    })
  } finally {
    clearTimeout(timer)
    exchange.signal.removeEventListener('abort', leave)
  }
}

/** Counts the tokens of texts, or of pairs of them, as the model reads them, for `usage`. */
export function countTokens(exchange: Exchange, texts: readonly (readonly [string] | readonly [string, string])[]): void {
  const { service, record } = exchange
  const tokenizer = neededTokenizer(service, 'input')
  record.texts = texts.length
  record.promptTokens = texts.reduce((sum, each) => sum + tokenizer.encodeTexts(each, service.model.maxPositions).ids.length, 0)
}

/** The usage of what writes nothing. */
export const encoderUsage = ({ record: { promptTokens = 0 } }: Pick<Exchange, 'record'>): EncoderUsage => ({
  prompt_tokens: promptTokens,
  completion_tokens: 0,
  total_tokens: promptTokens,
})
