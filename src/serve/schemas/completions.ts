/** @file POST /v1/completions. */
import * as z from 'zod'
import { optional, subjectFields, tokenIds, unsupported } from './fields.js'
import { finishReason, samplingFields, usage } from './sampling.js'

/** Texts or tokens, one or several. */
export const promptField = z.union([z.string(), z.array(z.string()).min(1), tokenIds.min(1), z.array(tokenIds.min(1)).min(1)], {
  error: 'must be a text, a list of texts, a list of token ids, or a list of such lists',
})

export const completionRequest = z.object({
  ...subjectFields,
  prompt: promptField,
  max_tokens: optional(z.int().min(0)).describe('Most tokens of the text, 16 unless given; 0 with echo and logprobs.'),
  ...samplingFields,
  echo: optional(z.boolean()).describe('Begin the text with the prompt.'),
  logprobs: optional(z.int().min(0).max(5)).describe(
    'Tell how likely the model found each token, with echo those of the prompt too, and so many of the likeliest in its place.',
  ),
  add_special_tokens: optional(z.boolean()).describe(
    'Put what the tokenizer puts before a text before a prompt; true unless given.',
  ),
  suffix: unsupported('this server cannot fill in'),
  best_of: optional(z.int().min(1)).describe('Only as many as n.'),
  response_format: unsupported('use /v1/chat/completions', { type: 'text' }),
})

/** What is asked of a completion. */
export type CompletionRequest = z.infer<typeof completionRequest>

export const completionLogprobs = z
  .object({
    tokens: z.array(z.string()),
    token_logprobs: z.array(z.number().nullable()),
    top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullable(),
    text_offset: z.array(z.int()),
  })
  .nullable()

export const completionAnswer = z.object({
  id: z.string(),
  object: z.literal('text_completion'),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.object({ index: z.int(), text: z.string(), logprobs: completionLogprobs, finish_reason: finishReason.nullable() }),
  ),
  usage: usage.nullable().optional(),
  system_fingerprint: z.string(),
})
