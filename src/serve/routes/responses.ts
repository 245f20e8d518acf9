/** @file POST /v1/responses: OpenAI's newer way to ask, as far as texts and calls of functions go. */
import { answerForm, type AnswerForm } from '../constrain/answer-form.js'
import type { ApiError } from '../http/api-error.js'
import { frame } from '../http/event-stream.js'
import { defineRoute, type Exchange } from '../http/route.js'
import { streamAnswer } from '../http/stream-answer.js'
import { itemsOf, messagesOf } from '../responses/dialogue.js'
import { keptResponses } from '../responses/kept-responses.js'
import { ResponseWriter, type ResponseEvent } from '../responses/response-writer.js'
import type { ChatRequest } from '../schemas/chat.js'
import {
  responsesAnswer,
  responsesEvent,
  responsesRequest,
  type ResponseItem,
  type ResponsesRequest,
} from '../schemas/responses.js'
import { newId, secondsNow } from '../text/answer-header.js'
import { chatPrompt } from '../text/chat-prompt.js'
import { checkPrompt, checkWrites } from '../text/needed.js'
import { given, textOptions } from '../text/text-options.js'
import { usedAdapters } from '../text/used-adapters.js'
import { usageOf, writeTexts, type TextsAsked } from '../text/write-texts.js'

type ResponsesExchange = Exchange<ResponsesRequest>

export const responses = defineRoute({
  method: 'post',
  path: '/v1/responses',
  aliases: ['/responses'],
  summary: 'Answers a dialogue, as newer clients of OpenAI ask for it.',
  body: responsesRequest,
  answer: { json: responsesAnswer, events: responsesEvent },
  async handle(exchange) {
    const answer = new ResponseAnswer(exchange, await askedOf(exchange))
    if (exchange.body.stream === true) return streamAnswer(exchange, answer.frames(), (error) => answer.failure(error))
    for await (const _ of answer.events());
    return Response.json(answer.view())
  },
})

interface Asked extends TextsAsked {
  readonly items: readonly ResponseItem[]
  readonly form: AnswerForm
}

async function askedOf(exchange: ResponsesExchange): Promise<Asked> {
  const { service, body } = exchange
  checkWrites(service)
  const adapters = await usedAdapters(service, body)
  const items = itemsOf(exchange)
  const form = await answerForm(service, chatOf(body, messagesOf(items, body.instructions)))
  const prompt = chatPrompt(service, { messages: [...form.messages] } as ChatRequest, form.variables)
  checkPrompt(service, prompt, 'input')
  const room = service.model.maxPositions - prompt.length
  const { stream_options: _, n: __, ...sampling } = body
  const options = textOptions(sampling, { maxNewTokens: Math.min(body.max_output_tokens ?? room, room), ...form.options })
  return { prompts: [prompt], count: 1, adapters, options, items, form }
}

/** What of a request decides the form of its answer, in the words of chats. */
function chatOf({ tools, tool_choice: choice, parallel_tool_calls, text }: ResponsesRequest, messages: ChatRequest['messages']) {
  const { format } = text ?? {}
  return {
    messages,
    tools: tools?.map(({ type, ...called }) => ({ type, function: called })),
    tool_choice: typeof choice === 'object' ? { type: choice.type, function: { name: choice.name } } : choice,
    parallel_tool_calls,
    response_format: format?.type === 'json_schema' ? { type: format.type, json_schema: format } : format,
  }
}

/** One answer, from its first event to its last. */
class ResponseAnswer {
  private readonly id = newId('resp')
  private readonly created = secondsNow()
  private readonly writer = new ResponseWriter()
  private status: 'in_progress' | 'completed' | 'incomplete' | 'failed' = 'in_progress'
  private error: { readonly code: string; readonly message: string } | null = null
  private number = 0

  constructor(
    private readonly exchange: ResponsesExchange,
    private readonly asked: Asked,
  ) {}

  /** The answer as it is now. */
  view(): object {
    const { service, body } = this.exchange
    const { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details } = usageOf(this.exchange)
    const isDone = this.status === 'completed' || this.status === 'incomplete'
    return {
      ...{ id: this.id, object: 'response', created_at: this.created, status: this.status, background: false },
      error: this.error,
      incomplete_details: this.status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
      instructions: body.instructions ?? null,
      max_output_tokens: body.max_output_tokens ?? null,
      model: body.model ?? service.modelName,
      output: [...this.writer.output],
      parallel_tool_calls: body.parallel_tool_calls ?? true,
      previous_response_id: body.previous_response_id ?? null,
      store: body.store ?? true,
      temperature: body.temperature ?? 1,
      text: { format: body.text?.format ?? { type: 'text' } },
      tool_choice: body.tool_choice ?? 'auto',
      tools: body.tools ?? [],
      top_p: body.top_p ?? 1,
      truncation: 'disabled',
      usage: isDone
        ? {
            input_tokens: prompt_tokens,
            input_tokens_details: { cached_tokens: prompt_tokens_details.cached_tokens },
            output_tokens: completion_tokens,
            output_tokens_details: { reasoning_tokens: 0 },
            total_tokens,
          }
        : null,
      metadata: body.metadata ?? {},
      ...given({ user: body.user }),
    }
  }

  /** Everything that happens, in order. */
  async *events(): AsyncGenerator<ResponseEvent> {
    const { exchange, asked, writer } = this
    const reader = asked.form.reader()
    const steps = writeTexts(exchange, asked)
    // What is refused is refused before anything is told.
    let next = await steps.next()
    yield { type: 'response.created', response: this.view() }
    yield { type: 'response.in_progress', response: this.view() }
    for (; next.done !== true; next = await steps.next())
      for (const event of reader.push(next.value.event)) yield* writer.push(event)
    for (const event of reader.finish()) yield* writer.push(event)
    const status = next.value[0]!.finishReason === 'length' ? 'incomplete' : 'completed'
    yield* writer.finish(status)
    this.status = status
    if (exchange.body.store !== false) keptResponses(exchange.service).keep(exchange.holder, this.id, asked.items, writer.output)
    yield { type: `response.${status}`, response: this.view() }
  }

  async *frames(): AsyncGenerator<string> {
    for await (const event of this.events()) yield this.frame(event)
  }

  /** What a client is told where it breaks off. */
  failure({ message, body }: ApiError): string {
    this.status = 'failed'
    this.error = { code: String(body.error.code ?? 'server_error'), message }
    return this.frame({ type: 'response.failed', response: this.view() })
  }

  private frame({ type, ...fields }: ResponseEvent): string {
    return frame({ type, sequence_number: this.number++, ...fields }, type)
  }
}
