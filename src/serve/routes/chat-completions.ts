/** @file POST /v1/chat/completions. */
import type { TokenLogprob, ToolCall, ToolCallEvent } from '../../public.js'
import { answerForm, type AnswerForm, type AnswerReader } from '../constrain/answer-form.js'
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
import { finishReasonOf, usageOf, writeTexts, type TextsAsked } from '../text/write-texts.js'

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

/** Texts, and what they are read by. */
type ChatAsked = TextsAsked & Pick<AnswerForm, 'reader'>

async function textsOf({ service, body }: ChatExchange): Promise<ChatAsked> {
  checkWrites(service)
  checkFields(body)
  const adapters = await usedAdapters(service, body)
  const form = await answerForm(service, body)
  const prompt = chatPrompt(service, { ...body, messages: [...form.messages] }, form.variables)
  checkPrompt(service, prompt, 'messages')
  const { model } = service
  const room = model.maxPositions - prompt.length
  const options = textOptions(body, {
    maxNewTokens: Math.min(body.max_completion_tokens ?? body.max_tokens ?? room, room),
    ...(body.logprobs === true && { logprobs: body.top_logprobs ?? 0 }),
    ...form.options,
  })
  return { prompts: [prompt], count: body.n ?? 1, adapters, options, reader: () => form.reader() }
}

function checkFields({ max_tokens, max_completion_tokens, logprobs, top_logprobs }: ChatRequest): void {
  if (max_tokens !== undefined && max_completion_tokens !== undefined && max_tokens !== max_completion_tokens)
    throw invalidRequest('`max_tokens` and `max_completion_tokens` are two names of one thing; give one of them.', 'max_tokens')
  if (top_logprobs !== undefined && logprobs !== true)
    throw invalidRequest('`top_logprobs` is for requests with `logprobs: true`.', 'top_logprobs')
}

const logprobsOf = ({ service }: ChatExchange, found: readonly TokenLogprob[] | undefined) => {
  if (found === undefined) return null
  const tokenizer = neededTokenizer(service, 'messages')
  return { content: found.map((each) => chatLogprob(tokenizer, each)) }
}

const callView = ({ id, name, arguments: json }: ToolCall) => ({ id, type: 'function', function: { name, arguments: json } })

/** Why a text ended; one that was cut off in a call says so. */
const endOf = (result: TextResult, { calls }: AnswerReader): 'length' | 'stop' | 'tool_calls' => {
  const reason = finishReasonOf(result)
  return reason === 'stop' && calls.length > 0 ? 'tool_calls' : reason
}

async function whole(exchange: ChatExchange, asked: ChatAsked): Promise<Response> {
  const readers = Array.from({ length: asked.count }, () => asked.reader())
  const steps = writeTexts(exchange, asked)
  let next = await steps.next()
  for (; next.done !== true; next = await steps.next()) readers[next.value.index]!.push(next.value.event)
  return Response.json({
    ...answerHeader(exchange, newId('chatcmpl'), 'chat.completion'),
    choices: next.value.map((result, index) => {
      const reader = readers[index]!
      reader.finish()
      const { text, calls } = reader
      return {
        index,
        message: {
          role: 'assistant',
          content: calls.length > 0 && text.trim() === '' ? null : text,
          refusal: null,
          ...(calls.length > 0 && { tool_calls: calls.map(callView) }),
        },
        logprobs: logprobsOf(exchange, result.logprobs),
        finish_reason: endOf(result, reader),
      }
    }),
    usage: usageOf(exchange),
  })
}

/** What is added to an answer by something that became certain of it. */
function deltaOf(event: ToolCallEvent): object {
  switch (event.type) {
    case 'text':
      return { content: event.text }
    case 'call': {
      const { index, id, name } = event
      return { tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] }
    }
    case 'arguments':
      return { tool_calls: [{ index: event.index, function: { arguments: event.text } }] }
  }
}

async function* chunks(exchange: ChatExchange, asked: ChatAsked): AsyncGenerator<string> {
  const header = answerHeader(exchange, newId('chatcmpl'), 'chat.completion.chunk')
  const told = exchange.body.stream_options?.include_usage === true
  const chunk = (index: number, delta: object, more: { logprobs?: unknown; finish_reason?: string } = {}): string =>
    frame({
      ...header,
      choices: [{ index, delta, logprobs: null, finish_reason: null, ...more }],
      ...(told && { usage: null }),
    })
  const readers = Array.from({ length: asked.count }, () => asked.reader())
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
    const deltas = readers[index]!.push(event).map(deltaOf)
    // A token is told of when it is drawn, whether or not its text is certain.
    if (deltas.length === 0 && event.logprob !== undefined) deltas.push({ content: '' })
    for (const [i, delta] of deltas.entries())
      yield chunk(index, delta, given({ logprobs: i === 0 && event.logprob ? logprobsOf(exchange, [event.logprob]) : undefined }))
  }
  for (const [index, result] of next.value.entries()) {
    const reader = readers[index]!
    yield* begin(index)
    for (const event of reader.finish()) yield chunk(index, deltaOf(event))
    yield chunk(index, {}, { finish_reason: endOf(result, reader) })
  }
  if (told) yield frame({ ...header, choices: [], usage: usageOf(exchange) })
  yield frame('[DONE]')
}
