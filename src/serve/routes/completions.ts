/** @file POST /v1/completions. */
import type { GenerateEvent, TokenLogprob, Tokenizer } from '../../public.js'
import type { TextResult } from '../engine/text-request.js'
import { invalidRequest } from '../http/api-error.js'
import { frame } from '../http/event-stream.js'
import { defineRoute, type Exchange } from '../http/route.js'
import { streamAnswer } from '../http/stream-answer.js'
import { completionAnswer, completionRequest, type CompletionRequest } from '../schemas/completions.js'
import { answerHeader, newId } from '../text/answer-header.js'
import { CompletionLogprobColumns, type CompletionLogprobs } from '../text/logprobs.js'
import { checkPrompt, checkWrites, neededTokenizer } from '../text/needed.js'
import { promptsOf, type PlainPrompt } from '../text/plain-prompts.js'
import { textOptions } from '../text/text-options.js'
import { usedAdapters } from '../text/used-adapters.js'
import { allTexts, finishReasonOf, usageOf, writeTexts, type TextsAsked } from '../text/write-texts.js'

/** Most tokens where nothing is said, as OpenAI's API has it. */
const MAX_TOKENS = 16

export const completions = defineRoute({
  method: 'post',
  path: '/v1/completions',
  aliases: ['/completions'],
  summary: 'Goes on with texts.',
  body: completionRequest,
  answer: { json: completionAnswer, events: completionAnswer },
  async handle(exchange) {
    const { service, body } = exchange
    checkWrites(service)
    checkFields(body)
    const prompts = promptsOf(service, body.prompt, body.add_special_tokens ?? true)
    const { max_tokens: most = MAX_TOKENS } = body
    for (const { ids } of prompts) checkPrompt(service, ids, 'prompt', Math.min(1, most))
    const asked: TextsAsked = {
      prompts: prompts.map(({ ids }) => ids),
      count: body.n ?? 1,
      adapters: await usedAdapters(service, body),
      options: textOptions(body, {
        maxNewTokens: most,
        ...(body.logprobs !== undefined && { logprobs: body.logprobs }),
        ...(body.echo === true && (body.logprobs !== undefined || most === 0) && { promptLogprobs: body.logprobs ?? 0 }),
      }),
    }
    return body.stream === true ? streamAnswer(exchange, chunks(exchange, prompts, asked)) : whole(exchange, prompts, asked)
  },
})

type CompletionExchange = Exchange<CompletionRequest>

function checkFields({ best_of, n = 1, max_tokens, echo, stream, logprobs }: CompletionRequest): void {
  if (best_of !== undefined && best_of !== n)
    throw invalidRequest('`best_of` is supported where it is as many as `n`: no text is thrown away.', 'best_of')
  if (max_tokens === 0 && echo !== true)
    throw invalidRequest('`max_tokens` may be 0 where `echo` gives the prompt back.', 'max_tokens')
  if (stream === true && echo === true && logprobs !== undefined)
    throw invalidRequest(
      '`logprobs` of a prompt that is echoed are not streamed; leave out one of echo, logprobs and stream.',
      'stream',
    )
}

async function whole(exchange: CompletionExchange, prompts: readonly PlainPrompt[], asked: TextsAsked): Promise<Response> {
  const results = await allTexts(exchange, asked)
  const { body } = exchange
  return Response.json({
    ...answerHeader(exchange, newId('cmpl'), 'text_completion'),
    choices: results.map((result, index) => {
      const prompt = prompts[Math.floor(index / asked.count)]!
      const text = `${body.echo === true ? prompt.text() : ''}${result.text}`
      return { index, text, logprobs: logprobsOf(exchange, prompt, result, text), finish_reason: finishReasonOf(result) }
    }),
    usage: usageOf(exchange),
  })
}

/** Of the text that is told: with echo of the prompt too, and of the token that ended the text, as its tokens are counted. */
function logprobsOf(
  { body, service }: CompletionExchange,
  prompt: PlainPrompt,
  result: TextResult,
  text: string,
): CompletionLogprobs | null {
  if (body.logprobs === undefined) return null
  const tokenizer = neededTokenizer(service, 'logprobs')
  const end: readonly TokenLogprob[] = result.endLogprob === undefined ? [] : [result.endLogprob]
  const found = [...(body.echo === true ? result.promptLogprobs! : []), ...result.logprobs!, ...end]
  const ids = [...(body.echo === true ? prompt.ids : []), ...result.ids, ...end.map(({ id }) => id)]
  return new CompletionLogprobColumns(tokenizer, firstOffset(tokenizer, ids, text)).next(ids, found)
}

/** Tokens of words bring the space before them, which decoders take from the beginning of a text. */
function firstOffset(tokenizer: Tokenizer, ids: readonly number[], text: string): number {
  const first = ids.find((id) => !tokenizer.isSpecial(id))
  return first !== undefined && tokenizer.tokenText(first).startsWith(' ') && !text.startsWith(' ') ? -1 : 0
}

async function* chunks(exchange: CompletionExchange, prompts: readonly PlainPrompt[], asked: TextsAsked): AsyncGenerator<string> {
  const { body, service } = exchange
  const header = answerHeader(exchange, newId('cmpl'), 'text_completion')
  const told = body.stream_options?.include_usage === true
  const chunk = (index: number, text: string, logprobs: CompletionLogprobs | null = null, finish: string | null = null): string =>
    frame({ ...header, choices: [{ index, text, logprobs, finish_reason: finish }], ...(told && { usage: null }) })
  const columns = new Map<number, CompletionLogprobColumns>()
  const logprobs = (index: number, { logprob, text }: GenerateEvent): CompletionLogprobs | null => {
    if (logprob === undefined) return null
    const tokenizer = neededTokenizer(service, 'logprobs')
    if (!columns.has(index))
      columns.set(index, new CompletionLogprobColumns(tokenizer, firstOffset(tokenizer, [logprob.id], text)))
    return columns.get(index)!.next([logprob.id], [logprob])
  }
  const steps = writeTexts(exchange, asked)
  let next = await steps.next()
  if (body.echo === true)
    for (const [i, prompt] of prompts.entries())
      for (let k = 0; k < asked.count; k++) yield chunk(i * asked.count + k, prompt.text())
  for (; next.done !== true; next = await steps.next()) {
    const { index, event } = next.value
    if (event.text !== '' || event.logprob !== undefined) yield chunk(index, event.text, logprobs(index, event))
  }
  for (const [index, result] of next.value.entries()) yield chunk(index, '', null, finishReasonOf(result))
  if (told) yield frame({ ...header, choices: [], usage: usageOf(exchange) })
  yield frame('[DONE]')
}
