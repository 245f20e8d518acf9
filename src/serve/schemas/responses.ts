/** @file POST /v1/responses. */
import * as z from 'zod'
import { optional, subjectFields, unsupported } from './fields.js'
import { samplingFields } from './sampling.js'

const textPart = z.looseObject({
  type: z.enum(['input_text', 'output_text', 'text'], { error: 'only parts of text are read' }),
  text: z.string(),
})
const content = z.union([z.string(), z.array(textPart)])

const message = z.looseObject({
  type: z.literal('message').optional(),
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content,
})

const functionCall = z.looseObject({
  type: z.literal('function_call'),
  call_id: z.string(),
  name: z.string(),
  arguments: z.string(),
})

const functionCallOutput = z.looseObject({ type: z.literal('function_call_output'), call_id: z.string(), output: content })

const itemReference = z.object({ type: z.literal('item_reference'), id: z.string() })

/** A turn of a dialogue, a call or the result of one. */
export const responseItem = z.union([message, functionCall, functionCallOutput])

/** A turn of a dialogue, a call or the result of one. */
export type ResponseItem = z.infer<typeof responseItem>

const tool = z.looseObject({
  type: z.literal('function', { error: 'only tools of type "function" are known' }),
  name: z.string().min(1),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
})

const format = z.union([
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  z.looseObject({
    type: z.literal('json_schema'),
    name: z.string().nullish(),
    schema: z.record(z.string(), z.unknown()),
    strict: z.boolean().nullish(),
  }),
])

const { n: _, stream_options: __, ...sampling } = samplingFields

export const responsesRequest = z.object({
  ...subjectFields,
  input: z.union([z.string().min(1), z.array(z.union([responseItem, itemReference])).min(1)]),
  instructions: optional(z.string()).describe('A system prompt before the dialogue.'),
  previous_response_id: optional(z.string()).describe('Go on from an answer that this server still keeps.'),
  store: optional(z.boolean()).describe(
    'Keep the answer in memory for a while, so that later requests can name it; true unless given.',
  ),
  max_output_tokens: optional(z.int().min(1)).describe('Most tokens of the answer; what the model has room for without it.'),
  ...sampling,
  tools: optional(z.array(tool)).describe('Functions that the model may call.'),
  tool_choice: optional(
    z.union([z.enum(['none', 'auto', 'required']), z.object({ type: z.literal('function'), name: z.string() })]),
  ),
  parallel_tool_calls: optional(z.boolean()).describe('Whether it may call several at once.'),
  text: optional(z.object({ format: optional(format), verbosity: unsupported('say it in the prompt', 'medium') })),
  metadata: optional(z.record(z.string(), z.string())).describe('Told back.'),
  stream_options: optional(z.looseObject({})).describe('Nothing of it is needed.'),

  n: unsupported('ask again with another seed', 1),
  include: unsupported('log probabilities are told by /v1/chat/completions', []),
  top_logprobs: unsupported('log probabilities are told by /v1/chat/completions', 0),
  reasoning: unsupported('use chat_template_kwargs of /v1/chat/completions', {}, { effort: null, summary: null }),
  background: unsupported('wait for the answer, or stream it', false),
  conversation: unsupported('send the whole input'),
  prompt: unsupported('send input and instructions'),
  truncation: unsupported('shorten the input', 'disabled'),
  max_tool_calls: unsupported('there are no tools of the server'),
})

/** What is asked for. */
export type ResponsesRequest = z.infer<typeof responsesRequest>

const status = z.enum(['in_progress', 'completed', 'incomplete', 'failed'])

const outputText = z.object({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: z.array(z.never()),
  logprobs: z.array(z.never()),
})

const outputItem = z.union([
  z.object({
    ...{ type: z.literal('message'), id: z.string(), status, role: z.literal('assistant') },
    content: z.array(outputText),
  }),
  z.object({
    ...{ type: z.literal('function_call'), id: z.string(), status, call_id: z.string() },
    ...{ name: z.string(), arguments: z.string() },
  }),
])

/** A part of an answer. */
export type OutputItem = z.infer<typeof outputItem>

export const responsesAnswer = z.looseObject({
  ...{ id: z.string(), object: z.literal('response'), created_at: z.int(), status },
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  incomplete_details: z.object({ reason: z.string() }).nullable(),
  model: z.string(),
  output: z.array(outputItem),
  usage: z
    .object({
      ...{ input_tokens: z.int(), output_tokens: z.int(), total_tokens: z.int() },
      input_tokens_details: z.object({ cached_tokens: z.int() }),
      output_tokens_details: z.object({ reasoning_tokens: z.int() }),
    })
    .nullable(),
})

/** An event: its fields depend on its type, which is OpenAI's. */
export const responsesEvent = z.looseObject({ type: z.string(), sequence_number: z.int() })
