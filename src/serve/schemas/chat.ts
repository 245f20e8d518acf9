/** @file POST /v1/chat/completions. */
import * as z from 'zod'
import { optional, subjectFields, unsupported } from './fields.js'
import { finishReason, samplingFields, usage } from './sampling.js'

const contentPart = z.looseObject({
  type: z.literal('text', { error: 'only parts of type "text" are read' }),
  text: z.string(),
})

const message = z.looseObject({
  role: z.string().min(1).describe('system, developer, user, assistant, tool, or what else the chat template knows.'),
  content: z.union([z.string(), z.array(contentPart)]).nullish(),
})

/** A turn; further fields reach the chat template. */
export type ChatMessage = z.infer<typeof message>

export const messages = z.array(message).min(1)

/** What the chat template is given and asked for. */
export const templateFields = {
  chat_template_kwargs: optional(z.record(z.string(), z.unknown())).describe('Variables of the chat template.'),
  add_generation_prompt: optional(z.boolean()).describe("Open the assistant's turn; true unless given."),
  continue_final_message: optional(z.boolean()).describe('Go on with the last message in place of a new turn.'),
  reasoning_effort: optional(z.string()).describe('A variable of chat templates that know it; refused by others.'),
  chat_template: unsupported("the model's own template counts"),
  documents: optional(z.array(z.record(z.string(), z.unknown()))).describe(
    'A variable of chat templates that know it; refused by others.',
  ),
}

const tool = z.looseObject({
  type: z.literal('function', { error: 'only tools of type "function" are known' }),
  function: z.looseObject({
    name: z.string().min(1),
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: z.boolean().nullish(),
  }),
})

const toolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) }),
])

const responseFormat = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('text') }),
    z.object({ type: z.literal('json_object') }),
    z.object({
      type: z.literal('json_schema'),
      json_schema: z.looseObject({
        name: z.string().nullish(),
        schema: z.record(z.string(), z.unknown()),
        strict: z.boolean().nullish(),
      }),
    }),
  ],
  { error: 'must be "text", "json_object" or "json_schema"' },
)

export const chatRequest = z.object({
  ...subjectFields,
  messages,
  ...templateFields,
  max_tokens: optional(z.int().min(1)).describe('Most tokens of the text; what the model has room for without it.'),
  max_completion_tokens: optional(z.int().min(1)).describe('The same, as newer clients call it.'),
  ...samplingFields,
  logprobs: optional(z.boolean()).describe('Tell how likely the model found each token.'),
  top_logprobs: optional(z.int().min(0).max(20)).describe('And so many of the likeliest in its place; with logprobs.'),
  tools: optional(z.array(tool)).describe('Functions that the model may call.'),
  tool_choice: optional(toolChoice).describe('Whether it must, and which.'),
  parallel_tool_calls: optional(z.boolean()).describe('Whether it may call several at once.'),
  response_format: optional(responseFormat).describe('What the text must be.'),

  functions: unsupported('use tools'),
  function_call: unsupported('use tool_choice'),
  modalities: unsupported('this server writes text', ['text']),
  audio: unsupported('this server writes text'),
  prediction: unsupported('leave it out'),
  web_search_options: unsupported('leave it out'),
  verbosity: unsupported('say it in the prompt'),
  best_of: unsupported('no text is thrown away; use n', 1),
  echo: unsupported('it is of /v1/completions', false),
})

/** What is asked of a chat. */
export type ChatRequest = z.infer<typeof chatRequest>
/** A function that the model may call. */
export type ChatTool = z.infer<typeof tool>

const likelyToken = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()) })
const tokenLogprob = likelyToken.extend({ top_logprobs: z.array(likelyToken) })

/** A token of a chat, and the likeliest in its place. */
export type ChatTokenLogprob = z.infer<typeof tokenLogprob>

export const chatLogprobs = z.object({ content: z.array(tokenLogprob) }).nullable()

const toolCall = z.object({
  id: z.string(),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string().describe('JSON.') }),
})

export const chatAnswer = z.object({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      message: z.object({
        role: z.literal('assistant'),
        content: z.string().nullable(),
        refusal: z.null(),
        tool_calls: z.array(toolCall).optional(),
      }),
      logprobs: chatLogprobs,
      finish_reason: finishReason,
    }),
  ),
  usage,
  system_fingerprint: z.string(),
})

export const chatChunk = z.object({
  id: z.string(),
  object: z.literal('chat.completion.chunk'),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      delta: z.object({
        role: z.literal('assistant').optional(),
        content: z.string().nullable().optional(),
        tool_calls: z
          .array(
            z.object({
              index: z.int(),
              id: z.string().optional(),
              type: z.literal('function').optional(),
              function: z.object({ name: z.string().optional(), arguments: z.string() }),
            }),
          )
          .optional(),
      }),
      logprobs: chatLogprobs,
      finish_reason: finishReason.nullable(),
    }),
  ),
  usage: usage.nullable().optional(),
})
