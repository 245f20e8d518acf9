/** @file The texts of one request, written together, and what is counted of them. */
import type { GenerateEvent } from '../../public.js'
import type { TextRequest, TextRequestOptions, TextResult, UsedAdapter } from '../engine/text-request.js'
import { ApiError, invalidRequest } from '../http/api-error.js'
import type { Exchange } from '../http/route.js'
import type { Usage } from '../schemas/sampling.js'

/** What is asked for: some texts of each of some prompts. */
export interface TextsAsked {
  readonly prompts: readonly (readonly number[])[]
  /** Texts of each prompt; each has the next seed. */
  readonly count: number
  readonly adapters: readonly UsedAdapter[]
  readonly options: TextRequestOptions
}

/** A step of one of the texts; those of a prompt are numbered one after the other. */
export interface TextStep {
  readonly index: number
  readonly event: GenerateEvent
}

/**
 * Writes them, step by step as each comes; the generator's return value is all of them. They run from the first step on, and end with
 * the request's signal or when nobody reads on.
 * @throws what the engine throws; ApiError 499 if the client has left
 */
export async function* writeTexts(exchange: Exchange, asked: TextsAsked): AsyncGenerator<TextStep, readonly TextResult[]> {
  const { record, service, signal } = exchange
  const { prompts, count, adapters } = asked
  const { maxRows, maxQueue } = service.options
  if (prompts.length * count > maxRows + maxQueue)
    throw invalidRequest(
      `${prompts.length * count} texts are asked for, but this server takes ${maxRows + maxQueue} at most; ask for fewer at once.`,
      prompts.length > 1 ? 'prompt' : 'n',
    )
  record.adapters = adapters.map(({ name }) => name)
  record.texts = prompts.length * count
  record.promptTokens = prompts.reduce((sum, { length }) => sum + length, 0)
  const started = performance.now()
  const last = new Map<number, number>()
  let completionTokens = 0
  const running: AsyncGenerator<GenerateEvent, TextResult>[] = []
  const leave = (): void => {
    for (const text of running) void text.return(undefined as never).catch(() => undefined)
  }
  try {
    // One for all: of a signal that many texts listen to runtimes suspect a leak.
    signal.addEventListener('abort', leave, { once: true })
    for (const request of requestsOf(exchange, asked)) running.push(service.engine.start(request))
    if (signal.aborted) leave()
    const steps = merged(running)
    let next = await steps.next()
    for (; next.done !== true; next = await steps.next()) {
      const { index, event } = next.value
      if (event.id !== undefined) {
        const now = performance.now()
        const before = last.get(index)
        service.metrics.token(before === undefined, (now - (before ?? started)) / 1000)
        record.firstTokenMilliseconds ??= Math.round(now - started)
        last.set(index, now)
        record.completionTokens = ++completionTokens
      }
      yield next.value
    }
    if (signal.aborted) throw new ApiError(499, 'The client closed the connection before the answer was done.')
    const results = next.value
    // The texts of a prompt read it together.
    record.cachedTokens = results.reduce((sum, { cachedTokens }, i) => (i % count === 0 ? sum + cachedTokens : sum), 0)
    record.completionTokens = results.reduce((sum, { ids }) => sum + ids.length, 0)
    return results
  } finally {
    signal.removeEventListener('abort', leave)
    leave()
  }
}

function requestsOf({ service, holder }: Exchange, { prompts, count, adapters, options }: TextsAsked): TextRequest[] {
  const { timeout } = service.options
  const { seed = 0 } = options
  return prompts.flatMap((prompt) =>
    Array.from({ length: count }, (_, i) => ({
      ...{ prompt, adapters, options: { ...options, seed: seed + i } },
      ...(holder !== undefined && { key: holder }),
      ...(timeout !== undefined && { timeout: timeout * 1000 }),
    })),
  )
}

/** Several generators as one, each step as it comes. */
async function* merged(
  texts: readonly AsyncGenerator<GenerateEvent, TextResult>[],
): AsyncGenerator<TextStep, readonly TextResult[]> {
  const step = async (index: number) => ({ index, next: await texts[index]!.next() })
  const pending = new Map(texts.map((_, index) => [index, step(index)]))
  const results: TextResult[] = []
  try {
    while (pending.size > 0) {
      const { index, next } = await Promise.race(pending.values())
      if (next.done === true) {
        results[index] = next.value
        pending.delete(index)
        continue
      }
      pending.set(index, step(index))
      yield { index, event: next.value }
    }
    return results
  } finally {
    // One error is told; the others have nobody to reach.
    for (const each of pending.values()) each.catch(() => undefined)
  }
}

/** All texts at once. */
export async function allTexts(exchange: Exchange, asked: TextsAsked): Promise<readonly TextResult[]> {
  const steps = writeTexts(exchange, asked)
  let next = await steps.next()
  while (next.done !== true) next = await steps.next()
  return next.value
}

/** What was read and written, as OpenAI's API tells it. */
export function usageOf({ record }: Pick<Exchange, 'record'>): Usage {
  const { promptTokens = 0, completionTokens = 0, cachedTokens = 0 } = record
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  }
}

/** Why a text ended, in OpenAI's words. */
export const finishReasonOf = ({ finishReason }: Pick<TextResult, 'finishReason'>): 'length' | 'stop' =>
  finishReason === 'length' ? 'length' : 'stop'
