/** @file POST /v1/chat/completions. */
import type { GenerateEvent, TokenLogprob } from '../../public.js'
import type { TextResult } from '../engine/text-request.js'
import { invalidRequest } from '../http/api-error.js'
import { frame } from '../http/event-stream.js'
import { defineRoute, type Exchange } from '../http/route.js'
import { streamAnswer } from '../http/stream-answer.js'
import { chatAnswer, chatChunk, chatRequest, type ChatRequest } from '../schemas/chat.js'
import { chatPrompt } from '../text/chat-prompt.js'
import { answerHeader, newId } from '../text/answer-header.js'
import { chatLogprob } from '../text/logprobs.js'
import { checkPrompt, checkWrites, neededTokenizer } from '../text/needed.js'
import { given, textOptions } from '../text/text-options.js'
import { usedAdapters } from '../text/used-adapters.js'
import { allTexts, finishReasonOf, usageOf, writeTexts, type TextsAsked } from '../text/write-texts.js'

export const chatCompletions = defineRoute({
  method: 'post',
  path: '/v1/chat/completions',
  aliases: ['/chat/completions'],
  summary: 'Answers a dialogue.',
  body: chatRequest,
  answer: { json: chatAnswer, events: chatChunk },
  async handle(exchange) {
    const asked = await textsOf(exchange)
    return exchange.body.stream === true ? streamAnswer(exchange, chunks(exchange, asked)) : whole(exchange, asked)
  },
})

type ChatExchange = Exchange<ChatRequest>

async function textsOf({ service, body }: ChatExchange): Promise<TextsAsked> {
  checkWrites(service)
  checkFields(body)
  const adapters = await usedAdapters(service, body)
  const prompt = chatPrompt(service, body)
  checkPrompt(service, prompt, 'messages')
  const { model } = service
  const room = model.maxPositions - prompt.length
  const options = textOptions(body, {
    maxNewTokens: Math.min(body.max_completion_tokens ?? body.max_tokens ?? room, room),
    ...(body.logprobs === true && { logprobs: body.top_logprobs ?? 0 }),
  })
  return { prompts: [prompt], count: body.n ?? 1, adapters, options }
}

function checkFields({
  max_tokens,
  max_completion_tokens,
  logprobs,
  top_logprobs,
  tools,
  tool_choice,
  response_format,
}: ChatRequest): void {
  if (max_tokens !== undefined && max_completion_tokens !== undefined && max_tokens !== max_completion_tokens)
    throw invalidRequest('`max_tokens` and `max_completion_tokens` are two names of one thing; give one of them.', 'max_tokens')
  if (top_logprobs !== undefined && logprobs !== true)
    throw invalidRequest('`top_logprobs` is for requests with `logprobs: true`.', 'top_logprobs')
  if (tools !== undefined && tools.length > 0 && tool_choice !== 'none')
    throw invalidRequest('`tools` are not supported yet.', 'tools')
  if (response_format !== undefined && response_format.type !== 'text')
    throw invalidRequest(`\`response_format\` of the type ${response_format.type} is not supported yet.`, 'response_format')
}

const logprobsOf = ({ service }: ChatExchange, found: readonly TokenLogprob[] | undefined) => {
  if (found === undefined) return null
  const tokenizer = neededTokenizer(service, 'messages')
  return { content: found.map((each) => chatLogprob(tokenizer, each)) }
}

async function whole(exchange: ChatExchange, asked: TextsAsked): Promise<Response> {
  const results = await allTexts(exchange, asked)
  return Response.json({
    ...answerHeader(exchange, newId('chatcmpl'), 'chat.completion'),
    choices: results.map((result, index) => ({
      index,
      message: { role: 'assistant', content: result.text, refusal: null },
      logprobs: logprobsOf(exchange, result.logprobs),
      finish_reason: finishReasonOf(result),
    })),
    usage: usageOf(exchange),
  })
}

async function* chunks(exchange: ChatExchange, asked: TextsAsked): AsyncGenerator<string> {
  const header = answerHeader(exchange, newId('chatcmpl'), 'chat.completion.chunk')
  const told = exchange.body.stream_options?.include_usage === true
  const chunk = (index: number, delta: object, more: { logprobs?: unknown; finish_reason?: string } = {}): string =>
    frame({
      ...header,
      choices: [{ index, delta, logprobs: null, finish_reason: null, ...more }],
      ...(told && { usage: null }),
    })
  const content = (index: number, { text, logprob }: GenerateEvent): string =>
    chunk(index, { content: text }, given({ logprobs: logprob && logprobsOf(exchange, [logprob]) }))
  const begun = new Set<number>()
  const begin = function* (index: number): Generator<string> {
    if (begun.has(index)) return
    begun.add(index)
    yield chunk(index, { role: 'assistant', content: '' })
  }
  const steps = writeTexts(exchange, asked)
  let next = await steps.next()
  for (; next.done !== true; next = await steps.next()) {
    const { index, event } = next.value
    yield* begin(index)
    if (event.text !== '' || event.logprob !== undefined) yield content(index, event)
  }
  const results: readonly TextResult[] = next.value
  for (const [index, result] of results.entries()) {
    yield* begin(index)
    yield chunk(index, {}, { finish_reason: finishReasonOf(result) })
  }
  if (told) yield frame({ ...header, choices: [], usage: usageOf(exchange) })
  yield frame('[DONE]')
}
