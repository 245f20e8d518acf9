/** @file Fields of requests that say how a text is written. */
import * as z from 'zod'
import { optional, tokenIds, unsupported } from './fields.js'

/** What chat and plain completions have in common. */
export const samplingFields = {
  temperature: optional(z.number().min(0)).describe('0 takes the likeliest token; 1 unless given.'),
  top_p: optional(z.number().gt(0).max(1)).describe('Sample among the likeliest tokens that have this probability together.'),
  top_k: optional(z.int().min(-1)).describe('Sample among so many likeliest tokens; 0 and -1 are all.'),
  min_p: optional(z.number().min(0).max(1)).describe('Sample among tokens with this share of the likeliest probability.'),
  n: optional(z.int().min(1).max(128)).describe('How many texts; the seeds of the others follow the first one.'),
  seed: optional(z.int().min(-1)).describe('Seed of sampling; another one each time without it, and for -1.'),
  stop: optional(z.union([z.string(), z.array(z.string())])).describe('The text ends before the first of these.'),
  stop_token_ids: optional(tokenIds).describe("Tokens that end the text, beside the model's own."),
  presence_penalty: optional(z.number().min(-2).max(2)).describe('Makes tokens less likely that were written before.'),
  frequency_penalty: optional(z.number().min(-2).max(2)).describe('The same for each time that they were.'),
  repetition_penalty: optional(z.number().gt(0)).describe('Above 1 makes tokens of prompt and text less likely.'),
  repeat_penalty: optional(z.number().gt(0)).describe('The same, as llama.cpp calls it.'),
  no_repeat_ngram_size: optional(z.int().min(0)).describe('No so many tokens in a row come twice.'),
  logit_bias: optional(
    z.record(z.string().regex(/^\d+$/, 'must name a token by its id'), z.number().min(-100).max(100)),
  ).describe('Added to the logits of tokens, by id.'),
  ignore_eos: optional(z.boolean()).describe("The model's own end tokens do not end the text."),
  min_tokens: optional(z.int().min(0)).describe('Tokens before which no end token comes.'),
  stream: optional(z.boolean()).describe('Send the text as it is written, as server-sent events.'),
  stream_options: optional(z.object({ include_usage: optional(z.boolean()) })).describe('With stream alone.'),
  user: optional(z.string()).describe('Not used.'),

  skip_special_tokens: unsupported('special tokens are never part of a text', true),
  include_stop_str_in_output: unsupported('add the stop string to the text yourself', false),
  use_beam_search: unsupported('use lowrank generate --beams', false),
  length_penalty: unsupported('it is of a beam search; use lowrank generate --beams', 1),
  bad_words: unsupported('use logit_bias with token ids', []),
  allowed_token_ids: unsupported('use response_format'),
  logits_processors: unsupported('use logit_bias'),
  prompt_logprobs: unsupported('use /v1/completions with echo and logprobs', 0, false),
  truncate_prompt_tokens: unsupported('shorten the prompt'),
  return_token_ids: unsupported('use /tokenize on the text', false),
  return_tokens_as_token_ids: unsupported('use /tokenize on the text', false),
  guided_json: unsupported('use response_format'),
  guided_regex: unsupported('use response_format with a JSON schema'),
  guided_choice: unsupported('use response_format with an enum'),
  guided_grammar: unsupported('use response_format with a JSON schema'),
  structured_outputs: unsupported('use response_format'),
  grammar: unsupported('use response_format with a JSON schema', ''),
  json_schema: unsupported('use response_format'),
  n_predict: unsupported('use max_tokens', -1),
  typical_p: unsupported('use top_p or min_p', 1),
  mirostat: unsupported('use temperature', 0),
  dynatemp_range: unsupported('use temperature', 0),
  xtc_probability: unsupported('use min_p', 0),
  dry_multiplier: unsupported('use repetition_penalty or no_repeat_ngram_size', 0),
  top_n_sigma: unsupported('use min_p', -1),
}

/** How a text is written, as a request says it. */
export type SamplingFields = { readonly [K in keyof typeof samplingFields]?: z.infer<(typeof samplingFields)[K]> }

/** What was read and written. */
export const usage = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  prompt_tokens_details: z.object({
    cached_tokens: z.int().describe('Read before, for an earlier prompt with the same beginning.'),
  }),
})

/** What was read and written. */
export type Usage = z.infer<typeof usage>

/** Why a text ended. */
export const finishReason = z.enum(['stop', 'length', 'tool_calls'])
